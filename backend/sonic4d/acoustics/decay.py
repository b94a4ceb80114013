"""Reverberation as ISO 3382-1 measures it: octave filters, run backwards, and Schroeder's integral."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import fft

Array = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]

_ORDER = 4  # of the filters (Butterworth): IEC 61260-1, class 1
_DELAY_PERIODS = 1.378  # of the middle frequency: where the energy of the filter's impulse response has its centre
_SAMPLES_PER_PERIOD = 8  # of an octave's middle frequency
_START_DB, _END_DB = -5, -35  # T30
_LEAST_FITTED = 8


def octave_energy(
    spectrum: Complex, size: int, rate_hz: float, middle_hz: float, times_s: Array
) -> Array:
    """Energy (n,) between times_s (n + 1,) of an octave of the sound (size,) with this spectrum (size // 2 + 1,).

    The filter runs backwards in time, so that its own ringing comes before the decay (ISO 3382-1, 7.3):
    before the sound's beginning, which is at the end of `size` samples.
    """
    low = min(size, 2 * math.ceil(size * _SAMPLES_PER_PERIOD * middle_hz / rate_hz / 2))
    low = min(size, fft.next_fast_len(low, real=True))
    low -= low % 2
    kept = spectrum[..., : low // 2 + 1] * _backwards(low // 2 + 1, rate_hz / size, middle_hz)
    energy = fft.irfft(kept, low) ** 2 * (low / size)
    passed = np.interp(
        times_s, np.arange(low + 1) * (size / low / rate_hz), np.append(0, np.cumsum(energy))
    )
    return np.diff(passed)


@lru_cache(maxsize=16)
def _backwards(count: int, spacing_hz: float, middle_hz: float) -> Complex:
    """Response (count,) of a Butterworth octave filter to a sound that is played backwards."""
    frequencies_hz = np.maximum(np.arange(count) * spacing_hz, 1e-3)
    offset = math.sqrt(2) * (frequencies_hz / middle_hz - middle_hz / frequencies_hz)
    poles = np.exp(1j * np.pi * (2 * np.arange(_ORDER) + _ORDER + 1) / (2 * _ORDER))
    return np.conj(1 / np.prod(1j * offset[:, None] - poles, axis=1))


def bandwidth_hz(middle_hz: float) -> float:
    """Noise bandwidth of the octave filter."""
    angle = math.pi / (2 * _ORDER)
    return middle_hz * math.sqrt(0.5) * angle / math.sin(angle)


def advance_s(middle_hz: float) -> float:
    """How much earlier the filter, run backwards, lets energy arrive in the mean."""
    return _DELAY_PERIODS / middle_hz


def decays_per_s(energy: Array, step_s: float) -> Array:
    """How fast sounds (...,) of this energy (..., n) in steps of `step_s` decay, as exp(-decay t): 13.8 / T30.

    Infinite where it is gone at once.
    """
    left = np.cumsum(energy[..., ::-1], axis=-1)[..., ::-1]
    times_s = step_s * np.arange(left.shape[-1])
    level = np.log(np.maximum(left / left[..., :1], 1e-12))
    low, high = (np.log(10) / 10 * edge for edge in (_END_DB, _START_DB))
    weight = ((level < high) & (level > low)).astype(float)
    count = weight.sum(axis=-1)
    time = times_s - ((weight @ times_s) / np.maximum(count, 1))[..., None]
    slope = (weight * time * level).sum(axis=-1)
    return np.where(
        count < _LEAST_FITTED, np.inf, -slope / np.maximum((weight * time**2).sum(axis=-1), 1e-30)
    )
