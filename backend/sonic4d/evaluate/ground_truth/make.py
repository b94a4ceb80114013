"""Make the ground-truth set: scenes rendered by Blender with everything known about them (`sonic4d evaluate make-set`)."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import OpenEXR
import soundfile

from ...files import new_folder, write_json
from ...geometry.cameras import project
from ...media.audio import write_wav
from ...media.video import write_video
from ...monitor import Monitor
from ...protocol import Sonic4DError
from ...shot import RenderSettings
from ..settings import MakeSetSettings
from . import reference
from .scenes import (
    BODY_HEIGHT_M,
    BODY_RADIUS_M,
    CAMERA,
    FLOOR_M,
    FRAME_RATE,
    FRAMES,
    SET_VERSION,
    SOUNDS,
    Scene,
    scenes,
)
from .truth import CLIP, DEPTH, REFERENCE, SET, TRUTH, TrueSource, Truth

Array = npt.NDArray[np.float64]

RATE_HZ = 48000
SAMPLES = 4  # of Cycles, a pixel: only edges need more than one
SKY_M = 1000.0
SCRIPT = Path("blender_addon", "ground_truth.py")


def make_set(settings: MakeSetSettings, monitor: Monitor) -> Path:
    """Render the set into a new folder. The same on every machine but for what Blender versions render differently."""
    chosen = [scene for scene in scenes() if scene.name in settings.scenes or not settings.scenes]
    command = _blender(settings.blender)
    total = len(chosen) * FRAMES
    with new_folder(settings.output) as folder:
        for index, scene in enumerate(chosen):
            _make_scene(folder / scene.name, scene, command, monitor, index * FRAMES, total)
        names = [scene.name for scene in chosen]
        write_json(folder / SET, {"sonic4d_truth_set": SET_VERSION, "scenes": names})
    monitor.artifact("truth_set", settings.output)
    return settings.output


def _blender(chosen: str) -> list[str]:
    """How to run the script that renders: the command in front of its argument."""
    script = Path(__file__).resolve().parents[4] / SCRIPT
    if not script.is_file():
        raise Sonic4DError(
            "missing_file",
            f"There is no {SCRIPT} beside this installation.",
            "Run this from a copy of the project's repository (pip install --editable ./backend).",
        )
    program = shutil.which(chosen or os.environ.get("BLENDER") or "blender")
    if program is None:
        raise Sonic4DError(
            "missing_blender",
            f"{chosen or 'Blender'} was not found.",
            "Give --blender the path of Blender, or of a Python that has bpy.",
        )
    if Path(program).name.lower().startswith("python"):
        return [program, str(script)]
    options = ["-b", "--factory-startup", "--python-exit-code", "1"]
    return [program, *options, "--python", str(script), "--"]


def _make_scene(
    folder: Path, scene: Scene, command: list[str], monitor: Monitor, done: int, total: int
) -> None:
    (folder / "audio").mkdir(parents=True)
    sounds = {source.sound: _sound(source.sound) for source in scene.sources}
    for name, sound in sounds.items():
        write_wav(folder / "audio" / f"{name}.wav", sound, RATE_HZ)
    with tempfile.TemporaryDirectory() as work:
        pictures = Path(work)
        for frame in _render(scene, pictures, command, monitor):
            monitor.progress("render", done + frame, total, scene.name)
        frames, depth_m = zip(
            *(_read_exr(pictures / f"f_{i + 1:04}.exr") for i in range(FRAMES)), strict=True
        )
        mix = pictures / "mix.wav"
        write_wav(mix, np.sum(list(sounds.values()), axis=0) / len(sounds), RATE_HZ)
        write_video(folder / CLIP, frames, FRAME_RATE, mix, monitor, FRAMES)
    np.savez_compressed(folder / DEPTH, depth_m=np.stack(depth_m))
    truth = _truth(folder, scene)
    write_json(folder / TRUTH, truth.to_json())
    if reference.available():
        dry = [sounds[source.sound] for source in scene.sources]
        spacing_m = RenderSettings().mic_spacing_m
        heard = reference.render_reference(truth, dry, RATE_HZ, spacing_m, monitor)
        soundfile.write(folder / REFERENCE, heard.T, RATE_HZ, subtype="FLOAT")


def _truth(folder: Path, scene: Scene) -> Truth:
    sources = tuple(
        TrueSource(
            source.sound,
            SOUNDS.index(source.sound),
            f"audio/{source.sound}.wav",
            source.positions,
            _boxes(source.positions, scene.cameras),
        )
        for source in scene.sources
    )
    return Truth(
        folder, scene.name, scene.about, FRAME_RATE, CAMERA, scene.cameras, scene.room, sources
    )


def _boxes(positions: Array, cameras: Array) -> Array:
    """What the bodies cover of the picture (n_frames, 4), NaN where it is less than half of one."""
    angles = np.linspace(0, 2 * np.pi, 32)
    ring = BODY_RADIUS_M * np.stack([np.cos(angles), np.sin(angles), np.zeros(32)], axis=1)
    heights = np.array([-0.5, 0.3, 0.5]) * BODY_HEIGHT_M
    thickness = np.array([1.0, 1.0, 0.3])  # the head is round
    outline = np.concatenate(
        [ring * t + [0, 0, h] for h, t in zip(heights, thickness, strict=True)]
    )
    boxes = np.full((len(positions), 4), np.nan)
    for box, place, pose in zip(boxes, positions, cameras, strict=True):
        u, v, z = project(place + outline, CAMERA, pose)
        if (z > 0).all():
            whole = np.array([u.min(), v.min(), u.max(), v.max()])
            size = np.tile([CAMERA.width, CAMERA.height], 2)
            seen = np.clip(whole, 0, size)
            if (seen[2] - seen[0]) >= (whole[2] - whole[0]) / 2:
                box[:] = seen
    return boxes


def _sound(name: str) -> npt.NDArray[np.float32]:
    file = resources.files(__package__) / "sounds" / f"{name}.flac"
    with resources.as_file(file) as path:
        samples, _ = soundfile.read(path, dtype="float32")
    return samples[: round(FRAMES / FRAME_RATE * RATE_HZ)]


def _render(scene: Scene, folder: Path, command: list[str], monitor: Monitor) -> Iterator[int]:
    """Let Blender render the scene's pictures into `folder`; yields how many are done."""
    half = np.array(scene.room.size) / 2
    description = {
        "output": str(folder),
        "first": 0,
        "end": FRAMES,
        "samples": SAMPLES,
        "width": CAMERA.width,
        "height": CAMERA.height,
        "fov_deg": CAMERA.horizontal_fov_deg,
        "indoors": scene.indoors,
        "low": (np.array(scene.room.center) - half).tolist(),
        "high": (np.array(scene.room.center) + half).tolist(),
        "cameras": scene.cameras.tolist(),
        "sources": [{"positions": source.positions.tolist()} for source in scene.sources],
        "body_height": BODY_HEIGHT_M,
        "body_radius": BODY_RADIUS_M,
        "props": [
            {
                "center": (*prop.place, FLOOR_M + prop.size[2] / 2),
                "size": prop.size,
                "grey": prop.grey,
            }
            for prop in scene.props
        ],
    }
    job = folder / "scene.json"
    job.write_text(json.dumps(description), encoding="utf-8")
    process = subprocess.Popen(
        [*command, str(job)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_read_lines, args=(process, lines), daemon=True).start()
    tail: list[str] = []
    try:
        while True:
            try:
                line = lines.get(timeout=0.1)
            except queue.Empty:
                monitor.check()
                continue
            if line is None:
                break
            tail = [*tail[-5:], line.strip()]
            word, _, number = line.partition(" ")
            if word == "frame" and number.strip().isdigit():
                yield int(number)
    finally:
        process.kill()
        process.wait()
    if not (folder / f"f_{FRAMES:04}.exr").is_file():
        raise Sonic4DError(
            "blender_failed",
            f"Blender did not render the scene {scene.name}: {' / '.join(tail)}",
            "Check that this Blender is 4.5 or newer and runs.",
        )


def _read_lines(process: subprocess.Popen[str], lines: queue.SimpleQueue[str | None]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put(None)


def _read_exr(path: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """Picture (H, W, 3) as on a screen (sRGB) and depth (H, W) in metres, NaN for the sky."""
    with OpenEXR.File(str(path), separate_channels=True) as file:
        channels = {
            name.rpartition("ViewLayer.")[2]: channel.pixels
            for part in file.parts
            for name, channel in part.channels.items()
        }
    linear = np.stack([channels[f"Combined.{c}"] for c in "RGB"], axis=-1).astype(np.float32)
    depth = next(v for k, v in channels.items() if k.startswith("Depth.")).astype(np.float32)
    linear = np.clip(linear, 0, 1)
    # IEC 61966-2-1.
    screen = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    picture = cv2.convertScaleAbs(screen, alpha=255)
    return picture, np.where(depth < SKY_M, depth, np.nan).astype(np.float32)
