"""Shoebox room impulse responses by the image-source method (Allen and Berkley 1979).

An impulse response is a sum of windowed sincs, one per image. Summing them tap by tap costs hundreds of operations
per image; here every image is spread onto 8 points of a twice oversampled grid and one FFT, one multiplication with
the spectrum of the windowed sinc and one inverse FFT finish them all: a one-dimensional type-1 non-uniform FFT
(Barnett, Magland and af Klinteberg 2019). The result agrees with the sum of windowed sincs to about 1e-6.

Coordinates are the room's own: a corner at the origin, edges along the axes (see `Room.to_local`), metres.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft
from scipy.special import sici

from ..compiled import njit
from .simd import WIDTH, add_weighted

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

SPEED_OF_SOUND = 343.0  # m/s
SHORTEST_DISTANCE_M = 0.1  # nearer, the gain 1 / (4 pi d) stays as it is here

_SPREAD_BETA = 2.30 * WIDTH  # an image is spread onto WIDTH grid points
_TABLE_STEPS = 256  # spreading function between two grid points; linear in between (error 3e-6)
_FOLDED_LOBES = 32  # how much of the windowed sinc's spectrum beyond Nyquist is aliased back
_IMAGES_BETWEEN_CHECKS = 2_000_000  # about 10 ms of work


@dataclass(frozen=True)
class Convention:
    """What implementations of the image-source method disagree on.

    `sign` of the reflection coefficients; `kernel_s`, the width of the Hann-windowed sinc in seconds; `boxed`: only
    ceil(2 T c / L) images per axis count, as in gpuRIR, instead of all that arrive in time.
    """

    sign: int
    kernel_s: float
    boxed: bool


# gpuRIR (Diaz-Guerra et al. 2021), which the paper uses.
GPURIR = Convention(sign=-1, kernel_s=0.008, boxed=True)
# Rigid walls reflect pressure without inversion (Habets 2010).
POSITIVE = Convention(sign=1, kernel_s=0.008, boxed=False)


def sabine_reflection(size_m: Array, rt60_s: float) -> tuple[float, float]:
    """Reflection coefficient of all six walls for a reverberation time, and the time it really gives in seconds.

    Sabine: RT60 = 0.161 V / (S alpha), beta = sqrt(1 - alpha). A large room can't have a short reverberation time:
    alpha is then clamped to 1 (no reflections) and the second value is longer than what was asked.
    rt60_s = 0 asks for an anechoic room and gets one.
    """
    if rt60_s == 0:
        return 0.0, 0.0
    x, y, z = size_m
    shortest_s = 0.161 * x * y * z / (2 * (x * y + y * z + z * x))
    absorption = min(shortest_s / rt60_s, 1.0)
    return math.sqrt(1 - absorption), max(rt60_s, shortest_s)


def sabine_reflections(
    size_m: Array, absorption: Array, rt60_s: float | None
) -> tuple[Array, float]:
    """Reflection coefficients (3, 2) of walls with these absorption coefficients (3, 2), and their reverberation time.

    With `rt60_s` the coefficients are scaled by one number so that Sabine's formula gives that time, as far as no wall
    absorbs more than everything. Nothing reverberates (0 s) where every wall absorbs everything.
    """
    if rt60_s == 0 or absorption.min() >= 1:
        return np.zeros((3, 2)), 0.0
    x, y, z = size_m
    areas = np.array([y * z, z * x, x * y])[:, None]

    def time_s(alpha: Array) -> float:
        return 0.161 * x * y * z / max(float((areas * alpha).sum()), 1e-9 * x * y)

    scale = 1.0
    if rt60_s is not None:
        low, high = 0.0, 1e9
        for _ in range(200):
            scale = math.sqrt(low * high) if low else high / 1e9
            low, high = (
                (scale, high)
                if time_s(np.minimum(absorption * scale, 1)) > rt60_s
                else (low, scale)
            )
    found = np.minimum(absorption * scale, 1)
    return np.sqrt(1 - found), time_s(found)


def longest_time_s(size_m: Array, images: float) -> float:
    """The time within which about that many images arrive: the volume of a sphere over that of the room."""
    radius_m = (images * float(np.prod(size_m)) * 3 / (4 * math.pi)) ** (1 / 3)
    return radius_m / SPEED_OF_SOUND


@dataclass(frozen=True)
class Plan:
    """What all impulse responses of one length, rate and convention share; made by `make_plan`."""

    sample_count: int
    rate_hz: int
    convention: Convention
    kernel_samples: int
    fft_size: int
    spectrum: npt.NDArray[np.complex64]
    folded: npt.NDArray[np.complex64]

    @property
    def reach_m(self) -> float:
        """Images farther than this don't touch the impulse response."""
        samples = self.sample_count + self.kernel_samples / 2
        return samples / self.rate_hz * SPEED_OF_SOUND


