"""The few filters that all responses of a head are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft

Array = npt.NDArray[np.float64]

_LOW_HZ, _LOW_EMPHASIS = 2000.0, 1.5
_BASS_HZ = 700.0
_FINEST_HZ = 12.0
_LEVEL_STEPS = 5
_LARGEST_STEP, _STIFFNESS = 0.5, 1e-6


@dataclass(frozen=True)
class HeadFilters:
    """`basis` (components, taps): a response is the sum of these filters, each times its weight. The more they carry below
    `_BASS_HZ`, the earlier they come.

    ways (2 * taps, components): orthonormal; from an emphasised response to its weights. octaves (octaves, components,
    components): a response of weights w has the energies w' octaves w.
    """

    basis: Array
    ways: Array
    octaves: Array
    rate_hz: float

    def weights(self, responses: Array, levels: Array) -> Array:
        """Weights (n, 2, components) of the responses (n, 2, taps) most like these whose mean energies in the octaves have
        the natural logarithms `levels` (n, 2, octaves)."""
        nearest = _emphasised(responses, self.rate_hz) @ self.ways
        flat = nearest.reshape(-1, nearest.shape[-1])
        wanted = np.exp(levels).reshape(len(flat), -1)
        missing = self._missing(flat, wanted)
        changed = flat
        for _ in range(_LEVEL_STEPS):
            slopes = 2 * np.einsum("opq,nq->nop", self.octaves, changed) / wanted[..., None]
            normal = slopes @ slopes.transpose(0, 2, 1)
            normal += (
                _STIFFNESS
                * np.trace(normal, axis1=1, axis2=2)[:, None, None]
                * np.eye(normal.shape[1])
            )
            step = np.clip(self._missing(changed, wanted), -_LARGEST_STEP, _LARGEST_STEP)
            changed = changed + np.einsum("nop,no->np", slopes, _solved(normal, step))
        better = np.abs(self._missing(changed, wanted)).sum(1) < np.abs(missing).sum(1)
        return np.where(better[:, None], changed, flat).reshape(nearest.shape)

    def _missing(self, weights: Array, wanted: Array) -> Array:
        return (
            1 - np.einsum("np,opq,nq->no", weights, self.octaves, weights, optimize=True) / wanted
        )


def _solved(normal: Array, right: Array) -> Array:
    return np.linalg.solve(normal, right[..., None])[..., 0]


def make_head_filters(
    responses: Array, areas: Array, components: int, rate_hz: float, octaves_hz: list[float]
) -> HeadFilters:
    """The filters that responses (n, 2, taps), which stand for these shares (n,) of the sphere, are best made of. Low
    frequencies count more: they tell the time between the ears."""
    rows = responses.reshape(-1, responses.shape[-1])
    importance = np.repeat(areas, 2) / np.einsum("nt,nt->n", rows, rows) ** 0.75
    emphasised = _emphasised(rows, rate_hz)
    gram = np.einsum("n,ns,nt->st", importance, emphasised, emphasised, optimize=True)
    ways = np.linalg.eigh(gram)[1][:, ::-1][:, :components]
    weights = emphasised @ ways
    balance = np.sqrt(importance)[:, None]
    basis = np.linalg.lstsq(weights * balance, rows * balance, rcond=None)[0]
    size = fine_size(rate_hz, 2 * basis.shape[1])
    frequencies_hz = fft.rfftfreq(size, 1 / rate_hz)
    bass = fft.rfft(basis, size) / np.sqrt(1 + (frequencies_hz / _BASS_HZ) ** 8)
    turn = np.linalg.eigh((bass @ bass.conj().T).real)[1][:, ::-1]
    basis, ways = turn.T @ basis, ways @ turn
    spectra = fft.rfft(basis, size)
    octaves = [
        (spectra[:, octave] @ spectra[:, octave].conj().T).real / octave.sum()
        for octave in octave_bins(frequencies_hz, octaves_hz)
    ]
    return HeadFilters(basis, ways, np.array(octaves), rate_hz)


def fine_size(rate_hz: float, least: int) -> int:
    """Of a Fourier transform that tells the lowest octave well, a power of two of at least so many samples."""
    return 1 << int(np.ceil(np.log2(max(least, rate_hz / _FINEST_HZ))))


def octave_bins(frequencies_hz: Array, octaves_hz: list[float]) -> list[npt.NDArray[np.bool_]]:
    """Which frequencies (bins,) are in the octaves around these."""
    relative = [frequencies_hz / middle_hz for middle_hz in octaves_hz]
    return [(ratio >= 2**-0.5) & (ratio < 2**0.5) for ratio in relative]


def _emphasised(responses: Array, rate_hz: float) -> Array:
    """(..., taps) -> (..., 2 * taps)."""
    size = 2 * responses.shape[-1]
    emphasis = 1 + _LOW_EMPHASIS / (1 + (fft.rfftfreq(size, 1 / rate_hz) / _LOW_HZ) ** 4)
    return fft.irfft(fft.rfft(responses, size) * emphasis, size)


def minimum_phase(log_magnitudes: Array, taps: int) -> Array:
    """Minimum-phase responses (..., taps) of log magnitudes (..., size / 2 + 1), by the real cepstrum.

    The last eighth fades out.
    """
    size = 2 * (log_magnitudes.shape[-1] - 1)
    cepstrum = fft.irfft(log_magnitudes, size)
    cepstrum[..., 1 : size // 2] *= 2
    cepstrum[..., size // 2 + 1 :] = 0
    responses = fft.irfft(np.exp(fft.rfft(cepstrum)), size)[..., :taps]
    fade = taps // 8
    responses[..., -fade:] *= np.cos(np.linspace(0, np.pi / 2, fade)) ** 2
    return responses
