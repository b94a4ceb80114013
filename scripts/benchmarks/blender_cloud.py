"""What a large scene costs in Blender: import, change of frame, reading a long camera path, memory.

    python scripts/benchmarks/blender_cloud.py          in a Python that has bpy
    blender -b --factory-startup --python scripts/benchmarks/blender_cloud.py

49 frames of 300 000 points each.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import bpy
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "sonic4d_extension"
POINTS, FRAMES, PATH_FRAMES = 300_000, 49, 1000
NORTH = [[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]
POINT = np.dtype(
    [(axis, "<f4") for axis in "xyz"]
    + [(colour, "u1") for colour in ("red", "green", "blue")]
    + [(name, "<f4") for name in ("confidence", "radius", "synthetic")]
)


def write_cloud(path: Path, frame: int) -> None:
    rng = np.random.default_rng(frame)
    points = np.zeros(POINTS, POINT)
    for axis, reach in (("x", 4), ("y", 8), ("z", 3)):
        points[axis] = rng.uniform(0, reach, POINTS)
    points["red"], points["confidence"], points["radius"] = 200, 1, 0.01
    kinds = {"f": "float", "u": "uchar"}
    lines = [f"property {kinds[POINT[name].kind]} {name}" for name in POINT.names]
    head = ["ply", "format binary_little_endian 1.0", f"element vertex {POINTS}", *lines]
    path.write_bytes("\n".join([*head, "end_header\n"]).encode() + points.tobytes())


def write_bundle(folder: Path) -> Path:
    (folder / "cloud").mkdir(parents=True)
    for frame in range(FRAMES):
        write_cloud(folder / f"cloud/f_{frame + 1:04}.ply", frame)
    for name in ("source.mp4", "noise.wav"):
        (folder / name).write_bytes(b"")
    places = np.stack([np.linspace(-1, 1, FRAMES), np.full(FRAMES, 4), np.ones(FRAMES)], axis=1)
    size = {"width": 640, "height": 360, "fx": 500, "fy": 500, "cx": 320, "cy": 180}
    source = {
        "name": "bird",
        "audio": "noise.wav",
        "positions": places.tolist(),
        "confidence": [1.0] * FRAMES,
        "found_by": "motion",
    }
    room = {"kind": "shoebox", "center": [0, 4, 1], "size": [8, 9, 3], "yaw_deg": 0, "rt60_s": 0.4}
    data = {
        "sonic4d_bundle": 1,
        "name": "large",
        "frame_rate": "24",
        "frame_count": FRAMES,
        "intrinsics": size,
        "cameras": [NORTH] * FRAMES,
        "depth": {"approximate": True, "move_limit_deg": None},
        "has_background": False,
        "sources": [source],
        "room": room,
        "warnings": [],
        "credits": "",
    }
    (folder / "bundle.json").write_text(json.dumps(data))
    return folder


def memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(call: object, *arguments: object) -> float:
    """Seconds of this process's own time, which other programs don't lengthen."""
    begin = time.process_time()
    call(*arguments)
    return time.process_time() - begin


def measure(folder: Path) -> dict[str, float | str]:
    bundle = write_bundle(folder / "large.sonic4d")
    scene = bpy.context.scene
    before_mb = memory_mb()
    found: dict[str, float | str] = {"blender": bpy.app.version_string}
    found["import_s"] = timed(lambda: bpy.ops.sonic4d.import_bundle(filepath=str(bundle)))
    frames = range(scene.frame_start, scene.frame_end + 1)
    cold = [timed(scene.frame_set, frame) for frame in frames]
    warm = [timed(scene.frame_set, frame) for frame in frames]
    found["cold_frame_ms"] = 1000 * float(np.median(cold))
    found["cold_frame_worst_ms"] = 1000 * max(cold)
    found["warm_frame_ms"] = 1000 * float(np.median(warm))
    found["memory_mb"] = memory_mb() - before_mb
    scene.frame_end = PATH_FRAMES
    camera = scene.camera
    for frame in range(1, PATH_FRAMES + 1, 10):
        camera.location = (np.sin(frame / 40), frame / PATH_FRAMES, 1.6)
        camera.keyframe_insert("location", frame=frame)
    shot = importlib.import_module(f"{PACKAGE}.blender_addon.scene.shot")
    sampling = importlib.import_module(f"{PACKAGE}.blender_addon.scene.sampling")
    found["path_s"] = timed(lambda: sampling.finish(shot.read_shot(scene.session_uid)))
    return found


def main() -> None:
    spec = importlib.util.spec_from_file_location(
        PACKAGE, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    extension = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = extension
    spec.loader.exec_module(extension)
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    extension.register()
    try:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measure(Path(folder)), indent=1), flush=True)
    finally:
        extension.unregister()


main()
