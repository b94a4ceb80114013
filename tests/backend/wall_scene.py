"""A scene with known truth, as a bundle: a painted wall, and a grey board that passes in front of it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sonic4d.bundle import (
    BACKGROUND,
    DEPTH,
    SOURCE_VIDEO,
    Bundle,
    SourceTrack,
    cloud_file,
    write_bundle_json,
)
from sonic4d.files import write_json
from sonic4d.geometry.cameras import LOOKING_NORTH, Intrinsics, back_project
from sonic4d.geometry.ply import write_ply
from sonic4d.geometry.pointcloud import lift
from sonic4d.media.audio import write_wav
from sonic4d.media.video import write_video
from sonic4d.room import Room
from sonic4d.shot import RenderSettings, Shot, ShotSource

RATE = Fraction(24000, 1001)
WALL_M, BOARD_M = 8.0, 4.0
BOARD_WIDTH_M, BOARD_HEIGHT_M = 1.0, 1.6
GREY = 128


def lens(width: int = 96, height: int = 64) -> Intrinsics:
    return Intrinsics.from_horizontal_fov(width, height, 60.0)


def moved_right(metres: float, count: int) -> npt.NDArray[np.float64]:
    """A camera that travels, (count, 4, 4)."""
    poses = np.repeat(LOOKING_NORTH[None], count, 0)
    poses[:, 0, 3] = np.linspace(0, metres, count)
    return poses


def wall(
    k: Intrinsics, pose: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """What a camera that heads north sees of the wall: picture (H, W, 3), depth (H, W)."""
    u, v = np.meshgrid(np.arange(k.width) + 0.5, np.arange(k.height) + 0.5)
    depth = WALL_M - pose[1, 3]
    place = back_project(u, v, np.full(u.shape, depth), k, pose)
    waves = [
        np.sin(1.3 * place[..., 0] + phase) * np.cos(1.1 * place[..., 2]) for phase in (0, 1, 2)
    ]
    return (128 + 100 * np.stack(waves, -1)).astype(np.uint8), np.full(u.shape, depth, np.float32)


def filmed(
    k: Intrinsics, frame: int, count: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Picture and depth of a frame of the source video: the board passes from left to right."""
    picture, depth = wall(k, LOOKING_NORTH)
    middle = k.cx + k.fx / BOARD_M * 1.6 * (2 * frame / max(count - 1, 1) - 1)
    half = k.fx / BOARD_M * BOARD_WIDTH_M / 2
    tall = k.fy / BOARD_M * BOARD_HEIGHT_M / 2
    rows = slice(round(k.cy - tall), round(k.cy + tall))
    columns = slice(max(round(middle - half), 0), max(round(middle + half), 0))
    picture[rows, columns], depth[rows, columns] = GREY, BOARD_M
    return picture, depth


def write_bundle(folder: Path, count: int = 9, size: tuple[int, int] = (96, 64)) -> Bundle:
    """NAME.sonic4d whose points are exact; every frame has all of its own, there is no background."""
    (folder / "cloud").mkdir(parents=True)
    (folder / "audio").mkdir()
    k = lens(*size)
    frames = []
    for frame in range(count):
        picture, depth = filmed(k, frame, count)
        write_ply(folder / cloud_file(frame), lift(picture, depth, k, LOOKING_NORTH))
        frames.append(picture)
    write_wav(folder / "audio/board.wav", np.zeros(48000, np.float32), 48000)
    write_video(folder / SOURCE_VIDEO, frames, RATE)
    (folder / DEPTH).write_bytes(b"")
    positions = np.tile([0.0, BOARD_M, 0.0], (count, 1))
    track = SourceTrack(
        "board",
        "audio/board.wav",
        positions,
        positions,
        np.full((count, 4), np.nan),
        np.ones(count),
        np.zeros(count, bool),
        "point",
    )
    bundle = Bundle(
        folder=folder,
        name=folder.stem,
        frame_rate=RATE,
        intrinsics=k,
        cameras=moved_right(0, count),
        metric=True,
        metres_per_unit=1.0,
        depth_info={"approximate": False, "move_limit_deg": None, "assumptions": {}},
        has_background=(folder / BACKGROUND).exists(),
        sources=(track,),
        room=Room("free_field", (0.0, 4.0, 0.0), (9.0, 9.0, 9.0), 0.0, 0.0),
        provenance=(),
    )
    write_bundle_json(bundle)
    return bundle


def write_shot(path: Path, bundle: Bundle, poses: npt.NDArray[np.float64]) -> Path:
    track = bundle.sources[0]
    audio = bundle.path(track.audio).relative_to(path.parent).as_posix()
    shot = Shot(
        name=path.stem,
        frame_rate=bundle.frame_rate,
        frame_start=1,
        frame_end=len(poses),
        listener_poses=poses,
        sources=(ShotSource(track.name, audio, track.positions[: len(poses)]),),
        room=bundle.room,
        render=RenderSettings(),
        folder=path.parent,
    )
    write_json(path, shot.to_json())
    return path
