"""Levels of finished audio: peak, true peak and loudness, and the gain that brings them where they should be."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soxr

from ..shot import Normalize

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

_SHORTEST_LOUDNESS_S = 0.4  # one gating block of BS.1770
_FLOOR_LUFS, _RELATIVE_GATE = -70.0, 0.1
_SETTLED_S, _MEASURED_AT_ONCE_S = (
    1.0,
    120.0,
)  # the weighting filters have forgotten what was a second ago
_SHORT_TERM_S, _RANGE_GATE, _RANGE_PERCENT = 3.0, 0.01, (10, 95)
_OVERSAMPLING = 4
_CHUNK = 1 << 20


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
    energy = _block_energies(audio, rate_hz, mix, _SHORTEST_LOUDNESS_S, 0.75)
    above_floor = energy[energy >= 10 ** (_FLOOR_LUFS / 10)]
    if not above_floor.size:
        return None
    return 10 * math.log10(above_floor[above_floor > _RELATIVE_GATE * above_floor.mean()].mean())


def loudness_range_lu(audio: Float32, rate_hz: int, mix: Array | None = None) -> float | None:
    """Loudness range (LRA) of (channels, samples), EBU Tech 3342; None if shorter than 3 s or too quiet."""
    energy = _block_energies(audio, rate_hz, mix, _SHORT_TERM_S, 29 / 30)
    above_floor = energy[energy >= 10 ** (_FLOOR_LUFS / 10)]
    if not above_floor.size:
        return None
    gated = above_floor[above_floor > _RANGE_GATE * above_floor.mean()]
    low, high = np.percentile(10 * np.log10(gated), _RANGE_PERCENT)
    return float(high - low)


def _block_energies(
    audio: Float32, rate_hz: int, mix: Array | None, block_s: float, overlap: float
) -> Array:
    """K-weighted energies (blocks,) of all channels together, 1 at 0 LUFS; none if there isn't one whole block."""
    if audio.shape[1] < block_s * rate_hz or not audio.any():
        return np.zeros(0)
    import pyloudnorm  # takes seconds to import

    meter = pyloudnorm.Meter(rate_hz, block_size=block_s, overlap=overlap)
    rows = np.eye(len(audio)) if mix is None else mix
    step_s = block_s * (1 - overlap)
    settled = round(_SETTLED_S / step_s)  # blocks
    chunk = round(_MEASURED_AT_ONCE_S / step_s)
    blocks = int((audio.shape[1] / rate_hz - block_s) / step_s + 1e-9) + 1
    found = []
    for first in range(0, blocks, chunk):
        before = min(first, settled)
        start = round((first - before) * step_s * rate_hz)
        stop = round(((min(first + chunk, blocks) - 1) * step_s + block_s) * rate_hz)
        energy = np.zeros(1)
        for row in rows:
            with np.errstate(divide="ignore"):
                meter.integrated_loudness(row.astype(np.float32) @ audio[:, start:stop])
            energy = energy + 10 ** (np.array(meter.blockwise_loudness) / 10)
        found.append(energy[before:][:chunk])
    return np.concatenate(found)


def normalize(audio: Float32, rate_hz: int, wanted: Normalize, mix: Array | None = None) -> Levels:
    """Scale audio (channels, samples) in place, all channels alike.

    "peak" is the paper's equation 13. "loudness" brings it to `wanted.lufs`, or as near as `wanted.true_peak_dbtp`
    allows; what can't be measured (shorter than 0.4 s, below -70 LUFS) goes to that true peak by its highest sample.
    Silence stays silence. For `mix` see `loudness_lufs`.
    """
    highest, highest_between = peak(audio), true_peak(audio)
    measured = loudness_lufs(audio, rate_hz, mix)
    divisor = 1.0
    if highest and wanted.kind == "peak":
        divisor = highest
    elif highest and wanted.kind == "loudness":
        by_loudness = highest if measured is None else 10 ** ((measured - wanted.lufs) / 20)
        divisor = max(by_loudness, highest_between / 10 ** (wanted.true_peak_dbtp / 20))
    audio /= np.float32(divisor)
    gain_db = 20 * math.log10(1 / divisor)
    loudness = None if measured is None else measured + gain_db
    loudness_range = loudness_range_lu(audio, rate_hz, mix)
    return Levels(gain_db, peak(audio), highest_between / divisor, loudness, loudness_range)
