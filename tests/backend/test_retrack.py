"""A part of a track once more: right where the object is, from the frame on that was shown, and nothing of the bundle changed."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sonic4d.bundle import (
    DEPTH,
    SOURCE_VIDEO,
    Bundle,
    SourceTrack,
    cloud_file,
    read_bundle,
    write_bundle_json,
)
from sonic4d.geometry.cameras import LOOKING_NORTH, Intrinsics, back_project
from sonic4d.geometry.ply import write_ply
from sonic4d.media.audio import write_wav
from sonic4d.media.video import write_video
from sonic4d.monitor import SILENT
from sonic4d.protocol import Sonic4DError
from sonic4d.retrack import RetrackSettings, retrack
from sonic4d.room import Room
from sonic4d.scene.depth import Points

WIDTH, HEIGHT, FRAMES, SIDE = 128, 96, 10, 16
WALL_M, BALL_M = 6.0, 3.0
HALF_BOX_M = SIDE / 2 / (WIDTH / 2 / np.tan(np.radians(30))) * BALL_M
K = Intrinsics.from_horizontal_fov(WIDTH, HEIGHT, 60)


def left(frame: int) -> int:
    return 20 + 4 * frame


def centre(frame: int) -> tuple[float, float]:
    """Fractions of the picture."""
    return (left(frame) + SIDE / 2) / WIDTH, 48 / HEIGHT


def truth(frame: int) -> np.ndarray:
    x, y = centre(frame)
    return back_project(x * WIDTH, y * HEIGHT, BALL_M, K, LOOKING_NORTH)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a red box before a wall; its track is of somewhere else, but the box's size is known on frame 0."""
    folder = tmp_path_factory.mktemp("bundle") / "ball.sonic4d"
    for name in ("audio", "cloud"):
        (folder / name).mkdir(parents=True)
    coarse = np.random.default_rng(0).uniform(0.3, 1, (HEIGHT // 8, WIDTH // 8, 1))
    wall = (np.kron(coarse, np.full((8, 8, 3), 150))).astype(np.uint8)
    frames = np.repeat(wall[None], FRAMES, 0)
    depth = np.full((FRAMES, HEIGHT, WIDTH), WALL_M, np.float16)
    for i in range(FRAMES):
        frames[i, 40 : 40 + SIDE, left(i) : left(i) + SIDE] = (220, 40, 30)
        depth[i, 40 : 40 + SIDE, left(i) : left(i) + SIDE] = BALL_M
        zeros = np.zeros((1, 3), "f4")
        ones = np.ones(1, "f4")
        write_ply(folder / cloud_file(i), Points(zeros, zeros.astype("u1"), ones, ones, ones > 2))
    write_video(folder / SOURCE_VIDEO, frames, Fraction(25))
    np.savez_compressed(folder / DEPTH, depth_m=depth)
    write_wav(folder / "audio/ball.wav", np.zeros(100, "f4"), 48000)
    boxes = np.full((FRAMES, 4), np.nan)
    boxes[0] = left(0) / WIDTH, 40 / HEIGHT, (left(0) + SIDE) / WIDTH, (40 + SIDE) / HEIGHT
    wrong = np.tile([9.0, 9.0, 9.0], (FRAMES, 1))
    track = SourceTrack(
        "ball",
        "audio/ball.wav",
        wrong,
        wrong,
        boxes,
        np.ones(FRAMES),
        np.zeros(FRAMES, bool),
        "motion",
    )
    bundle = Bundle(
        folder=folder,
        name="ball",
        frame_rate=Fraction(25),
        intrinsics=K,
        cameras=np.repeat(LOOKING_NORTH[None], FRAMES, 0),
        metric=True,
        metres_per_unit=1.0,
        depth_info={"approximate": False, "move_limit_deg": None, "assumptions": {}},
        has_background=False,
        sources=(track,),
        room=Room("free_field", (0.0, 3.0, 0.0), (5.0, 8.0, 3.0), 0.0, 0.5),
        provenance=(),
    )
    write_bundle_json(bundle)
    return folder


def run(folder: Path, output: Path, **values: Any) -> dict[str, Any]:
    job = {"bundle": str(folder), "source": "ball", "output": str(output), **values}
    return json.loads(retrack(RetrackSettings.from_json(job), SILENT).read_text())


@pytest.mark.parametrize(
    ("direction", "first", "end"), [("forward", 4, FRAMES), ("backward", 0, 5), ("both", 0, FRAMES)]
)
def test_the_object_is_followed_from_the_frame(
    folder: Path, tmp_path: Path, direction: str, first: int, end: int
) -> None:
    before = (folder / "bundle.json").read_bytes()
    track = run(folder, tmp_path / "t.json", frame=4, point=list(centre(4)), direction=direction)
    assert track["first"] == first
    assert len(track["confidence"]) == len(track["filled"]) == end - first
    right = np.array([truth(i) for i in range(first, end)])
    assert np.linalg.norm(np.array(track["positions"]) - right, axis=1).max() < HALF_BOX_M
    assert min(track["confidence"]) > 0.5
    assert (folder / "bundle.json").read_bytes() == before


def test_a_place_in_the_scene_does_as_well(folder: Path, tmp_path: Path) -> None:
    """Only the direction from the camera counts: the depth is the video's."""
    track = run(folder, tmp_path / "t.json", frame=2, position=(truth(2) * 1.3).tolist())
    assert np.linalg.norm(np.array(track["positions"][0]) - truth(2)) < HALF_BOX_M


def test_what_is_not_possible_is_told(folder: Path, tmp_path: Path) -> None:
    for change, words in (
        ({"frame": FRAMES, "point": [0.5, 0.5]}, "no frame"),
        ({"source": "cat", "point": [0.5, 0.5]}, "source cat"),
        ({"point": [1.5, 0.5]}, "outside the picture"),
        ({"position": [0, -3, 0]}, "outside the picture"),
        ({}, 'give "point" or "position"'),
        ({"point": [0.5, 0.5], "direction": "up"}, "up"),
    ):
        with pytest.raises(Sonic4DError, match=words):
            run(folder, tmp_path / "t.json", **{"frame": 1, **change})
    assert not list(tmp_path.iterdir())


def test_a_damaged_depth_is_told(folder: Path, tmp_path: Path) -> None:
    bundle = read_bundle(folder)
    whole = bundle.path(DEPTH).read_bytes()
    try:
        bundle.path(DEPTH).write_bytes(whole[:100])
        with pytest.raises(Sonic4DError, match="depth of ball.sonic4d is damaged"):
            run(folder, tmp_path / "t.json", frame=1, point=[0.5, 0.5])
    finally:
        bundle.path(DEPTH).write_bytes(whole)
