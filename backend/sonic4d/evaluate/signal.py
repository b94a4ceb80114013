"""Does rendered sound come from where the source is? Every render mode against ground truth, by ears of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from ..acoustics.image_source import SPEED_OF_SOUND
from ..acoustics.render import render_shot
from ..monitor import Monitor
from ..room import Room
from ..shot import Normalize, RenderSettings, Shot, ShotSource
from .estimators import (
    foa_to_stereo,
    head_lateral_deg,
    intensity_direction,
    levels_lateral_deg,
    pair_lateral_deg,
)
from .ground_truth.truth import REFERENCE, TrueSource, Truth

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

RATE_HZ = 48000
WINDOW_S = 0.2
HOP_S = 0.1


@dataclass(frozen=True)
class Listening:
    """How to listen to a render: its mode and format, and the lateral angle (degrees) heard in a window of its audio."""

    name: str
    mode: str
    format: str
    lateral_deg: Callable[[Float32], float]


def _of_pair(sound: Float32) -> float:
    return pair_lateral_deg(sound, RenderSettings().mic_spacing_m, RATE_HZ)


def _of_intensity(sound: Float32) -> float:
    return float(np.degrees(np.arcsin(intensity_direction(sound)[1])))


LISTENINGS = (
    Listening("paper: delay between microphones", "paper", "binaural", _of_pair),
    Listening("fast: delay between microphones", "fast", "binaural", _of_pair),
    Listening("hifi, stereo: delay between microphones", "hifi", "stereo", _of_pair),
    Listening(
        "hifi, binaural: KEMAR's responses",
        "hifi",
        "binaural",
        lambda sound: head_lateral_deg(sound, RATE_HZ),
    ),
    Listening("hifi, AmbiX: intensity", "hifi", "ambix1", _of_intensity),
    Listening(
        "hifi, AmbiX: levels of W + Y and W - Y",
        "hifi",
        "ambix1",
        lambda sound: levels_lateral_deg(foa_to_stereo(sound)),
    ),
)


def lateral_errors_deg(
    truth: Truth,
    source: TrueSource,
    positions: Array,
    room: Room,
    listening: Listening,
    folder: Path,
    monitor: Monitor,
) -> Array:
    """Errors (windows,) of the lateral angle heard, in degrees, every `HOP_S`.

    Noise is rendered at `positions` (n_frames, 3) for the truth's cameras and compared with where `source` truly was when it sent what
    is heard. `folder` takes the noise's file. Frames in which the positions are unknown are held.
    """
    shot = _shot(truth, _held(positions), room, listening, folder)
    sound = render_shot(shot, replace(monitor, report=lambda event: None)).audio
    half = round(WINDOW_S / 2 * RATE_HZ)
    middles = np.arange(half, sound.shape[1] - half, round(HOP_S * RATE_HZ))
    heard = []
    for middle in middles:
        monitor.check()
        heard.append(listening.lateral_deg(sound[:, middle - half : middle + half]))
    return np.array(heard) - true_laterals_deg(truth, source, middles / RATE_HZ)


def against_reference(truth: Truth, mode: str, monitor: Monitor) -> dict[str, float]:
    """The scene's own sounds, rendered for two microphones like its `REFERENCE`: "level_db", the mean difference of levels of
    100 ms, without its sign, and "correlation" of the left channels.

    With reflections that don't invert, as the reference has them; outdoors in the open air.
    """
    expected, rate_hz = soundfile.read(truth.folder / REFERENCE, dtype="float64")
    kind = truth.room.kind if truth.room.kind == "shoebox" else "free_field"
    render = RenderSettings(
        mode, convention="positive", normalize=Normalize("none"), sample_rate=rate_hz
    )
    sources = tuple(ShotSource(s.name, s.audio, s.positions) for s in truth.sources)
    shot = _shot_of(truth, sources, replace(truth.room, kind=kind), render, truth.folder)
    heard = render_shot(shot, replace(monitor, report=lambda event: None)).audio.T
    step = round(HOP_S * rate_hz)
    length = min(len(heard), len(expected)) // step * step
    energies = [
        np.square(sound[:length], dtype=np.float64).reshape(-1, step, 2).sum(axis=1)
        for sound in (heard, expected)
    ]
    loud = energies[1] > 1e-4 * energies[1].max()
    level_db = 10 * np.log10(energies[0][loud] / energies[1][loud])
    correlation = np.corrcoef(heard[:length, 0], expected[:length, 0])[0, 1]
    return {"level_db": float(abs(level_db).mean()), "correlation": float(correlation)}


def true_laterals_deg(truth: Truth, source: TrueSource, times_s: Array) -> Array:
    """Lateral angles of the source, from where it was when it sent what the camera hears at `times_s`."""
    rate, frames = float(truth.frame_rate), np.arange(truth.frame_count)
    indices = np.clip(np.round(times_s * rate).astype(int), 0, truth.frame_count - 1)
    laterals = []
    for index, time_s in zip(indices, times_s, strict=True):
        pose = truth.cameras[index]
        away_m = np.linalg.norm(source.positions[index] - pose[:3, 3])
        sent = (time_s - away_m / SPEED_OF_SOUND) * rate
        place = np.array([np.interp(sent, frames, axis) for axis in source.positions.T])
        right = (place - pose[:3, 3]) @ pose[:3, 0] / np.linalg.norm(place - pose[:3, 3])
        laterals.append(np.degrees(np.arcsin(np.clip(-right, -1, 1))))
    return np.array(laterals)


def _shot(truth: Truth, positions: Array, room: Room, listening: Listening, folder: Path) -> Shot:
    count = round(truth.frame_count / truth.frame_rate * RATE_HZ)
    noise = np.random.default_rng(0).normal(0, 0.1, count).astype(np.float32)
    soundfile.write(folder / "noise.wav", noise, RATE_HZ, subtype="FLOAT")
    render = RenderSettings(
        listening.mode, listening.format, normalize=Normalize("none"), sample_rate=RATE_HZ
    )
    return _shot_of(truth, (ShotSource("noise", "noise.wav", positions),), room, render, folder)


def _shot_of(
    truth: Truth, sources: tuple[ShotSource, ...], room: Room, render: RenderSettings, folder: Path
) -> Shot:
    count = truth.frame_count
    return Shot(
        truth.name, truth.frame_rate, 1, count, truth.cameras, sources, room, render, folder
    )


def _held(positions: Array) -> Array:
    """Gaps filled with the last known place (the first known one at the start)."""
    known = np.flatnonzero(np.isfinite(positions).all(axis=1))
    before = np.searchsorted(known, np.arange(len(positions)), side="right") - 1
    return positions[known[np.maximum(before, 0)]]
