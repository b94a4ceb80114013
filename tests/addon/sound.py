"""Sounds, scenes that make them, and what is in a finished file."""

from __future__ import annotations

import io
import os
import subprocess
import wave
from pathlib import Path

import bpy
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
OVERRIDE = "SONIC4D_BACKEND_PYTHON"
RATE_HZ = 48000
SPEED_OF_SOUND_M_S = 343.0

# The real backend: the one that scripts/test.py names, else the one that it made.
os.environ.setdefault(OVERRIDE, str(ROOT / ".venv/backend/bin/python"))

# Every channel of the first sound track, as the decoder gives it: (channels, samples) float32.
_DECODE = """
import io, sys, av, numpy
with av.open(sys.argv[1]) as file:
    resampler = av.AudioResampler(format="fltp")
    frames = [new.to_ndarray() for old in file.decode(audio=0) for new in resampler.resample(old)]
whole = io.BytesIO()
numpy.save(whole, numpy.concatenate(frames, axis=1))
sys.stdout.buffer.write(whole.getvalue())  # numpy itself can't always write to a pipe
"""
_DESCRIBE = """
import sys, av
with av.open(sys.argv[1]) as file:
    video, audio = file.streams.video[0], file.streams.audio[0]
    frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video)]
print(video.average_rate, len(frames), video.width, video.height, audio.rate, audio.channels,
      audio.codec_context.name, *frames[0].mean(axis=(0, 1)).round().astype(int))
"""


def backend(*arguments: str) -> bytes:
    """What the backend's Python prints."""
    return subprocess.run(
        [os.environ[OVERRIDE], *arguments], check=True, capture_output=True
    ).stdout


def read_audio(path: Path) -> np.ndarray:
    return np.load(io.BytesIO(backend("-c", _DECODE, str(path))))


def describe(path: Path) -> list[str]:
    """Frame rate, frames, width, height, sound rate, channels, sound codec; mean red, green, blue of the first frame."""
    return backend("-c", _DESCRIBE, str(path)).decode().split()


def write_wav(path: Path, samples: np.ndarray) -> Path:
    """Mono, 16 bit. samples (n,) in -1..1."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes(np.round(samples * 32767).astype("<i2").tobytes())
    return path


def impulse(path: Path) -> Path:
    """Sounds at its very first sample, then never again."""
    samples = np.zeros(RATE_HZ // 10)
    samples[0] = 1.0
    return write_wav(path, samples)


def noise(path: Path, seconds: float) -> Path:
    generator = np.random.default_rng(7)
    return write_wav(path, generator.uniform(-0.5, 0.5, round(seconds * RATE_HZ)))


def make_scene(
    folder: Path,
    sound: Path,
    *,
    frame_start: int = 1,
    frame_count: int = 8,
    fps: int = 24,
    fps_base: float = 1.0,
    place: tuple[float, float, float] = (0.0, 0.0, -3.0),
) -> bpy.types.Scene:
    """A saved file: a camera at the origin that looks down on a source at `place`, without a room.

    The listener is two microphones: they hear a sound exactly when its distance says, a head about then.
    """
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = frame_start, frame_start + frame_count - 1
    scene.render.fps, scene.render.fps_base = fps, fps_base
    scene.render.resolution_x = scene.render.resolution_y = 32
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 1
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    source = bpy.data.objects.new("Source", None)
    source.location = place
    for item in (camera, source):
        scene.collection.objects.link(item)
    scene.camera = camera
    source.sonic4d.is_source = True
    source.sonic4d.audio_path = str(sound)
    source.sonic4d.audio_frame = frame_start
    scene.sonic4d.room_kind, scene.sonic4d.mode = "free_field", "paper"
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "shot.blend"))
    return scene
