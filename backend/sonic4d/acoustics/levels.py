"""Levels of finished audio: peak, true peak and loudness, and the gain that brings them where they should be."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soxr
from scipy import signal

from ..shot import Normalize

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

_STEP_S = 0.1
_GATING_BLOCK_STEPS, _SHORT_TERM_STEPS = 4, 30
_OFFSET_LUFS = -0.691
_FLOOR_LUFS, _RELATIVE_GATE = -70.0, 0.1
_RANGE_GATE, _RANGE_PERCENT = 0.01, (10, 95)
_STEPS_AT_ONCE = 600
_OVERSAMPLING = 4
_CHUNK = 1 << 14  # stays in the processor's cache


@dataclass(frozen=True)
class Levels:
    """What became of the audio: `gain_db` was applied to all channels; `peak` and `true_peak` are linear, full scale
    1, after it; `loudness_lufs` and `loudness_range_lu` too, None where they can't be measured (shorter than 0.4 s and
    3 s, or silent)."""

    gain_db: float
    peak: float
    true_peak: float
    loudness_lufs: float | None
    loudness_range_lu: float | None


def peak(audio: Float32) -> float:
    """Highest magnitude of a sample; 0 for no samples; NaN if one is."""
    return float(np.maximum(audio.max(initial=0), -audio.min(initial=0)))


def true_peak(audio: Float32) -> float:
    """Peak of the 4 times oversampled signal (channels, samples), linear. ITU-R BS.1770-4 Annex 2."""
    channels, samples = audio.shape
    stream = soxr.ResampleStream(1, _OVERSAMPLING, channels, dtype="float32", quality="HQ")
    highest = peak(audio)
    for start in range(0, samples, _CHUNK):
        piece = np.ascontiguousarray(audio[:, start : start + _CHUNK].T)
        between = stream.resample_chunk(piece, last=start + _CHUNK >= samples)
        highest = max(highest, peak(between))
    return highest


def loudness_lufs(audio: Float32, rate_hz: int, mix: Array | None = None) -> float | None:
    """Integrated loudness of (channels, samples), ITU-R BS.1770-4; None if too short or too quiet to measure.

    The energies of all channels count alike, or those of `mix` (m, channels) times the channels.
    """
    return _integrated(_step_energies(audio, rate_hz, mix))


def loudness_range_lu(audio: Float32, rate_hz: int, mix: Array | None = None) -> float | None:
    """Loudness range (LRA) of (channels, samples), EBU Tech 3342; None if shorter than 3 s or too quiet."""
    return _range(_step_energies(audio, rate_hz, mix))


def _integrated(step_energies: Array) -> float | None:
    above_floor = _above_floor(step_energies, _GATING_BLOCK_STEPS)
    if not above_floor.size:
        return None
    return 10 * math.log10(above_floor[above_floor > _RELATIVE_GATE * above_floor.mean()].mean())


def _range(step_energies: Array) -> float | None:
    above_floor = _above_floor(step_energies, _SHORT_TERM_STEPS)
    if not above_floor.size:
        return None
    gated = above_floor[above_floor > _RANGE_GATE * above_floor.mean()]
    low, high = np.percentile(10 * np.log10(gated), _RANGE_PERCENT)
    return float(high - low)


def _above_floor(step_energies: Array, steps: int) -> Array:
    """Energies of the blocks of so many steps that aren't too quiet to count."""
    if len(step_energies) < steps:
        return np.zeros(0)
    blocks = np.convolve(step_energies, np.full(steps, 1 / steps), "valid")
    return blocks[blocks >= 10 ** (_FLOOR_LUFS / 10)]


def _step_energies(audio: Float32, rate_hz: int, mix: Array | None) -> Array:
    """K-weighted energies (steps of 0.1 s,) of all channels together, 1 at 0 LUFS."""
    step = round(_STEP_S * rate_hz)
    energies = np.zeros(audio.shape[1] // step)
    if not audio.any():
        return energies
    from pyloudnorm.iirfilter import IIRfilter  # takes seconds to import

    stages = [
        IIRfilter(4.0, 1 / math.sqrt(2), 1500.0, rate_hz, "high_shelf"),
        IIRfilter(0.0, 0.5, 38.0, rate_hz, "high_pass"),
    ]
    weighting = np.array([[*stage.b, *stage.a] for stage in stages])
    for row in np.eye(len(audio)) if mix is None else mix:
        state = np.zeros((len(stages), 2))
        for first in range(0, len(energies), _STEPS_AT_ONCE):
            last = min(first + _STEPS_AT_ONCE, len(energies))
            heard = row.astype(np.float32) @ audio[:, first * step : last * step]
            weighted, state = signal.sosfilt(weighting, heard.astype(np.float64), zi=state)
            energies[first:last] += np.square(weighted).reshape(-1, step).mean(axis=1)
    return energies * 10 ** (_OFFSET_LUFS / 10)


def normalize(
    audio: Float32,
    rate_hz: int,
    wanted: Normalize,
    mix: Array | None = None,
    heard: Float32 | None = None,
) -> Levels:
    """Scale audio (channels, samples) in place, all channels alike.

    "peak" is the paper's equation 13. "loudness" brings it to `wanted.lufs`, or as near as `wanted.true_peak_dbtp`
    allows; what can't be measured (shorter than 0.4 s, below -70 LUFS) goes to that true peak by its highest sample.
    Silence stays silence. For `mix` see `loudness_lufs`. Loudness is that of what is `heard` (channels, samples) of the
    audio, if that is something else.
    """
    highest = peak(audio)
    with ThreadPoolExecutor(1) as pool:
        between = pool.submit(true_peak, audio)
        energies = _step_energies(audio if heard is None else heard, rate_hz, mix)
        highest_between = between.result()
    measured = _integrated(energies)
    divisor = 1.0
    if highest and wanted.kind == "peak":
        divisor = highest
    elif highest and wanted.kind == "loudness":
        by_loudness = highest if measured is None else 10 ** ((measured - wanted.lufs) / 20)
        divisor = max(by_loudness, highest_between / 10 ** (wanted.true_peak_dbtp / 20))
    audio /= np.float32(divisor)
    gain_db = 20 * math.log10(1 / divisor)
    loudness = None if measured is None else measured + gain_db
    loudness_range = _range(energies / divisor**2)
    return Levels(gain_db, peak(audio), highest_between / divisor, loudness, loudness_range)
