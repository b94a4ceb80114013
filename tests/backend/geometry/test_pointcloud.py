"""Lifting pictures to points: equation 1, flying pixels, even thinning."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree
from sonic4d.geometry.cameras import LOOKING_NORTH, Intrinsics, pitched, project
from sonic4d.geometry.pointcloud import flying, lift, thinned
from sonic4d.geometry.splat import splat

WIDTH, HEIGHT = 160, 90
K = Intrinsics.from_horizontal_fov(WIDTH, HEIGHT, 60)
CLOSE_UP = Intrinsics(WIDTH, HEIGHT, 554.0, 554.0, WIDTH / 2, HEIGHT / 2)
ROW, COLUMN = np.mgrid[:HEIGHT, :WIDTH]


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def flat(distance_m: float = 5.0) -> np.ndarray:
    return np.full((HEIGHT, WIDTH), distance_m, np.float32)


def test_points_project_back_to_their_pixels() -> None:
    depth = (4 + np.sin(COLUMN / 9) * np.cos(ROW / 7)).astype("f4")
    camera = pitched(-12)
    camera[:3, 3] = 3, -2, 1.5
    frame = picture()
    points = lift(frame, depth, K, camera)
    assert len(points) == WIDTH * HEIGHT
    u, v, z = project(points.xyz.astype(float), K, camera)
    np.testing.assert_allclose(u, COLUMN.ravel() + 0.5, atol=1e-3)
    np.testing.assert_allclose(v, ROW.ravel() + 0.5, atol=1e-3)
    np.testing.assert_allclose(z, depth.ravel(), rtol=1e-5)
    np.testing.assert_array_equal(points.rgb, frame.reshape(-1, 3))
    assert points.xyz.dtype == np.float32
    assert not points.synthetic.any()
    assert (points.confidence == 1).all()


def test_ahead_is_north_and_up_is_up() -> None:
    points = lift(picture(), flat(), K, LOOKING_NORTH).xyz
    np.testing.assert_allclose(points[:, 1], 5, rtol=1e-6)
    assert points[0, 0] < 0 < points[0, 2]
    assert points[-1, 2] < 0 < points[-1, 0]


def test_unknown_depth_and_masked_pixels_give_no_points() -> None:
    depth = flat()
    depth[:, :10] = np.nan
    depth[:10, 10:20] = -1
    depth[:10, 20:30] = np.inf
    depth[:10, 30:40] = 0
    mask = ROW < 50
    confidence = (COLUMN / WIDTH).astype("f4")
    points = lift(picture(), depth, K, LOOKING_NORTH, confidence, mask)
    assert len(points) == 150 * 50 - 300
    u, v, _ = project(points.xyz.astype(float), K, LOOKING_NORTH)
    assert v.max() < 50
    np.testing.assert_allclose(points.confidence, np.floor(u) / WIDTH, atol=1e-6)


def test_nothing_known() -> None:
    points = lift(picture(), flat(np.nan), K, LOOKING_NORTH, max_points=10)
    assert len(points) == 0
    assert points.xyz.shape == (0, 3)


def test_radius_is_half_a_pixel_wide() -> None:
    points = lift(picture(), flat(5), K, LOOKING_NORTH)
    np.testing.assert_allclose(points.radius_m, 5 / K.fx / 2, rtol=1e-5)


def test_radius_follows_the_slant_but_not_the_step() -> None:
    slanted = (1 / (1 / 5 + (COLUMN - 80) * 1e-3)).astype("f4")
    radius = lift(picture(), slanted, K, LOOKING_NORTH).radius_m.reshape(HEIGHT, WIDTH)
    step = np.abs(np.diff(slanted[40]))[79]
    length = np.hypot(step, 5 / K.fx)
    assert radius[40, 80] == pytest.approx(length / 2, rel=0.1)
    step_depth = np.where(COLUMN < 80, 3, 9).astype("f4")
    radius = lift(picture(), step_depth, K, LOOKING_NORTH).radius_m
    np.testing.assert_allclose(np.unique(radius), [1.5 / K.fx, 4.5 / K.fx], rtol=1e-5)


def blurred_step() -> np.ndarray:
    """3 m on the left, 9 m on the right, three pixels between."""
    depth = np.where(COLUMN < 79, 3.0, 9.0).astype("f4")
    depth[:, 79:82] = [4.5, 6.0, 7.5]
    return depth


def test_flying_pixels_are_culled_and_only_they() -> None:
    found = flying(blurred_step(), CLOSE_UP.fx)
    assert found[:, 79:82].all()
    found[:, 79:82] = False
    assert not found.any()
    depths = lift(picture(), blurred_step(), CLOSE_UP, LOOKING_NORTH).xyz[:, 1]
    assert set(np.unique(depths.round(4))) == {3.0, 9.0}


def test_crisp_edges_lose_nothing() -> None:
    assert not flying(np.where(COLUMN < 80, 3, 9).astype("f4"), CLOSE_UP.fx).any()


def test_the_ground_is_kept_up_to_the_horizon() -> None:
    """A plane 1.6 m below the camera; near the horizon its depth doubles from row to row."""
    below = ROW + 0.5 - HEIGHT / 2
    ground = np.where(below > 0, 1.6 * K.fy / np.maximum(below, 0.1), np.nan).astype("f4")
    assert ground[46, 0] < 0.6 * ground[45, 0]
    assert not flying(ground, K.fx).any()


def test_unknown_neighbours_are_no_edge() -> None:
    depth = flat()
    depth[::2, ::2] = np.nan
    assert not flying(depth, K.fx).any()


def test_thinning_gives_the_number_asked_for() -> None:
    for wanted in (1, 7, 1000, WIDTH * HEIGHT - 1):
        assert len(lift(picture(), flat(), K, LOOKING_NORTH, max_points=wanted)) == wanted
    assert len(lift(picture(), flat(), K, LOOKING_NORTH, max_points=10**6)) == WIDTH * HEIGHT


@pytest.mark.parametrize("share", [0.9, 0.5, 0.3, 0.1, 0.02])
def test_thinning_is_even(share: float) -> None:
    """No clumps and no gaps: far better than at random, at every density."""
    wanted = int(share * WIDTH * HEIGHT)
    xyz = lift(picture(), flat(), K, LOOKING_NORTH, max_points=wanted).xyz
    u, v, _ = project(xyz.astype(float), K, LOOKING_NORTH)
    random = np.random.default_rng(0).permutation(WIDTH * HEIGHT)[:wanted]

    def gap(u: np.ndarray, v: np.ndarray) -> float:
        """Largest distance in pixels from a place in the picture to the nearest point."""
        return cKDTree(np.stack([u, v], 1)).query(np.stack([COLUMN, ROW], -1) + 0.5)[0].max()

    if share <= 0.5:
        assert gap(u, v) < 0.7 * gap(random % WIDTH + 0.5, random // WIDTH + 0.5)
    assert gap(u, v) < 1.6 / np.sqrt(share)
    blocks = np.histogram2d(v, u, bins=(6, 10), range=((0, HEIGHT), (0, WIDTH)))[0]
    expected = wanted / 60
    assert np.abs(blocks - expected).max() < max(2.5, 0.05 * expected) + 2


def test_thinning_keeps_the_same_pixels_in_every_frame() -> None:
    near = lift(picture(0), flat(4), K, LOOKING_NORTH, max_points=2000)
    far = lift(picture(1), flat(8), K, LOOKING_NORTH, max_points=2000)
    np.testing.assert_allclose(near.xyz * 2, far.xyz, rtol=1e-5)


@pytest.mark.parametrize("share", [0.99, 0.9, 0.6, 0.4, 0.25, 0.15, 0.1])
def test_thinned_points_leave_no_gaps(share: float) -> None:
    points = lift(picture(), flat(), K, LOOKING_NORTH)
    wanted = int(share * len(points))
    at_once = lift(picture(), flat(), K, LOOKING_NORTH, max_points=wanted)
    for fewer in (thinned(points, K, LOOKING_NORTH, wanted), at_once):
        inner = splat([fewer], K, LOOKING_NORTH).valid[4:-4, 4:-4]
        assert len(fewer) == wanted
        assert inner.mean() > 0.999


def test_points_behind_the_camera_can_be_thinned() -> None:
    points = lift(picture(), flat(), K, LOOKING_NORTH)
    turned = LOOKING_NORTH.copy()
    turned[:3, :2] *= -1
    assert len(thinned(points, K, turned, 500)) == 500
