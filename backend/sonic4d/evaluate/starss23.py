"""STARSS23 (Shimada et al., 2023): real rooms with 360 degree video, first-order Ambisonics and labelled positions.

Reads a user's copy as published (metadata_dev, foa_dev, video_dev, each with folders such as dev-train-sony), cuts clips of musical
instruments as seen by an ordinary camera, as the paper does, and scores where they are found.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import soundfile

from ..bundle import read_bundle
from ..files import new_folder, write_json
from ..generate import generate
from ..geometry.cameras import LOOKING_NORTH, Intrinsics
from ..media.audio import write_wav
from ..media.video import read_clip, write_video
from ..monitor import Monitor
from ..protocol import Sonic4DError
from ..settings import GenerateSettings
from .ground_truth.truth import labels
from .seld import score
from .seld_labels import FRAME_S, Labels, read_labels, write_labels
from .settings import StarssSettings

Array = npt.NDArray[np.float64]

INSTRUMENT = 9  # class of STARSS23's labels
CLIP_S = 5.0
CAMERA = Intrinsics.from_horizontal_fov(640, 360, 75.0)
HEIGHT_PX = 960  # of the panoramas, as published


@dataclass(frozen=True)
class Recording:
    """Files of one recording of the data set, and its labels."""

    name: str
    labels: Labels
    sound: Path
    video: Path


@dataclass(frozen=True)
class View:
    """An ordinary camera's view of a part of a recording: where it looks (degrees, as in the labels), from when, and the labels seen
    from it, which count from the part's start."""

    recording: Recording
    start_s: float
    azimuth_deg: float
    labels: Labels


def read_starss23(folder: Path) -> list[Recording]:
    """The recordings of a copy that have sound and video. Raises `Sonic4DError` where it is none."""
    found = []
    for path in sorted((folder / "metadata_dev").rglob("*.csv")):
        part = path.relative_to(folder / "metadata_dev").with_suffix("")
        sound = (folder / "foa_dev" / part).with_suffix(".wav")
        video = (folder / "video_dev" / part).with_suffix(".mp4")
        if sound.is_file() and video.is_file():
            found.append(Recording(part.name, read_labels(path), sound, video))
    if not found:
        raise Sonic4DError(
            "missing_file",
            f"{folder} holds no copy of STARSS23 with sound and video.",
            "It should hold metadata_dev, foa_dev and video_dev, as published.",
        )
    return found


def views(recording: Recording) -> Iterator[View]:
    """Parts of `CLIP_S` in which exactly one instrument is there all the time, and stays in the picture."""
    length = round(CLIP_S / FRAME_S)
    half_deg = CAMERA.horizontal_fov_deg / 2
    for start in range(0, max(recording.labels, default=0) - length + 1, length):
        frames = [
            [e for e in recording.labels.get(frame, []) if e.class_index == INSTRUMENT]
            for frame in range(start, start + length)
        ]
        if any(len(events) != 1 for events in frames):
            continue
        azimuths = np.radians([events[0].azimuth_deg for events in frames])
        middle = math.degrees(math.atan2(np.sin(azimuths).mean(), np.cos(azimuths).mean()))
        seen: Labels = {
            number: [replace(events[0], azimuth_deg=_turned(events[0].azimuth_deg, -middle))]
            for number, events in enumerate(frames)
        }
        if all(abs(events[0].azimuth_deg) < 0.8 * half_deg for events in seen.values()):
            yield View(recording, start * FRAME_S, middle, seen)


