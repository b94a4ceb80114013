"""What walls and air do to the spectrum of a sound, shared by all of its paths.

A path of length d that meets walls with the reflection coefficients R_i(f) has the magnitude
R_1(f) R_2(f) ... exp(-m(f) d / 2) / (4 pi d). All such curves are sums
of a few: the sound is filtered once per curve into a "bus", and a path is a mixture of buses. The buses are
oversampled, so that short polynomials can read them at any time (see `delay_lines`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import fft

from ..materials import OCTAVES_HZ
from .air import air_absorption_per_m

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

OVERSAMPLING = 4
PASSBAND = 20 / 48  # of the sample rate; above, the buses fade out
_DISTANCES = 65
_CURVE_FLOOR = 1e-3  # of a curve's peak; what is weaker need not fit
_QUIET = 0.03  # paths that lose so much need not fit
_LARGEST_ERROR_DB, _USUAL_ERROR_DB = 0.5, 0.01
_MOST_BUSES = 8
_STEPS_PER_OCTAVE = 12
_HALF_FILTER_S = 512 / 48_000


@dataclass(frozen=True)
class PathSpectra:
    """`curves` (buses, bins) on `frequencies_hz`; `shares` (kinds, _DISTANCES, buses) float32: how much of each bus a path
    of a kind gets at the distance longest_m * (i / (_DISTANCES - 1))^2, without 1 / (4 pi d)."""

    frequencies_hz: Array
    curves: Array
    shares: Float32
    longest_m: float


def make_path_spectra(
    log_gain: Array, reach_m: Array, longest_m: float, rate_hz: int
) -> PathSpectra:
    """Fit as few curves as give 0.01 dB in the mean and 0.5 dB at worst, to paths of up to `longest_m`.

    log_gain (kinds, 8): natural logarithm of what the walls leave of each kind of path in the octaves of `OCTAVES_HZ`;
    reach_m (kinds,): how long such paths can be.
    """
    frequencies = np.geomspace(60.0, 0.48 * rate_hz, 97)
    distances = longest_m * np.linspace(0, 1, _DISTANCES) ** 2
    octaves = np.log(OCTAVES_HZ)
    walls = np.array([np.interp(np.log(frequencies), octaves, kind) for kind in log_gain])
    walls = walls.reshape(-1, len(frequencies))  # also where there are no paths
    air = air_absorption_per_m(frequencies) / 2
    wanted = np.exp(walls[:, None] - distances[:, None] * air).reshape(-1, len(frequencies))
    loudest = wanted.max(axis=1, keepdims=True)
    possible = (distances <= np.maximum(reach_m[:, None], distances[1])).reshape(-1, 1)
    unit = wanted / np.linalg.norm(wanted, axis=1, keepdims=True)
    shapes = np.linalg.eigh(unit.T @ (possible * unit))[1][:, ::-1].T
    weight = 1 / np.maximum(wanted, _CURVE_FLOOR * loudest)
    audible = (wanted * weight > 0.99) & (loudest > _QUIET) & possible
    for buses in range(1, _MOST_BUSES + 1):
        curves = shapes[:buses]
        products = curves[:, None] * curves
        normal = np.tensordot(weight**2, products, (1, 2))
        target = (wanted * weight**2) @ curves.T
        shares = np.linalg.solve(normal, target[..., None])[..., 0]
        ratio = np.where(audible, shares @ curves * weight, 1)
        error_db = np.abs(20 * np.log10(np.maximum(ratio, 1e-9)))
        usual_db = np.sqrt((error_db**2).sum() / max(1, audible.sum()))
        if error_db.max(initial=0) < _LARGEST_ERROR_DB and usual_db < _USUAL_ERROR_DB:
            break
    shares = shares.reshape(len(log_gain), _DISTANCES, buses).astype(np.float32)
    return PathSpectra(frequencies, curves, shares, longest_m)


def make_octave_spectra(log_gain: Array, longest_m: float, rate_hz: int) -> PathSpectra:
    """The same for paths whose octaves are to be weighted one by one, as directivity and obstacles do.

    The buses are the octaves of `OCTAVES_HZ`, linear in the logarithm of the frequency between: a share is a path's
    amplitude there.
    """
    highest = math.log2(0.48 * rate_hz / OCTAVES_HZ[0])
    steps = np.arange(-_STEPS_PER_OCTAVE, _STEPS_PER_OCTAVE * highest)
    frequencies = OCTAVES_HZ[0] * 2 ** (steps / _STEPS_PER_OCTAVE)
    octaves = np.log(OCTAVES_HZ)
    curves = np.array([np.interp(np.log(frequencies), octaves, hat) for hat in np.eye(8)])
    distances = longest_m * np.linspace(0, 1, _DISTANCES) ** 2
    air = distances[:, None] * air_absorption_per_m(OCTAVES_HZ) / 2
    shares = np.exp(log_gain[:, None] - air).astype(np.float32)
    return PathSpectra(frequencies, curves, shares, longest_m)


@lru_cache
def design_reader() -> tuple[Float32, Array, Array]:
    """A 4-point interpolator for sound oversampled `OVERSAMPLING` times.

    Returns cubic polynomials for the two points after the middle, (2, 4): the amplitude of a point is
    sum_k c[k] z^k at offset z (-0.5 to 0.5) from the middle, that of its mirror image the same at -z; and the droop
    that all offsets share, as frequencies (cycles per sample) and gains, to be undone beforehand. Weighted least
    squares, low frequencies first, solved for both in turn.
    """
    frequencies = np.linspace(0, PASSBAND, 120)
    omega = 2 * np.pi * frequencies / OVERSAMPLING
    offsets = np.linspace(-0.5, 0.5, 65)[:, None]
    columns = []
    for point in (0.5, 1.5):
        for power in range(4):
            ahead = np.exp(1j * omega * (point - offsets))
            behind = np.exp(1j * omega * (-point - offsets))
            columns.append((ahead + (-1) ** power * behind) * offsets**power)
    matrix = np.stack(columns, -1).reshape(-1, 8)
    weight = np.tile(1 / (1 + (frequencies * 16) ** 3), len(offsets))
    matrix_real = np.vstack((matrix.real, matrix.imag)) * np.tile(weight, 2)[:, None]
    droop = np.ones(len(frequencies))
    solve = np.linalg.pinv(matrix_real)
    for _ in range(30):
        target = np.tile(droop, len(offsets)) * weight
        solution = solve @ np.append(target, 0 * target)
        droop = (matrix @ solution).real.reshape(len(offsets), -1).mean(axis=0)
        solution, droop = solution / droop[0], droop / droop[0]
    return solution.reshape(2, 4).astype(np.float32), frequencies, droop


class BusFilters:
    """Filters sound into oversampled buses, block by block: the result doesn't depend on the blocks' bounds.

    `count` buses; `half`: how many samples before and after a block of `block` samples are needed.
    """

    def __init__(self, spectra: PathSpectra, rate_hz: int, block: int) -> None:
        self.half = round(_HALF_FILTER_S * rate_hz)
        self.block = block
        self._size = fft.next_fast_len(block + 2 * self.half, real=True)
        responses = _impulse_responses(spectra, rate_hz, self.half)
        self.count = len(responses)
        phases = responses.reshape(self.count, -1, OVERSAMPLING).transpose(0, 2, 1)
        self._spectra = fft.rfft(phases, self._size).astype(np.complex64)

    def equals(self, other: BusFilters) -> bool:
        return self.block == other.block and np.array_equal(self._spectra, other._spectra)

    def __call__(self, sound: Float32) -> Float32:
        """Sound (block + 2 half,) -> (buses, OVERSAMPLING, block): oversampled sample n at [:, n % 4, n // 4]."""
        spectrum = fft.rfft(sound, self._size)
        filtered = fft.irfft(self._spectra * spectrum, self._size)
        return filtered[..., 2 * self.half :][..., : self.block]


def _impulse_responses(spectra: PathSpectra, rate_hz: int, half: int) -> Array:
    """Filters (buses, 2 OVERSAMPLING half) with the reader's droop undone; time zero is in the middle."""
    size = fft.next_fast_len(8 * half)
    relative = np.arange(OVERSAMPLING * size // 2 + 1) / size
    edge = np.clip((relative - PASSBAND) / (0.498 - PASSBAND), 0, 1)
    gain = OVERSAMPLING / np.interp(relative, *design_reader()[1:])
    gain *= np.cos(np.pi / 2 * edge) ** 2
    curves = [np.interp(relative * rate_hz, spectra.frequencies_hz, c) for c in spectra.curves]
    responses = fft.fftshift(fft.irfft(gain * curves, OVERSAMPLING * size), axes=-1)
    middle = OVERSAMPLING * size // 2
    reach = OVERSAMPLING * half
    distance = np.abs(np.arange(-reach, reach)) / reach
    fade = np.cos(np.pi / 2 * np.clip(2 * distance - 1, 0, 1)) ** 2
    return responses[:, middle - reach : middle + reach] * fade
