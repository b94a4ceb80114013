"""Which of the moving things makes the sound? The one that moves with it, else the largest that stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..protocol import Sonic4DError
from ..scene.motion import Mover

Array = npt.NDArray[np.float64]

SAMPLE_RATE_HZ = 48000
FLOOR_DB = -70.0
# Sound that varies less than this (standard deviation) has no envelope to move with.
STEADY_DB = 1.0
# Frames by which the sound may come early or late.
EARLIEST, LATEST = -1, 2
MIN_FRAMES = 24
MIN_PRESENCE = 0.25
# Accepted: clearly stronger than under shifted sound, or strong and somewhat stronger (a steady beat
# fits again at every period, which makes the shifted comparisons strong as well).
CLEAR_Z = 3.5
STRONG_CORRELATION, SOME_Z = 0.6, 1.5
# Boxes whose size agrees less than this with the next frame's, in more than one frame of twenty, jump.
STEADY_SIZE = 0.5


@dataclass(frozen=True)
class Choice:
    """The mover that is taken for the source, by "sound" or by "motion", and why in the user's words."""

    mover: Mover
    found_by: Literal["sound", "motion"]
    reason: str


@dataclass(frozen=True)
class SoundLink:
    """How a thing moves with the sound: the best correlation, its z-score among shifted comparisons, and the share of
    these that it beats."""

    correlation: float
    z: float
    beaten: float

    @property
    def is_clear(self) -> bool:
        return self.z > CLEAR_Z or (self.correlation > STRONG_CORRELATION and self.z > SOME_Z)

    def __str__(self) -> str:
        return (
            f"it moves with the sound (correlation {self.correlation:.2f}, {self.z:.1f} standard "
            f"deviations above chance, higher than {self.beaten:.0%} of shifted comparisons)"
        )


def choose_mover(movers: Sequence[Mover], mono: npt.NDArray[np.floating], rate: Fraction) -> Choice:
    """The sounding one of the movers of a clip with `rate` frames a second.

    mono (samples,) at 48 kHz. Raises `Sonic4DError` if there is no mover with a box.
    """
    movers = [mover for mover in movers if _present(mover).any()]
    if not movers:
        raise Sonic4DError(
            "no_mover",
            "Nothing in the clip moves on its own, so the sound source can't be found by motion.",
            "Show it with --point X,Y@FRAME or --box X0,Y0,X1,Y1@FRAME.",
        )
    links, why_not = sound_links(movers, mono, rate)
    if links:
        linked = [i for i, link in enumerate(links) if link.is_clear]
        if linked:
            best = max(linked, key=lambda i: links[i].correlation)
            return Choice(movers[best], "sound", f"found by sound: {links[best]}")
        strongest = max(link.correlation for link in links)
        why_not = f"nothing moves with the sound (best correlation {strongest:.2f})"
    largest = max(movers, key=prominence)
    others = len(movers) - 1
    return Choice(
        largest,
        "motion",
        f"found by motion, not by sound: {why_not}; the largest lasting of {others + 1} moving things, "
        f"{np.mean(largest.area[_present(largest)]):.1%} of the picture",
    )


def sound_links(
    movers: Sequence[Mover], mono: npt.NDArray[np.floating], rate: Fraction
) -> tuple[list[SoundLink], str]:
    """How each of the movers goes with the sound, or none and why that can't be told."""
    level, onset = envelope(mono, len(movers[0].boxes), rate)
    why_not = _unusable(level)
    return ([] if why_not else [_link(mover, level, onset) for mover in movers]), why_not


def envelope(mono: npt.NDArray[np.floating], n: int, rate: Fraction) -> tuple[Array, Array]:
    """Level in dB re full scale (-70..0) and its rise since the frame before, (n,) each; silence where the sound has ended."""
    edges = [round(i * SAMPLE_RATE_HZ / rate) for i in range(n + 1)]
    samples = np.zeros(edges[-1])
    heard = np.asarray(mono, dtype=np.float64)[: edges[-1]]
    samples[: len(heard)] = heard
    energy = np.concatenate([[0.0], np.cumsum(samples**2)])
    power = np.diff(energy[edges]) / np.maximum(np.diff(edges), 1)
    level = np.clip(10 * np.log10(np.maximum(power, 1e-12)), FLOOR_DB, 0)
    return level, np.maximum(np.diff(level, prepend=level[0]), 0)


