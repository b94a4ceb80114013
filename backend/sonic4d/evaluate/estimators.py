"""Where a sound comes from, estimated from rendered audio alone.

Directions are lateral angles in degrees: the angle of the source's direction from the median plane, positive to the left,
as two ears or microphones can tell it; the ambisonic one is a vector.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import soxr
from scipy import fft

from ..acoustics.image_source import SPEED_OF_SOUND
from ..acoustics.sofa import read_kemar

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

_HEAD_HZ = (300.0, 8000.0)
_UPSAMPLING = 16
_STEEPEST_DEG = 50.0


def pair_lateral_deg(pair: Float32, spacing_m: float, rate_hz: int) -> float:
    """Of two omnidirectional microphones (2, samples): the delay by GCC-PHAT (Knapp and Carter, IEEE TASSP 1976)."""
    size = fft.next_fast_len(2 * pair.shape[1])
    left, right = fft.rfft(pair * np.hanning(pair.shape[1]), size)
    cross = right * left.conj()
    correlation = fft.irfft(cross / np.maximum(abs(cross), 1e-30), _UPSAMPLING * size)
    most = math.ceil(spacing_m / SPEED_OF_SOUND * rate_hz * _UPSAMPLING)
    lag = int(np.argmax(np.roll(correlation, most)[: 2 * most + 1])) - most
    later_m = lag / _UPSAMPLING / rate_hz * SPEED_OF_SOUND  # at the right microphone
    return math.degrees(math.asin(min(max(later_m / spacing_m, -1.0), 1.0)))


def head_lateral_deg(ears: Float32, rate_hz: int) -> float:
    """Of a binaural recording (2, samples) with KEMAR's ears: the measured direction of the front whose pair of responses
    explains both ears best, L H_R = R H_L, with every frequency of equal weight (cross relation; Liu et al., JASA 2000)."""
    laterals_deg, responses = _front_responses(rate_hz, ears.shape[1])
    size = 2 * (responses.shape[2] - 1)
    left, right = fft.rfft(ears * np.hanning(ears.shape[1]), size)
    band = slice(*(round(f / rate_hz * size) for f in _HEAD_HZ))
    a = left[band] * responses[:, 1, band]
    b = right[band] * responses[:, 0, band]
    mismatch = abs(a - b) ** 2 / np.maximum(abs(a) ** 2 + abs(b) ** 2, 1e-30)
    costs = mismatch.mean(axis=1)
    # The grid is 5 degrees wide: average the best directions by how well they do.
    best = np.argsort(costs)[:4]
    weights = 1 / np.maximum(costs[best] - 0.98 * costs[best[0]], 1e-9)
    return float(weights @ laterals_deg[best] / weights.sum())


@lru_cache(maxsize=4)
def _front_responses(rate_hz: int, samples: int) -> tuple[Array, npt.NDArray[np.complex128]]:
    """Lateral angles (n,) and spectra (n, 2, bins) of KEMAR's responses in front, not too high or low."""
    head = read_kemar()
    front, left, up = head.directions.T
    steep = math.sin(math.radians(_STEEPEST_DEG))
    chosen = (front >= -1e-9) & (abs(up) < steep)
    responses = head.impulse_responses[chosen]
    resampled = soxr.resample(responses.reshape(-1, responses.shape[2]).T, head.rate_hz, rate_hz).T
    spectra = fft.rfft(resampled, fft.next_fast_len(2 * samples)).reshape(len(responses), 2, -1)
    return np.degrees(np.arcsin(np.clip(left[chosen], -1, 1))), spectra


def intensity_direction(ambix: Float32) -> Array:
    """Of first-order AmbiX (4, samples): the unit vector (forward, left, up) that the sound's energy comes from."""
    w, y, z, x = np.asarray(ambix[:4], np.float64)
    intensity = np.array([w @ x, w @ y, w @ z])
    return intensity / max(float(np.linalg.norm(intensity)), 1e-30)


def foa_to_stereo(ambix: Float32, azimuth_deg: float = 0.0) -> Float32:
    """First-order AmbiX (4, samples) as two cardioids facing left and right, seen from `azimuth_deg` (counter-clockwise):
    L = W + Y, R = W - Y after turning (Shimada et al., 2024, as for ViSAGe's first-order output)."""
    w, y, _, x = ambix[:4]
    turn = math.radians(azimuth_deg)
    turned = math.cos(turn) * y - math.sin(turn) * x
    return np.stack([w + turned, w - turned])


def levels_lateral_deg(stereo: Float32) -> float:
    """Of two cardioids facing left and right (2, samples): (|L| - |R|) / (|L| + |R|) is the lateral angle's sine."""
    left, right = np.sqrt(np.square(stereo, dtype=np.float64).sum(axis=1))
    return math.degrees(math.asin((left - right) / max(left + right, 1e-30)))