def make_plan(sample_count: int, rate_hz: int, convention: Convention = GPURIR) -> Plan:
    kernel_samples = round(convention.kernel_s * rate_hz)
    half = fft.next_fast_len((sample_count + kernel_samples + WIDTH + 1) // 2, real=True)
    size = 2 * half
    fold = min(math.ceil(_FOLDED_LOBES * size / kernel_samples), half // 2)
    bins = np.arange(half + fold + 1)
    # Grid points are half a sample apart; the spreading function's middle sits WIDTH / 2 - 1 points late.
    late = np.exp(1j * np.pi * bins / size * (WIDTH // 2 - 1))
    kernel = _windowed_sinc_spectrum(bins / size, kernel_samples)
    spectrum = (kernel * late / _spreading_spectrum(bins / (2 * size))).astype(np.complex64)
    return Plan(
        sample_count,
        rate_hz,
        convention,
        kernel_samples,
        size,
        spectrum[: half + 1],
        spectrum[half:],
    )


def _windowed_sinc_spectrum(frequency: Array, width: float) -> Array:
    """Fourier transform of sinc(t) (1 + cos(2 pi t / width)) / 2, |t| < width / 2; cycles per sample."""

    def truncated_sinc(f: Array) -> Array:
        upper, lower = sici(np.pi * width * (f + 0.5))[0], sici(np.pi * width * (f - 0.5))[0]
        return (upper - lower) / np.pi

    step = 1 / width
    sides = truncated_sinc(frequency - step) + truncated_sinc(frequency + step)
    return truncated_sinc(frequency) / 2 + sides / 4


def _spreading_function(offset: Array) -> Array:
    """The "exponential of semicircle" kernel; offset in grid points."""
    inside = np.maximum(1 - (offset / (WIDTH / 2)) ** 2, 0)
    return np.exp(_SPREAD_BETA * (np.sqrt(inside) - 1)) * (inside > 0)


def _spreading_spectrum(frequency: Array) -> Array:
    """Fourier transform of the spreading function; cycles per grid point. Gauss-Legendre quadrature."""
    nodes, weights = np.polynomial.legendre.leggauss(48)
    offset = nodes * WIDTH / 2
    values = weights * _spreading_function(offset) * WIDTH / 2
    return np.cos(2 * np.pi * frequency[:, None] * offset) @ values


def _spreading_table() -> Float32:
    """Row p: the 8 weights of an image p / _TABLE_STEPS past a grid point, then their slopes towards row p + 1."""
    fraction = np.arange(_TABLE_STEPS + 1)[:, None] / _TABLE_STEPS
    points = np.arange(WIDTH) - (WIDTH // 2 - 1)
    values = _spreading_function(points - fraction)
    # The last row is for fractions that round to 1.
    slopes = np.diff(values, axis=0, append=values[-1:])
    return np.hstack([values, slopes]).astype(np.float32)


_TABLE = _spreading_table()


def axis_images(
    length_m: float,
    source_m: float,
    microphone_m: float,
    reflection: Array,
    plan: Plan,
) -> tuple[Array, Array]:
    """Images along one axis: offsets from the microphone in metres, ascending, and products of reflection coefficients.

    Image k has been reflected |k| times and lies in the k-th mirrored room. Images too far to touch the impulse
    response and silent ones (coefficient 0) are left out.
    """
    reach_m = plan.reach_m
    rooms = math.ceil(reach_m / length_m) + 1
    k = np.arange(-rooms, rooms + 1) if max(reflection) > 0 else np.zeros(1, dtype=np.int64)
    if plan.convention.boxed:
        box = math.ceil(2 * plan.sample_count / plan.rate_hz * SPEED_OF_SOUND / length_m)
        k = k[(k >= -(box // 2)) & (k < box - box // 2)]
    odd = k % 2
    position = (k + odd) * length_m + np.where(odd, -source_m, source_m)
    # The wall at 0 is hit ceil(|k| / 2) times going down, floor(|k| / 2) times going up.
    at_upper = (np.abs(k) + (k > 0)) // 2
    gain = np.power(reflection[0], np.abs(k) - at_upper) * np.power(reflection[1], at_upper)
    gain = gain * np.where(odd, plan.convention.sign, 1)
    offset = position - microphone_m
    kept = (np.abs(offset) <= reach_m) & (gain != 0)
    order = np.argsort(offset[kept], kind="stable")
    return offset[kept][order], gain[kept][order]


@njit(nogil=True, fastmath=True, error_model="numpy")
def _spread(
    grid: Float32,
    x: Array,
    gain_x: Array,
    y: Array,
    gain_y: Array,
    z: Array,
    gain_z: Array,
    reach: float,
    grid_per_metre: float,
    table: Float32,
) -> None:
    """Add the images x[i], y[j], z[k] to the grid. The innermost axis should have the most images.

    One thread, one order: the same bytes every time. Distances are in double precision, gains in single.
    """
    square_z = z * z
    single_gain_z = gain_z.astype(np.float32)
    point = np.empty(z.size, np.int32)
    row = np.empty(z.size, np.int32)
    rest = np.empty(z.size, np.float32)
    gain = np.empty(z.size, np.float32)
    for i in range(x.size):
        for j in range(y.size):
            square_xy = x[i] * x[i] + y[j] * y[j]
            left = reach * reach - square_xy
            if left < 0:
                continue
            limit = math.sqrt(left)
            first = np.searchsorted(z, -limit)
            last = np.searchsorted(z, limit)
            squares, gains = square_z[first:last], single_gain_z[first:last]
            gain_xy = np.float32(gain_x[i] * gain_y[j] / (4 * math.pi))
            # Two loops counted from 0: so the compiler can vectorise the first one.
            for k in range(last - first):
                distance = math.sqrt(square_xy + squares[k])
                place = distance * grid_per_metre
                whole = np.int32(place)
                step = np.float32(place - whole) * np.float32(_TABLE_STEPS)
                whole_step = np.int32(step)
                point[k] = whole
                row[k] = whole_step
                rest[k] = step - np.float32(whole_step)
                held = max(np.float32(distance), np.float32(SHORTEST_DISTANCE_M))
                gain[k] = gain_xy * gains[k] / held
            for k in range(last - first):
                add_weighted(grid, point[k], table, row[k], gain[k], gain[k] * rest[k])


def shoebox_rirs(
    plan: Plan,
    size_m: Array,
    reflections: Array,
    sources: Array,
    microphones: Array,
    check: Callable[[], None] = lambda: None,
) -> Float32:
    """Impulse responses (n, plan.sample_count) of n source-microphone pairs. Equations 7 and 8.

    `size_m` (3,); `reflections` (3, 2), magnitude of the coefficients of the walls at 0 and at `size_m`; `sources`
    and `microphones` (n, 3) in the room. The gain of a path is 1 / (4 pi d). `check` is called about every 10 ms
    and may raise. Safe to call from several threads; what comes out does not depend on how many there are.
    """
    grid = np.zeros((len(sources), 2 * plan.fft_size), dtype=np.float32)
    grid_per_metre = 2 * plan.rate_hz / SPEED_OF_SOUND
    for line, source, microphone in zip(grid, sources, microphones, strict=True):
        axes = [
            axis_images(size_m[a], source[a], microphone[a], reflections[a], plan) for a in range(3)
        ]
        axes.sort(key=lambda axis: len(axis[0]))
        (x, gain_x), y, z = axes
        slab = max(1, _IMAGES_BETWEEN_CHECKS // max(1, len(y[0]) * len(z[0])))
        for start in range(0, len(x), slab):
            check()
            part = slice(start, start + slab)
            _spread(line, x[part], gain_x[part], *y, *z, plan.reach_m, grid_per_metre, _TABLE)
    fine = fft.rfft(grid, axis=1)
    half = plan.fft_size // 2
    fold = len(plan.folded)
    spectrum = fine[:, : half + 1] * plan.spectrum
    # Every second grid point is kept: what lies beyond Nyquist comes back mirrored.
    spectrum[:, half - fold + 1 :] += np.conj(fine[:, half : half + fold] * plan.folded)[:, ::-1]
    return fft.irfft(spectrum, plan.fft_size, axis=1)[:, : plan.sample_count]


def exact_rir(
    plan: Plan, size_m: Array, reflections: Array, source: Array, microphone: Array
) -> Array:
    """The sum of windowed sincs (plan.sample_count,) itself, in double precision: the yardstick of `shoebox_rirs`."""
    axes = [
        axis_images(size_m[a], source[a], microphone[a], reflections[a], plan) for a in range(3)
    ]
    offsets = np.meshgrid(*(axis[0] for axis in axes), indexing="ij")
    distance = np.sqrt(sum(offset**2 for offset in offsets)).ravel()
    gains = np.einsum("i,j,k->ijk", *(axis[1] for axis in axes)).ravel()
    near = distance <= plan.reach_m
    distance, gains = distance[near], gains[near]
    gains = gains / (4 * np.pi * np.maximum(distance, SHORTEST_DISTANCE_M))
    delay = distance / SPEED_OF_SOUND * plan.rate_hz
    half = plan.kernel_samples / 2
    response = np.zeros(plan.sample_count)
    taps = np.arange(-math.ceil(half), math.ceil(half) + 1)
    for block in np.array_split(np.arange(len(delay)), max(1, len(delay) // 4096)):
        sample = np.floor(delay[block]).astype(np.int64)[:, None] + taps
        t = sample - delay[block][:, None]
        window = (0.5 + 0.5 * np.cos(np.pi * t / half)) * (np.abs(t) < half)
        values = gains[block][:, None] * np.sinc(t) * window
        inside = (sample >= 0) & (sample < plan.sample_count)
        np.add.at(response, sample[inside], values[inside])
    return response
