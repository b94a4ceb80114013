"""Spherical harmonics as AmbiX wants them: ACN channel order, SN3D normalisation (Nachbar et al., Ambisonics Symposium
2011)."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

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
