"""Camera moves: where they lead, and that bad ones are refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sonic4d.geometry.cameras import LOOKING_NORTH, pitched
from sonic4d.moves import move_keys, move_poses, parse_move
from sonic4d.protocol import Sonic4DError

START = LOOKING_NORTH.tolist()
PIVOT = (0.0, 6.0, -1.0)


def poses(text: str, count: int = 11, start: list[list[float]] = START) -> np.ndarray:
    return np.array(move_poses(parse_move(text), start, PIVOT, count))


def azimuth_deg(pose: np.ndarray) -> float:
    """Direction of the pivot seen from the camera, left positive."""
    local = pose[:3, :3].T @ (np.array(PIVOT) - pose[:3, 3])
    return math.degrees(math.atan2(-local[0], -local[2]))


def test_static_stands_at_the_start() -> None:
    assert np.allclose(poses("static"), LOOKING_NORTH)


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("x+1.5", (1.5, 0, 0)),
        ("y-0.5", (0, 0, -0.5)),
        ("z+2", (0, 2, 0)),
        ("pan:1.5", (1.5, 0, 0)),
        ("x+1 & z+2", (1, 2, 0)),
    ],
)
def test_offsets_travel_along_the_starting_camera(text: str, end: tuple[float, ...]) -> None:
    path = poses(text)
    assert np.allclose(path[0], LOOKING_NORTH)
    assert np.allclose(path[-1, :3, 3], end)
    assert np.allclose(path[:, :3, :3], LOOKING_NORTH[:3, :3])
    offset = poses("offset: " + text)
    assert np.allclose(offset, path[-1])


def test_orbit_keeps_the_pivot_in_place_and_at_its_distance() -> None:
    path = poses("orbit:30")
    level = np.array(PIVOT[:2]) - path[:, :2, 3]
    bearing = np.degrees(np.arctan2(level[:, 0], level[:, 1]))
    assert bearing[0] == pytest.approx(15)
    assert bearing[-1] == pytest.approx(-15)
    assert (np.diff(bearing) < 0).all()
    assert np.allclose(np.linalg.norm(level, axis=1), 6)
    assert all(abs(azimuth_deg(pose)) < 1e-9 for pose in path)


def test_phi_goes_to_the_right_and_theta_up() -> None:
    right, up = poses("phi+10")[-1], poses("theta+10")[-1]
    assert right[0, 3] == pytest.approx(6 * math.sin(math.radians(10)))
    assert up[2, 3] > 0.9
    assert np.linalg.norm(up[:3, 3] - PIVOT) == pytest.approx(math.hypot(6, 1))


def test_turning_swings_the_pivot_from_the_right_to_the_left() -> None:
    path = poses("turn:20")
    assert azimuth_deg(path[0]) == pytest.approx(-10)
    assert azimuth_deg(path[-1]) == pytest.approx(10)
    assert np.allclose(path[:, :3, 3], 0)


def test_look_brings_the_pivot_into_the_middle() -> None:
    aside = pitched(-4)
    aside[:3, 3] = [2.0, 0.5, 0.3]
    assert abs(azimuth_deg(poses("x+0", start=aside.tolist())[0])) > 10
    path = poses("look", start=aside.tolist())
    assert azimuth_deg(path[0]) == pytest.approx(0, abs=1e-9)
    assert path[0, 2, 2] == pytest.approx(aside[2, 2])
    swing = poses("look & orbit:24 & turn:20", start=aside.tolist())
    assert azimuth_deg(swing[0]) == pytest.approx(-10, abs=0.5)
    assert azimuth_deg(swing[-1]) == pytest.approx(10, abs=0.5)


@pytest.mark.parametrize("text", ["push-in:50", "r-50"])
def test_nobody_passes_through_the_pivot(text: str) -> None:
    path = poses(text)
    distance = np.linalg.norm(path[:, :3, 3] - PIVOT, axis=1)
    assert distance.min() == pytest.approx(0.3)
    assert poses("pull-out:2")[-1, 1, 3] < 0


def test_moves_start_and_end_softly() -> None:
    step = np.diff(poses("pan:1", 101)[:, 0, 3])
    assert step[0] < 0.1 * step.max()
    assert step[-1] < 0.1 * step.max()


def test_keys_lie_on_the_path() -> None:
    path = poses("orbit:30 & pan:1", 101)
    keys = move_keys(parse_move("orbit:30 & pan:1"), START, PIVOT, 101)
    assert 5 <= len(keys) <= 20
    assert keys[0][0] == 0
    assert keys[-1][0] == 100
    for frame, pose in keys:
        assert np.allclose(path[frame], pose)
    assert len(move_keys(parse_move("static"), START, PIVOT, 101)) == 1


@given(
    st.lists(
        st.sampled_from(
            ["x-3", "theta-20", "phi+170", "r+9", "orbit:90", "turn:-40", "push-in:3", "look"]
        ),
        min_size=1,
        max_size=5,
    ),
    st.integers(1, 5),
)
def test_every_pose_is_rigid(parts: list[str], count: int) -> None:
    path = poses(" & ".join(parts), count, pitched(-7).tolist())
    rotation = path[:, :3, :3]
    assert np.allclose(rotation @ rotation.transpose(0, 2, 1), np.eye(3), atol=1e-9)
    assert np.allclose(np.linalg.det(rotation), 1)


@pytest.mark.parametrize(
    "text", ["", "foo", "x1.5", "orbit", "orbit:", "x+1 &", "phi+500", "static & x+1", "x+nan"]
)
def test_bad_moves_are_refused(text: str) -> None:
    with pytest.raises(Sonic4DError, match="camera move|is more than"):
        parse_move(text)