def correlation_with_sound(motion: Array, sound: Array) -> Array:
    """Pearson correlation (n,) of the motion with the sound shifted by 0, 1, … n - 1 frames, circularly."""
    signals = []
    for signal in (motion, sound):
        centred = _smooth(signal) - _smooth(signal).mean()
        norm = np.linalg.norm(centred)
        signals.append(np.fft.rfft(centred / norm if norm > 1e-9 else centred * 0))
    return np.fft.irfft(np.conj(signals[0]) * signals[1], len(motion))


def prominence(mover: Mover) -> float:
    """Rank without sound: how long it is seen, how large it is, how much it moves."""
    present = _present(mover)
    return float(
        present.mean() * np.sqrt(mover.area[present].mean()) * np.log1p(mover.speed_px.sum())
    )


def is_steady(boxes: Array) -> bool:
    """Whether the boxes (n, 4) of a mover keep their size from frame to frame."""
    _, sides = _sides(boxes)
    if len(sides) < 2:
        return True
    return bool(np.percentile(_size_agreement(sides[:-1], sides[1:]), 5) > STEADY_SIZE)


def most_typical_frame(boxes: Array) -> int:
    """The frame whose box is nearest to the usual size, and to its neighbours'."""
    frames, sides = _sides(boxes)
    to_next = _size_agreement(sides[:-1], sides[1:])
    around = np.minimum(np.append(to_next, 1.0), np.insert(to_next, 0, 1.0))
    typical = around * _size_agreement(sides, np.median(sides, axis=0))
    return int(frames[typical.argmax()])


def _sides(boxes: Array) -> tuple[npt.NDArray[np.intp], Array]:
    frames = np.flatnonzero(np.isfinite(boxes).all(axis=1))
    return frames, boxes[frames, 2:] - boxes[frames, :2]


def _size_agreement(a: Array, b: Array) -> Array:
    """Overlap over union of boxes with the sides a and b and the same centre."""
    overlap = np.minimum(a, b).prod(axis=1)
    return overlap / (a.prod(axis=1) + b.prod(axis=-1) - overlap)


def _link(mover: Mover, level: Array, onset: Array) -> SoundLink:
    """The best of speed and turns (an impact turns the velocity) against level and onsets at the lags allowed; compared with
    the same under every circular shift by more than an eighth of the clip, as slow signals correlate by chance.
    """
    present = _present(mover)
    n = len(present)
    if present.mean() < MIN_PRESENCE:
        return SoundLink(0.0, 0.0, 0.0)
    curves = [
        correlation_with_sound(_neutral(motion, present), sound)
        for motion in (mover.speed_px, mover.turn_px)
        for sound in (level, onset)
    ]
    at_lag = np.max(curves, axis=0)
    best = np.max([np.roll(at_lag, -lag) for lag in range(EARLIEST, LATEST + 1)], axis=0)
    null = best[n // 8 : n - n // 8]
    z = (best[0] - null.mean()) / (null.std() + 0.03)
    return SoundLink(float(best[0]), float(z), float((null < best[0]).mean()))


def _neutral(motion: Array, present: npt.NDArray[np.bool_]) -> Array:
    """Absent frames take the mean, so that coming and going is no motion; one wild frame can't make the correlation."""
    seen = motion[present]
    limited = np.minimum(motion, np.percentile(seen, 98))
    return np.where(present, limited, limited[present].mean())


def _smooth(signal: Array) -> Array:
    window = np.hanning(7)[1:-1]
    return np.convolve(np.pad(signal, 2, mode="edge"), window / window.sum(), "valid")


def _present(mover: Mover) -> npt.NDArray[np.bool_]:
    return np.isfinite(mover.boxes).all(axis=1)


def _unusable(level: Array) -> str:
    if len(level) < MIN_FRAMES:
        return "the clip is too short to compare motion and sound"
    if level.max() <= FLOOR_DB:
        return "the sound track is silent"
    if level.std() < STEADY_DB:
        return "the sound is too steady to follow"
    return ""
