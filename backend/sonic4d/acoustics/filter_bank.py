"""Fixed filters from some channels to others, such as a head's: by fast Fourier transforms of short frames."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided
from scipy import fft

from ..compiled import njit

Float32 = npt.NDArray[np.float32]
Complex64 = npt.NDArray[np.complex64]

_FRAME = 8  # how many times the filters' length is filtered at once: the fastest


class FilterBank:
    """Filters (outputs, inputs, taps)."""

    def __init__(self, filters: Float32) -> None:
        self.taps = filters.shape[2]
        self._hop = _FRAME * self.taps
        self._size = fft.next_fast_len(self._hop + self.taps, real=True)
        self._spectra = fft.rfft(filters, self._size).astype(np.complex64)

    def __call__(self, sound: Float32) -> Float32:
        """Sound (inputs, taps + n), whose first `taps` samples are the past -> (outputs, n)."""
        inputs, count = len(sound), sound.shape[1] - self.taps
        frames = math.ceil(count / self._hop)
        padded = np.zeros((inputs, (frames - 1) * self._hop + self._size), np.float32)
        padded[:, : sound.shape[1]] = sound
        step, sample = padded.strides
        cut = as_strided(
            padded,
            (inputs, frames, self._size),
            (step, self._hop * sample, sample),
            writeable=False,
        )
        mixed = np.empty((len(self._spectra), frames, self._spectra.shape[2]), np.complex64)
        _mix(fft.rfft(cut), self._spectra, mixed)
        whole = fft.irfft(mixed, self._size)[..., self.taps : self.taps + self._hop]
        return whole.reshape(len(mixed), -1)[:, :count]


@njit(fastmath=True, nogil=True)
def _mix(sound: Complex64, filters: Complex64, mixed: Complex64) -> None:
    """Sound (inputs, frames, bins) times filters (outputs, inputs, bins), summed: mixed (outputs, frames, bins)."""
    outputs, inputs, bins = filters.shape
    for output in range(outputs):
        for frame in range(sound.shape[1]):
            total = mixed[output, frame]
            total[:] = 0
            for k in range(inputs):
                heard, response = sound[k, frame], filters[output, k]
                for i in range(bins):
                    total[i] += heard[i] * response[i]
