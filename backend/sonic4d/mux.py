"""A finished picture and a finished sound as one movie, neither of them changed (`sonic4d mux`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import checks
from .files import check_new_file
from .monitor import Monitor
from .protocol import Sonic4DError

CODECS = ("aac", "flac", "pcm")
# What players expect in which container.
CONTAINERS = {".mp4": ("aac", "flac"), ".mov": ("aac", "pcm"), ".mkv": CODECS}
PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp")
MAX_FRAMES = 10_000_000


@dataclass(frozen=True)
class MuxSettings:
    """`picture`: a movie, whose picture is copied as it is, or a folder of numbered pictures at `frame_rate`. `audio`: a sound
    file that begins `audio_start` frames after the picture (may be negative) and is heard from frame `heard[0]` up to
    `heard[1]` only. `codec`: see `media.sound_track.Sound`.
    """

    picture: Path
    audio: Path
    output: Path
    codec: str = "aac"
    frame_rate: Fraction | None = None
    audio_start: int = 0
    heard: tuple[int, int] | None = None

    @classmethod
    def from_json(cls, data: Any) -> MuxSettings:
        names = tuple(entry.name for entry in fields(cls))
        data = dict(checks.fields(data, "mux job", ("picture", "audio", "output"), names))
        for key in ("picture", "audio", "output"):
            data[key] = Path(checks.text(data[key], key))
        data["codec"] = checks.text(data.get("codec", cls.codec), "codec", CODECS)
        if data.get("frame_rate") is not None:
            data["frame_rate"] = checks.frame_rate(data["frame_rate"], "frame_rate")
        start = data.get("audio_start", 0)
        data["audio_start"] = checks.integer(start, "audio_start", -MAX_FRAMES, MAX_FRAMES)
        if data.get("heard") is not None:
            first, end = checks.array(data["heard"], "heard", (2,))
            data["heard"] = (round(first), round(end))
        settings = cls(**data)
        suffix = settings.output.suffix.lower()
        if settings.codec not in CONTAINERS.get(suffix, ()):
            fitting = [name for name, codecs in CONTAINERS.items() if settings.codec in codecs]
            raise checks.fail("output", f"{settings.codec} sound goes into {' or '.join(fitting)}")
        return settings


def mux(settings: MuxSettings, monitor: Monitor) -> Path:
    """Write the movie; returns its path. Its sound is exactly as long as its picture: cut, or followed by silence.

    Raises `Sonic4DError`; then nothing is left behind.
    """
    from .media.remux import copy_picture
    from .media.sound_track import Sound
    from .media.video import write_video

    check_new_file(settings.output)
    folder = settings.picture.is_dir()
    if folder and settings.frame_rate is None:
        raise Sonic4DError(
            "bad_option", "frame_rate: pictures in a folder need it.", "Give the frame rate."
        )

    def sound(rate: Fraction) -> Sound:
        heard = settings.heard
        return Sound(
            settings.audio,
            settings.codec,
            settings.audio_start / rate,
            heard and (heard[0] / rate, heard[1] / rate),
        )

    if folder:
        rate = settings.frame_rate
        files = numbered_pictures(settings.picture)
        write_video(
            settings.output, _pictures(files), rate, sound(rate), monitor, len(files), "mux"
        )
    else:
        copy_picture(settings.picture, settings.output, sound, monitor)
    monitor.artifact("movie", settings.output)
    return settings.output


def numbered_pictures(folder: Path) -> list[Path]:
    """The pictures of a folder by the last number in their names. Raises `Sonic4DError` for gaps and for none at all."""
    try:
        files = [path for path in folder.iterdir() if path.suffix.lower() in PICTURES]
    except OSError as error:
        raise Sonic4DError("unreadable_file", f"{folder} can't be read: {error}.") from None
    numbered = sorted((_number(path), path) for path in files)
    if not numbered:
        raise Sonic4DError(
            "no_pictures",
            f"{folder} holds no pictures that can be read ({', '.join(PICTURES)}).",
            "Render PNG pictures or a movie.",
        )
    for (before, _), (after, path) in zip(numbered, numbered[1:], strict=False):
        if after != before + 1:
            raise Sonic4DError(
                "pictures_missing",
                f"The pictures in {folder} are not one sequence: {path.name} follows number {before}.",
                "Render what is missing, or keep one sequence in a folder.",
            )
    return [path for _, path in numbered]


def _number(path: Path) -> int:
    numbers = re.findall(r"\d+", path.stem)
    return int(numbers[-1]) if numbers else 0


def _pictures(files: list[Path]) -> Iterator[npt.NDArray[np.uint8]]:
    """Frames (H, W, 3) RGB of even size, all as large as the first."""
    import cv2

    size: tuple[int, int] | None = None
    for path in files:
        data = np.fromfile(path, np.uint8)
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if len(data) else None
        if picture is None:
            raise Sonic4DError("bad_picture", f"{path} is damaged.", "Render it again.")
        height, width = (side // 2 * 2 for side in picture.shape[:2])
        if size not in (None, (height, width)) or not height or not width:
            raise Sonic4DError(
                "bad_picture",
                f"{path.name} is {width} x {height} pixels large, unlike those before it.",
                "Keep one sequence in a folder.",
            )
        size = height, width
        yield picture[:height, :width]
