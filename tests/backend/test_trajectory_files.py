"""TrajectoryCrafter's camera paths against numbers that its own code gave (commit d2f795f3)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import wall_scene
from sonic4d import cli
from sonic4d.geometry.cameras import (
    LOOKING_NORTH,
    Intrinsics,
    back_project,
    from_opencv,
    pitched,
    project,
)
from sonic4d.protocol import Sonic4DError
from sonic4d.shot import read_shot
from sonic4d.trajectory_files import around_point, read_trajectory

# Camera-to-world in the source camera's axes (x right, y down, z forward), distance 4: theta 12, phi -25, r 0.3, x 1.5, y -0.4
# over 7 frames, the 4th and the last.
SPECIFIED = [
    [
        [0.976296, 0.0, 0.21644, -0.115758],
        [-0.022624, 0.994522, 0.102051, -0.208203],
        [-0.215254, -0.104528, 0.970948, 0.716209],
    ],
    [
        [0.906308, 0.0, 0.422618, -0.190473],
        [-0.087867, 0.978148, 0.188432, -0.353728],
        [-0.413383, -0.207912, 0.886503, 1.653989],
    ],
]
FILE = "0 5 20 10 0 -8\n0 -10 -30 -5 15 20\n0 0.1 0.3\n"
# The same for this file over 9 frames.
FROM_FILE = [
    [
        [0.880946, 0.0, 0.473217, -1.892866],
        [-0.144046, 0.952545, 0.268158, -1.072632],
        [-0.45076, -0.304398, 0.839141, 0.943437],
    ],
    [
        [0.939693, 0.0, -0.34202, 1.36808],
        [-0.0476, 0.990268, -0.13078, 0.52312],
        [0.338692, 0.139173, 0.930548, 1.47781],
    ],
]


def in_our_axes(rows: list[list[float]]) -> np.ndarray:
    return from_opencv(np.vstack([rows, [0, 0, 0, 1]]))


def specified() -> np.ndarray:
    share = np.linspace(0, 1, 7)
    steps = share[:, None] * [1.5, -0.4, 0.3 * 4]
    return around_point(LOOKING_NORTH, 4.0, 12 * share, -25 * share, steps)


def test_angles_and_steps_are_upstreams() -> None:
    poses = specified()
    assert np.allclose(poses[0], LOOKING_NORTH)
    for pose, expected in zip(poses[[3, -1]], SPECIFIED, strict=True):
        assert np.allclose(pose, in_our_axes(expected), atol=2e-6)


def test_a_file_is_read_as_upstream_does(tmp_path: Path) -> None:
    path = tmp_path / "loop.txt"
    path.write_text(FILE)
    poses = read_trajectory(path, LOOKING_NORTH, 4.0, 9)
    for pose, expected in zip(poses[[3, -1]], FROM_FILE, strict=True):
        assert np.allclose(pose, in_our_axes(expected), atol=2e-6)


def test_pixels_are_warped_as_upstream_does() -> None:
    """Its pixel centres are whole numbers, with the principal point at 512, 288; ours lie at + 0.5."""
    k = Intrinsics(1024, 576, 500.0, 500.0, 512.5, 288.5)
    for u, v, depth, expected in (
        (512, 288, 3.0, (357.242401, 312.674438, 1.340394)),
        (450, 300, 3.0, (195.163849, 345.060333, 1.196747)),
        (1023, 575, 7.0, (746.354492, 470.573029, 8.666937)),
    ):
        place = back_project(u + 0.5, v + 0.5, depth, k, LOOKING_NORTH)
        x, y, z = project(place, k, specified()[-1])
        assert (x - 0.5, y - 0.5, z) == pytest.approx(expected, abs=2e-3)


def test_it_starts_at_any_camera() -> None:
    start = pitched(-10)
    start[:3, 3] = [1, 2, 3]
    turned = around_point(start, 4.0, np.zeros(1), np.array([30.0]), np.zeros((1, 3)))[0]
    ahead = np.array([0, 0, -4.0, 1])
    assert np.allclose(turned @ ahead, start @ ahead)  # the point stays in the middle
    right = np.linalg.inv(start) @ turned
    assert right[0, 3] > 1.9
    assert right[1, 3] == pytest.approx(0)


def test_as_a_move_of_a_shot(tmp_path: Path) -> None:
    bundle = wall_scene.write_bundle(tmp_path / "wall.sonic4d", 5)
    (tmp_path / "loop.txt").write_text("0\n0 40\n0 0\n")
    output = tmp_path / "shot.json"
    arguments = [
        "shot",
        str(bundle.folder),
        "-o",
        str(output),
        "--move",
        str(tmp_path / "loop.txt"),
    ]
    assert cli.main(arguments) == 0
    poses = read_shot(output).listener_poses
    assert np.allclose(poses[0], LOOKING_NORTH)
    pivot = bundle.sources[0].positions[0]
    assert np.allclose(np.linalg.norm(poses[:, :3, 3] - pivot, axis=1), wall_scene.BOARD_M)
    assert poses[-1, 0, 3] == pytest.approx(wall_scene.BOARD_M * np.sin(np.radians(40)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "three lines"),
        ("0\n0\n", "three lines"),
        ("0\n\n0\n", "three lines"),
        ("0\na\n0\n", "numbers"),
        ("0\nnan\n0\n", "finite"),
        ("\0\n0\n0\n", "numbers"),
    ],
)
def test_what_is_no_path_is_told(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "path.txt"
    path.write_text(text)
    with pytest.raises(Sonic4DError, match=said):
        read_trajectory(path, LOOKING_NORTH, 4.0, 9)
    with pytest.raises(Sonic4DError, match="no file"):
        read_trajectory(tmp_path / "none.txt", LOOKING_NORTH, 4.0, 9)
