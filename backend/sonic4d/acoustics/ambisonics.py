"""Spherical harmonics as AmbiX wants them: ACN channel order, SN3D normalisation (Nachbar et al., Ambisonics Symposium
2011)."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

MAX_ORDER = 3
ORDERS = {"ambix1": 1, "ambix2": 2, "ambix3": 3}


def spherical_harmonics(order: int, directions: Array) -> Array:
    """Gains (n, (order + 1)^2) of plane waves from unit vectors (n, 3): forward, left, up; `order` up to 3.

    W is 1 for every direction.
    """
    x, y, z = np.asarray(directions, np.float64).T
    channels = (
        np.ones_like(x),
        *(y, z, x),
        math.sqrt(3) * x * y,
        math.sqrt(3) * y * z,
        (3 * z**2 - 1) / 2,
        math.sqrt(3) * x * z,
        math.sqrt(3 / 4) * (x**2 - y**2),
        math.sqrt(5 / 8) * y * (3 * x**2 - y**2),
        math.sqrt(15) * x * y * z,
        math.sqrt(3 / 8) * y * (5 * z**2 - 1),
        z * (5 * z**2 - 3) / 2,
        math.sqrt(3 / 8) * x * (5 * z**2 - 1),
        math.sqrt(15 / 4) * z * (x**2 - y**2),
        math.sqrt(5 / 8) * x * (x**2 - 3 * y**2),
    )
    return np.stack(channels[: (order + 1) ** 2], axis=1)


def orthonormal(order: int) -> Array:
    """What turns SN3D channels into N3D ones (orthonormal over the sphere), ((order + 1)^2,): sqrt(2 n + 1)."""
    degrees = np.arange(order + 1)
    return np.sqrt(np.repeat(2 * degrees + 1, 2 * degrees + 1))


def turns(order: int, rotations: Array) -> Array:
    """Matrices (k, C, C) that make the channels of a sound field (C,) those heard in turned axes.

    rotations (k, 3, 3): rows are the turned axes, forward, left, up, in the old ones. The same for SN3D and N3D: a
    rotation mixes only channels of the same degree.
    """
    directions, inverse = _probes(order)
    turned = directions @ rotations.transpose(0, 2, 1)
    channels = spherical_harmonics(order, turned.reshape(-1, 3)).reshape(*turned.shape[:2], -1)
    return (inverse @ channels).transpose(0, 2, 1)


@lru_cache
def _probes(order: int) -> tuple[Array, Array]:
    """Directions (n, 3) that tell all channels apart, and what gives a field's channels from its values there."""
    directions = spread_directions(32)
    return directions, np.linalg.pinv(spherical_harmonics(order, directions))


def spread_directions(count: int) -> Array:
    """Unit vectors (count, 3), evenly over the sphere: a Fibonacci spiral."""
    index = np.arange(count) + 0.5
    height = 1 - 2 * index / count
    angle = index * (np.pi * (3 - math.sqrt(5)))
    flat = np.sqrt(1 - height**2)
    return np.stack((flat * np.cos(angle), flat * np.sin(angle), height), axis=1)
