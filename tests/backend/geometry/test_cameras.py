"""Camera conventions: every one of them checked against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from sonic4d.geometry.cameras import (
    LOOKING_NORTH,
    OPENCV_TO_BLENDER_CAMERA,
    Intrinsics,
    back_project,
    from_opencv,
    pitched,
    project,
    to_opencv,
)
from sonic4d.protocol import Sonic4DError

K = Intrinsics(200, 100, 150.0, 140.0, 90.0, 55.0)


def random_pose(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    pose = np.eye(4)
    pose[:3, :3] = Rotation.random(random_state=seed).as_matrix()
    pose[:3, 3] = rng.normal(size=3) * 5
    return pose


def test_the_first_camera_looks_north_with_up_above() -> None:
    """2 m ahead, one focal length to the right, half a one up."""
    point = back_project(K.cx + K.fx, K.cy - K.fy / 2, 2.0, K, LOOKING_NORTH)
    np.testing.assert_allclose(point, [2, 2, 1])


def test_the_middle_of_the_first_pixel_is_a_half() -> None:
    k = Intrinsics.from_horizontal_fov(4, 2, 90)
    assert (k.fx, k.fy, k.cx, k.cy) == (pytest.approx(2), pytest.approx(2), 2, 1)
    np.testing.assert_allclose(
        back_project(0.5, 0.5, 1.0, k, LOOKING_NORTH), [-0.75, 1, 0.25], atol=1e-12
    )


@pytest.mark.parametrize("pitch_deg", [-30.0, 0.0, 45.0])
def test_pitch_lifts_the_view(pitch_deg: float) -> None:
    ahead = back_project(K.cx, K.cy, 1.0, K, pitched(pitch_deg))
    angle = math.radians(pitch_deg)
    np.testing.assert_allclose(ahead, [0, math.cos(angle), math.sin(angle)], atol=1e-12)


@given(st.integers(0, 1000))
def test_projecting_undoes_back_projecting(seed: int) -> None:
    rng = np.random.default_rng(seed)
    u, v, z = rng.uniform(0, 200, 20), rng.uniform(0, 100, 20), rng.uniform(0.1, 50, 20)
    pose = random_pose(seed)
    found = project(back_project(u, v, z, K, pose), K, pose)
    for value, wanted in zip(found, (u, v, z), strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-9, atol=1e-6)


def test_back_projection_is_the_matrix_of_the_paper() -> None:
    """Equation 1 as written: R K^-1 (u, v, 1) z + t with an OpenCV camera."""
    pose = random_pose(3)
    u, v, z = 30.0, 70.0, 4.0
    k = np.array([[K.fx, 0, K.cx], [0, K.fy, K.cy], [0, 0, 1]])
    in_opencv = z * np.linalg.inv(k) @ [u, v, 1]
    expected = (pose @ OPENCV_TO_BLENDER_CAMERA @ [*in_opencv, 1])[:3]
    np.testing.assert_allclose(back_project(u, v, z, K, pose), expected)


def test_shapes_broadcast() -> None:
    row, column = np.mgrid[:3, :4]
    assert back_project(column, row, 2.0, K, LOOKING_NORTH).shape == (3, 4, 3)
    assert project(np.zeros((3, 4, 3)), K, random_pose(0))[0].shape == (3, 4)


def test_behind_the_camera_is_negative_and_at_it_no_warning() -> None:
    points = np.array([[0, -2, 0], [0, 0, 0], [1, 2, 0]], dtype=float)
    with np.errstate(all="raise"):
        z = project(points, K, LOOKING_NORTH)[2]
    np.testing.assert_allclose(z, [-2, 0, 2])


def test_opencv_poses() -> None:
    """The OpenCV identity is our first camera; one metre along its axes is right, down and ahead."""
    np.testing.assert_allclose(from_opencv(np.eye(4)), LOOKING_NORTH)
    moved = np.eye(4)
    moved[:3, 3] = 1, 2, 3
    np.testing.assert_allclose(from_opencv(moved)[:3, 3], [1, 3, -2])


@given(st.integers(0, 1000))
def test_opencv_and_back(seed: int) -> None:
    poses = np.stack([random_pose(seed), random_pose(seed + 1)])
    np.testing.assert_allclose(to_opencv(from_opencv(poses)), poses, atol=1e-12)


def test_field_of_view_and_scaling() -> None:
    k = Intrinsics.from_horizontal_fov(640, 360, 60)
    assert k.horizontal_fov_deg == pytest.approx(60)
    half = k.scaled(320, 180)
    assert half.horizontal_fov_deg == pytest.approx(60)
    assert (half.cx, half.cy) == (160, 90)
    assert k.scaled(320, 360).fy == pytest.approx(k.fy)


def test_json_round_trip() -> None:
    assert Intrinsics.from_json(K.to_json(), "k") == K


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("width", 0),
        ("width", 1.5),
        ("height", 10**6),
        ("fx", 0),
        ("fx", math.nan),
        ("fy", -3),
        ("cx", math.inf),
        ("cy", "5"),
        ("fx", True),
        ("fx", 10**400),
    ],
)
def test_nonsense_intrinsics_are_named(key: str, value: object) -> None:
    with pytest.raises(Sonic4DError, match=f"k.{key}"):
        Intrinsics.from_json({**K.to_json(), key: value}, "k")


@pytest.mark.parametrize("data", [None, [], {}, {"width": 5}, {**K.to_json(), "k1": 0.1}])
def test_wrong_keys(data: object) -> None:
    with pytest.raises(Sonic4DError):
        Intrinsics.from_json(data, "k")
