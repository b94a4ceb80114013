"""Smooth functions of direction: a 2.5 degree grid over the sphere read through cubic B-splines (C2 everywhere).

The grid runs over both poles and down the other side, which makes it periodic both ways: no seam and no pole where
a moving sound could click.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import fft, signal
from scipy.ndimage import spline_filter1d

from ..compiled import njit

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

STEP_DEG = 2.5
MEASURED_STEP_DEG = 5.0  # as close as heads are measured, and as quadrature needs
_COARSE, _FADE = 18, 14  # periods in a circle
_PASSES = 12
_COLUMNS, _ROWS = round(360 / STEP_DEG), round(180 / STEP_DEG) + 1


def grid_directions(step_deg: float = STEP_DEG) -> Array:
    """(elevations * azimuths, 3) unit vectors, elevation from -90 degrees up, azimuth from the front to the left."""
    elevation = np.radians(np.arange(round(180 / step_deg) + 1) * step_deg - 90)[:, None]
    azimuth = np.radians(np.arange(round(360 / step_deg)) * step_deg)[None]
    flat = np.cos(elevation)
    height = np.sin(elevation) + 0 * azimuth
    return np.stack((flat * np.cos(azimuth), flat * np.sin(azimuth), height), -1).reshape(-1, 3)


def grid_areas(step_deg: float = STEP_DEG) -> Array:
    """Share of the sphere that each grid direction stands for; the sum is 1."""
    elevation = np.radians(np.arange(round(180 / step_deg) + 1) * step_deg - 90)
    half = np.radians(step_deg / 2)
    edges = np.clip(np.stack((elevation - half, elevation + half)), -np.pi / 2, np.pi / 2)
    band = np.diff(np.sin(edges), axis=0)[0] / 2
    azimuths = round(360 / step_deg)
    return np.repeat(band / azimuths, azimuths)


def _smoothed(values: Array, periods: Array) -> Array:
    """Values (n, k) at `grid_directions(MEASURED_STEP_DEG)` -> values at `grid_directions()`, by Fourier series of at most
    so many periods (k,) in a circle, the last `_FADE` of which fade out."""
    torus = _torus(values, MEASURED_STEP_DEG)
    count = len(torus)
    beyond = np.abs(fft.fftfreq(count, 1 / count))[:, None] - (periods - _FADE)
    kept = np.cos(np.pi / 2 * np.clip(beyond / _FADE, 0, 1)) ** 2
    for axis in (0, 1):
        spectrum = fft.fft(torus, axis=axis) * np.expand_dims(kept, 1 - axis)
        torus = fft.ifft(spectrum, axis=axis).real
    spike = fft.ifft(kept, axis=0).real / kept.mean(axis=0)
    for pole in (0, count // 2):  # one place, seen from all azimuths
        apart = torus[pole] - torus[pole].mean(axis=0)
        torus -= np.roll(spike, pole, axis=0)[:, None] * apart
    for axis in (0, 1):
        torus = signal.resample(torus, _COLUMNS, axis=axis)
    return torus[:_ROWS].reshape(-1, torus.shape[2])


def make_table(values: Array) -> Array:
    """Values (directions, k) at `grid_directions()` -> table (rows, columns, k) of spline coefficients for `read_table`."""
    torus = _torus(values, STEP_DEG)
    for axis in (0, 1):
        torus = spline_filter1d(torus, 3, axis, mode="grid-wrap")
    rows = np.arange(-1, _ROWS + 1) % _COLUMNS
    columns = np.arange(-1, _COLUMNS + 2) % _COLUMNS
    return np.ascontiguousarray(torus[rows][:, columns])


def make_table_through(
    values: Array,
    spread: Callable[[Array], Array],
    directions: Array,
    known: Array,
    periods: Array,
) -> Array:
    """The table of a function that is about `known` (m, k) at `directions` (m, 3), and smooth between them: no more than so
    many `periods` (k,) in a circle, as fast motion would turn them into sound.

    values (n, k) at `grid_directions(MEASURED_STEP_DEG)` are where it begins, from which only the coarse is taken;
    `spread` takes what is known at `directions` to there.
    """
    smooth = _smoothed(values, np.full(len(periods), _COARSE))
    for _ in range(_PASSES):
        missing = known - read_table(make_table(smooth), directions)
        smooth += _smoothed(spread(missing), periods)
    return make_table(smooth)


def _torus(values: Array, step_deg: float) -> Array:
    """Values at a grid's directions, (k, k, ...), over both poles and down the other side."""
    azimuths = round(360 / step_deg)
    grid = values.reshape(azimuths // 2 + 1, azimuths, -1)
    return np.concatenate((grid, np.roll(grid, azimuths // 2, axis=1)[-2:0:-1]))


@njit(nogil=True)
def spline_weights(x: float, y: float, z: float, weights: Array) -> tuple[int, int]:
    """Where a unit vector lies in a table: row and column of 4 x 4 coefficients; their weights go to `weights` (16,)."""
    azimuth = math.atan2(y, x) * (_COLUMNS / (2 * math.pi))
    elevation = math.asin(min(1.0, max(-1.0, z))) * (_COLUMNS / (2 * math.pi)) + _COLUMNS / 4
    if azimuth < 0:
        azimuth += _COLUMNS
    row = min(int(elevation), _ROWS - 2)
    column = min(int(azimuth), _COLUMNS - 1)
    t = azimuth - column
    u = elevation - row
    a0 = (1 - t) ** 3 / 6
    a1 = (t * t * (3 * t - 6) + 4) / 6
    a3 = t**3 / 6
    a2 = 1 - a0 - a1 - a3
    b0 = (1 - u) ** 3 / 6
    b1 = (u * u * (3 * u - 6) + 4) / 6
    b3 = u**3 / 6
    b2 = 1 - b0 - b1 - b3
    for i, b in enumerate((b0, b1, b2, b3)):
        weights[4 * i] = b * a0
        weights[4 * i + 1] = b * a1
        weights[4 * i + 2] = b * a2
        weights[4 * i + 3] = b * a3
    return row, column


@njit(nogil=True)
def read_table(table: Float32, directions: Array) -> Array:
    """Values (n, k) of a table at unit vectors (n, 3)."""
    result = np.zeros((directions.shape[0], table.shape[2]))
    weights = np.empty(16)
    for n in range(directions.shape[0]):
        x, y, z = directions[n]
        row, column = spline_weights(x, y, z, weights)
        for i in range(16):
            result[n] += weights[i] * table[row + i // 4, column + i % 4]
    return result
