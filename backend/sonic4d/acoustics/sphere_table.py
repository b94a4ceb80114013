"""Smooth functions of direction: a 5 degree grid over the sphere read through cubic B-splines (C2 everywhere).

The grid runs over both poles and down the other side, which makes it periodic both ways: no seam and no pole where
a moving sound could click.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy.ndimage import spline_filter1d

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

STEP_DEG = 5
AZIMUTHS = 360 // STEP_DEG
ELEVATIONS = 180 // STEP_DEG + 1


def grid_directions() -> Array:
    """(ELEVATIONS * AZIMUTHS, 3) unit vectors, elevation from -90 degrees up, azimuth from the front to the left."""
    elevation = np.radians(np.arange(ELEVATIONS) * STEP_DEG - 90.0)[:, None]
    azimuth = np.radians(np.arange(AZIMUTHS) * STEP_DEG)[None]
    flat = np.cos(elevation)
    height = np.broadcast_to(np.sin(elevation), (ELEVATIONS, AZIMUTHS))
    return np.stack((flat * np.cos(azimuth), flat * np.sin(azimuth), height), -1).reshape(-1, 3)


def grid_areas() -> Array:
    """Share of the sphere that each grid direction stands for; the sum is 1."""
    elevation = np.radians(np.arange(ELEVATIONS) * STEP_DEG - 90.0)
    half = np.radians(STEP_DEG / 2)
    edges = np.clip(np.stack((elevation - half, elevation + half)), -np.pi / 2, np.pi / 2)
    band = np.diff(np.sin(edges), axis=0)[0] / 2
    return np.repeat(band / AZIMUTHS, AZIMUTHS)


def make_table(values: Array) -> Array:
    """Values (directions, k) at `grid_directions` -> table (rows, columns, k) of spline coefficients for `read_table`."""
    grid = values.reshape(ELEVATIONS, AZIMUTHS, -1)
    other_side = np.roll(grid, AZIMUTHS // 2, axis=1)[-2:0:-1]
    torus = np.concatenate((grid, other_side))
    for axis in (0, 1):
        torus = spline_filter1d(torus, 3, axis, mode="grid-wrap")
    rows = np.arange(-1, ELEVATIONS + 1) % len(torus)
    columns = np.arange(-1, AZIMUTHS + 2) % AZIMUTHS
    return np.ascontiguousarray(torus[rows][:, columns])


@njit(cache=True, nogil=True)
def spline_weights(x: float, y: float, z: float, weights: Array) -> tuple[int, int]:
    """Where a unit vector lies in a table: row and column of 4 x 4 coefficients; their weights go to `weights` (16,)."""
    azimuth = math.atan2(y, x) * (180.0 / math.pi / STEP_DEG)
    elevation = math.asin(min(1.0, max(-1.0, z))) * (180.0 / math.pi / STEP_DEG) + 90.0 / STEP_DEG
    if azimuth < 0:
        azimuth += AZIMUTHS
    row = min(int(elevation), ELEVATIONS - 2)
    column = min(int(azimuth), AZIMUTHS - 1)
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


@njit(cache=True, nogil=True)
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
