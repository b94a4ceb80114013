"""Tiny media files, made on the spot."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

ClipMaker = Callable[..., Path]


def grey_level(index: int) -> int:
    """How bright picture `index` of a default clip is: what a test recognises it by."""
    return 20 + 6 * (index % 36)


def default_frames(count: int, width: int, height: int) -> list[np.ndarray]:
    return [np.full((height, width, 3), grey_level(i), np.uint8) for i in range(count)]


@pytest.fixture
def make_clip(tmp_path: Path) -> ClipMaker:
    """make_clip(name, ...) -> path of a video written by PyAV."""

    def make(
        name: str = "clip.mp4",
        frames: Iterable[np.ndarray] | int = 10,
        size: tuple[int, int] = (64, 48),
        rate: Fraction | int = 25,
        codec: str = "libx264",
        pix_fmt: str = "yuv420p",
        stamps: list[float] | None = None,
        sound: np.ndarray | None = None,
        layout: str = "stereo",
        sound_codec: str = "aac",
        sound_start_s: float = 0.0,
        rotation: int = 0,
        pixel_aspect: Fraction | None = None,
        metadata: dict[str, str] | None = None,
        options: dict[str, str] | None = None,
        container_options: dict[str, str] | None = None,
    ) -> Path:
        path = tmp_path / name
        if isinstance(frames, int):
            frames = default_frames(frames, *size)
        with av.open(str(path), "w", container_options=container_options or {}) as out:
            out.metadata.update(metadata or {})
            video: Any = out.add_stream(codec, rate, options=options or {})
            video.width, video.height, video.pix_fmt = *size, pix_fmt
            if stamps is not None:
                video.codec_context.time_base = Fraction(1, 1000)
            if rotation:
                video.set_display_rotation(rotation)
            if pixel_aspect is not None:
                video.codec_context.sample_aspect_ratio = pixel_aspect
            voice: Any = None
            if sound is not None:
                voice = out.add_stream(sound_codec, 48000, layout=layout)
            for index, picture in enumerate(frames):
                kind = "rgba" if picture.shape[2] == 4 else "rgb24"
                frame = av.VideoFrame.from_ndarray(picture, kind).reformat(format=pix_fmt)
                if stamps is None:
                    frame.pts, frame.time_base = index, 1 / Fraction(rate)
                else:
                    frame.pts, frame.time_base = round(stamps[index] * 1000), Fraction(1, 1000)
                out.mux(video.encode(frame))
            out.mux(video.encode(None))
            if voice is not None:
                samples = np.ascontiguousarray(sound, np.float32)
                block = av.AudioFrame.from_ndarray(samples, "fltp", layout)
                block.sample_rate, block.time_base = 48000, Fraction(1, 48000)
                block.pts = round(sound_start_s * 48000)
                out.mux(voice.encode(block))
                out.mux(voice.encode(None))
        return path

    return make
