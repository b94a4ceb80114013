"""The splat renderer against geometry worked out by hand and against `project`."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from sonic4d.geometry.cameras import LOOKING_NORTH, Intrinsics, back_project, pitched, project
from sonic4d.geometry.splat import Picture, splat
from sonic4d.scene.depth import Points

LENS = Intrinsics(64, 48, 50.0, 50.0, 32.0, 24.0)


def points(xyz: object, rgb: object = (200, 100, 50), radius_m: float = 0.0) -> Points:
    place = np.array(xyz, np.float32).reshape(-1, 3)
    n = len(place)
    colour = np.broadcast_to(np.array(rgb, np.uint8), (n, 3)).copy()
    return Points(
        place,
        colour,
        np.ones(n, np.float32),
        np.full(n, radius_m, np.float32),
        np.zeros(n, np.bool_),
    )


def covered(picture: Picture) -> set[tuple[int, int]]:
    return {(int(x), int(y)) for y, x in np.argwhere(picture.valid)}


def test_a_point_lands_in_the_pixel_that_projection_says() -> None:
    rng = np.random.default_rng(1)
    pose = pitched(-10.0)
    pose[:3, 3] = [0.3, -0.2, 0.1]
    for _ in range(50):
        u, v, depth = rng.uniform(1, 63), rng.uniform(1, 47), rng.uniform(0.5, 30)
        place = back_project(u, v, depth, LENS, pose)
        assert np.allclose(project(place, LENS, pose), (u, v, depth))
        picture = splat([points(place)], LENS, pose)
        # Float32 may round a point on a pixel's border to its neighbour.
        assert min(u % 1, v % 1, 1 - u % 1, 1 - v % 1) < 1e-3 or covered(picture) == {
            (int(u), int(v))
        }
        assert picture.depth_m[picture.valid] == pytest.approx(depth, rel=1e-5)


def test_every_pixel_of_a_lifted_picture_comes_back_at_the_source_camera() -> None:
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:48, :64]
    colours = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
    depth = rng.uniform(1, 9, (48, 64))
    place = back_project(x + 0.5, y + 0.5, depth, LENS, LOOKING_NORTH)
    cloud = points(place.reshape(-1, 3), colours.reshape(-1, 3))
    picture = splat([cloud], LENS, LOOKING_NORTH)
    assert picture.valid.all()
    assert (picture.image == colours).all()
    assert np.allclose(picture.depth_m, depth, rtol=1e-5)


def test_the_nearer_point_wins_in_whichever_order_and_layer() -> None:
    near, far = points((0, 2, 0), (255, 0, 0)), points((0, 5, 0), (0, 255, 0))
    both = points([(0, 5, 0), (0, 2, 0)], [(0, 255, 0), (255, 0, 0)])
    for layers in ([near, far], [far, near], [both]):
        picture = splat(layers, LENS, LOOKING_NORTH)
        assert picture.image[picture.valid].tolist() == [[255, 0, 0]]


def test_a_splat_is_as_large_as_its_radius_says_up_to_a_limit() -> None:
    # 0.1 m at 5 m with a focal length of 50 px: 1 px to each side, and the overlap, about a pixel corner.
    assert len(covered(splat([points((0, 5, 0), radius_m=0.1)], LENS, LOOKING_NORTH))) == 4
    huge = covered(splat([points((0, 5, 0), radius_m=100.0)], LENS, LOOKING_NORTH))
    assert 4 <= len(huge) <= 9


@pytest.mark.parametrize("place", [(0, -5, 0), (0, 0, 0), (0, 0.01, 0), (50, 1, 0), (np.nan, 5, 0)])
def test_what_the_camera_cannot_see_is_not_drawn(place: tuple[float, float, float]) -> None:
    assert not splat([points(place)], LENS, LOOKING_NORTH).valid.any()


def test_no_points_give_an_empty_picture() -> None:
    picture = splat([points(np.empty((0, 3)))], LENS, LOOKING_NORTH)
    assert not picture.valid.any()
    assert not picture.image.any()


def test_the_number_of_threads_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    cloud = points(
        rng.normal((0, 4, 0), 1, (5000, 3)), rng.integers(0, 256, (5000, 3)), radius_m=0.05
    )
    many = splat([cloud], LENS, LOOKING_NORTH)
    before = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        one = splat([cloud], LENS, LOOKING_NORTH)
    finally:
        numba.set_num_threads(before)
    assert (one.image == many.image).all()
    assert (one.depth_m == many.depth_m).all()
