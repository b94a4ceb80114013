"""A small scene bundle on disk, written without the code that is tested."""

from __future__ import annotations

import json
import wave
from collections.abc import Sequence
from pathlib import Path

import bpy
import numpy as np

POINT = np.dtype(
    [(axis, "<f4") for axis in "xyz"]
    + [(colour, "u1") for colour in ("red", "green", "blue")]
    + [(name, "<f4") for name in ("confidence", "radius", "synthetic")]
)
TYPES = {"f": "float", "u": "uchar"}
NORTH = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])

INTRINSICS = {"width": 320, "height": 180, "fx": 300.0, "fy": 290.0, "cx": 150.5, "cy": 95.0}
COUNTS = (5, 4, 0, 7)  # points of each frame; one has none


def frame_points(index: int, count: int) -> np.ndarray:
    """Points that say by their place and colour which frame they are of."""
    points = np.zeros(count, POINT)
    points["x"] = np.arange(count) * 0.1 - 0.2
    points["y"] = 5 + index
    points["z"] = index * 0.5
    points["red"], points["green"], points["blue"] = 255, 128, 25 * index % 256
    points["confidence"] = np.linspace(0.1, 1, count)
    points["radius"] = 0.05
    points["synthetic"] = np.arange(count) % 2
    return points


def write_ply(path: Path, points: np.ndarray) -> None:
    properties = [
        f"property {TYPES[points.dtype[name].kind]} {name}" for name in points.dtype.names
    ]
    header = [
        "ply",
        "format binary_little_endian 1.0",
        f"element vertex {len(points)}",
        *properties,
    ]
    path.write_bytes("\n".join([*header, "end_header\n"]).encode() + points.tobytes())


def source_positions(count: int) -> np.ndarray:
    return np.stack(
        [np.linspace(-1, 1, count), np.full(count, 6.0), np.linspace(0, 0.5, count)], axis=1
    )


def write_video(path: Path, count: int) -> None:
    """Render a few frames of a coloured strip."""
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    scene = bpy.context.scene
    editor = scene.sequence_editor_create()
    strip = editor.strips.new_effect(
        name="Colour", type="COLOR", channel=1, frame_start=1, **{_length_key(): _length(count)}
    )
    strip.color = (0.2, 0.4, 0.6)
    scene.frame_end = count
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = 320, 180, 100
    if hasattr(render.image_settings, "media_type"):
        render.image_settings.media_type = "VIDEO"
    render.image_settings.file_format = "FFMPEG"
    render.ffmpeg.format, render.ffmpeg.codec = "MPEG4", "H264"
    render.use_file_extension = False
    render.filepath = str(path)
    bpy.ops.render.render(animation=True)


def _length_key() -> str:
    return "length" if bpy.app.version >= (5, 0, 0) else "frame_end"


def _length(count: int) -> int:
    return count if bpy.app.version >= (5, 0, 0) else count + 1


def write_bundle(
    folder: Path,
    video: Path,
    *,
    frame_rate: str = "24",
    counts: Sequence[int] = COUNTS,
    cameras: np.ndarray | None = None,
    move_limit_deg: float | None = 20.0,
) -> Path:
    n = len(counts)
    (folder / "cloud").mkdir(parents=True)
    (folder / "audio").mkdir()
    for i, count in enumerate(counts):
        write_ply(folder / f"cloud/f_{i + 1:04}.ply", frame_points(i, count))
    write_ply(folder / "background.ply", frame_points(9, 6))
    (folder / "source.mp4").write_bytes(video.read_bytes())
    (folder / "depth.npz").write_bytes(b"")
    with wave.open(str(folder / "audio/bird.wav"), "wb") as file:
        file.setparams((1, 2, 48000, 0, "NONE", ""))
        file.writeframes(np.zeros(4800, "<i2").tobytes())
    positions = source_positions(n)
    data = {
        "sonic4d_bundle": 1,
        "name": folder.stem,
        "frame_rate": frame_rate,
        "frame_count": n,
        "intrinsics": INTRINSICS,
        "cameras": (np.tile(NORTH, (n, 1, 1)) if cameras is None else cameras).tolist(),
        "metric": False,
        "metres_per_unit": 1.0,
        "depth": {"approximate": True, "move_limit_deg": move_limit_deg, "assumptions": {}},
        "has_background": True,
        "sources": [
            {
                "name": "bird",
                "audio": "audio/bird.wav",
                "positions": positions.tolist(),
                "raw_positions": positions.tolist(),
                "boxes": [None] * n,
                "confidence": np.linspace(0.5, 1, n).tolist(),
                "filled": [False] * n,
                "found_by": "motion",
            }
        ],
        "room": {
            "kind": "shoebox",
            "center": [0, 3, 1.2],
            "size": [8, 10, 3],
            "yaw_deg": 30,
            "rt60_s": 0.5,
            "materials": None,
        },
        "provenance": [],
        "warnings": ["The depth is a guess."],
        "credits": "",
    }
    (folder / "bundle.json").write_text(json.dumps(data))
    return folder