def evaluate_starss23(settings: StarssSettings, monitor: Monitor) -> Path:
    """Cut the clips, generate a scene bundle of each, and score its source against the labels; writes report.json beside the clips."""
    found = [view for one in read_starss23(settings.folder) for view in views(one)]
    if not found:
        raise Sonic4DError(
            "no_clips",
            f"No part of {settings.folder} shows one instrument for {CLIP_S:g} s.",
            "Use all of the data set's recordings with instruments.",
        )
    chosen = found[: settings.limit]
    pairs, rows = [], []
    with new_folder(settings.output) as folder:
        for number, view in enumerate(chosen):
            name = f"{view.recording.name}-{view.start_s:g}s"
            monitor.progress("clips", number, len(chosen), name)
            (folder / name).mkdir()
            clip = write_view(folder / name, view, monitor)
            estimate, problem = _found(clip, folder / name, monitor)
            pairs.append((view.labels | {len(view.labels): [view.labels[0][0]]}, estimate))
            figures = score(pairs[-1:], average="micro").to_json()
            rows.append(
                {"clip": name, "azimuth_deg": view.azimuth_deg, "problem": problem, **figures}
            )
        report: dict[str, Any] = {
            "sonic4d_starss23": 1,
            "clips": rows,
            "all": score(pairs, average="micro").to_json(),
        }
        write_json(folder / "report.json", report)
    monitor.artifact("report", settings.output / "report.json")
    return settings.output / "report.json"


def write_view(folder: Path, view: View, monitor: Monitor) -> Path:
    """Write clip.mp4 (the view, with the microphones' omnidirectional sound) and labels.csv into the folder."""
    panorama = read_clip(
        view.recording.video, view.start_s, CLIP_S, height=HEIGHT_PX, monitor=monitor
    )
    columns, rows = _panorama_pixels(
        view.azimuth_deg, panorama.frames.shape[2], panorama.frames.shape[1]
    )
    frames = [
        cv2.remap(frame, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        for frame in panorama.frames
    ]
    sound = folder / "omni.wav"
    write_wav(sound, *_omni(view))
    clip = folder / "clip.mp4"
    write_video(clip, frames, panorama.frame_rate, sound, monitor, len(frames))
    write_labels(folder / "labels.csv", view.labels)
    return clip


def _omni(view: View) -> tuple[npt.NDArray[np.float32], int]:
    """W of the part, and its rate in hertz."""
    try:
        with soundfile.SoundFile(view.recording.sound) as file:
            rate = file.samplerate
            file.seek(min(round(view.start_s * rate), file.frames))
            samples = file.read(round(CLIP_S * rate), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise Sonic4DError("bad_audio", f"{view.recording.sound}: {error}", "") from None
    return np.ascontiguousarray(samples[:, 0]), rate


def _panorama_pixels(
    azimuth_deg: float, width: int, height: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Where each pixel of the view lies in an equirectangular picture whose middle is azimuth 0, with +90 at its left quarter."""
    u, v = np.meshgrid(np.arange(CAMERA.width) + 0.5, np.arange(CAMERA.height) + 0.5)
    left = -(u - CAMERA.cx) / CAMERA.fx
    up = -(v - CAMERA.cy) / CAMERA.fy
    azimuths = np.arctan2(left, 1.0) + math.radians(azimuth_deg)
    elevations = np.arctan2(up, np.hypot(left, 1.0))
    columns = (0.5 - azimuths / (2 * np.pi)) % 1 * width - 0.5
    rows = (0.5 - elevations / np.pi) * height - 0.5
    return columns.astype(np.float32), rows.astype(np.float32)


def _found(clip: Path, folder: Path, monitor: Monitor) -> tuple[Labels, str]:
    """Labels of the source that is found in the clip, or none and why."""
    options = {
        "video": str(clip),
        "output": str(folder / "scene.sonic4d"),
        "fov_deg": CAMERA.horizontal_fov_deg,
        "max_points": 20_000,
    }
    quiet = replace(monitor, report=lambda event: None)
    try:
        bundle = read_bundle(generate(GenerateSettings.from_json(options), quiet))
    except Sonic4DError as error:
        return {}, error.message
    positions = bundle.sources[0].positions
    level = np.repeat(LOOKING_NORTH[None], len(positions), axis=0)
    level[:, :3, 3] = bundle.cameras[:, :3, 3]
    return labels([(INSTRUMENT, positions)], level, Fraction(bundle.frame_rate)), ""


def _turned(azimuth_deg: float, by_deg: float) -> float:
    return (azimuth_deg + by_deg + 180) % 360 - 180
