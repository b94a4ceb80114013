"""Triangles between directions on the sphere, and values spread over them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import ConvexHull, QhullError

from ..protocol import Sonic4DError

Array = npt.NDArray[np.float64]

_POLE_GAP = np.cos(np.radians(15))
_RING = np.radians(7)


class Triangulation:
    """The directions (n, 3) in which something was measured, and those in which it is wanted.

    Where nothing was measured around a pole, the mean of what is nearest to it stands in: `directions` and `closed` have
    these stand-ins at the end.
    """

    def __init__(self, measured: Array, wanted: Array) -> None:
        self._rings = []
        self.directions = measured
        for pole in (np.array([0, 0, 1.0]), np.array([0, 0, -1.0])):
            nearness = measured @ pole
            if nearness.max() < _POLE_GAP:
                self._rings.append(np.arccos(nearness) < np.arccos(nearness.max()) + _RING)
                self.directions = np.vstack((self.directions, pole))
        self._corners, self._shares = triangulate(self.directions, wanted)

    def closed(self, values: Array) -> Array:
        """Values (n, ...) in the measured directions -> in `directions`."""
        return np.concatenate((values, *(values[ring].mean(axis=0)[None] for ring in self._rings)))

    def spread(self, values: Array) -> Array:
        """Values in `directions` -> in the wanted ones, linear in each triangle."""
        return np.einsum("nk,nk...->n...", self._shares, values[self._corners])


def triangulate(measured: Array, wanted: Array) -> tuple[npt.NDArray[np.int64], Array]:
    """Which 3 of the measured unit vectors (n, 3) surround each wanted one (m, 3): indices and shares (m, 3).

    Raises `Sonic4DError` if the measured directions don't surround the head.
    """
    try:
        hull = ConvexHull(measured)
    except (QhullError, ValueError):
        hull = None
    if hull is None or (hull.equations[:, 3] > -0.1).any():
        raise Sonic4DError(
            "bad_hrtf",
            "This head was measured on one side only; sound can come from everywhere.",
            'Use a set that covers the whole circle, or the packaged set "kemar".',
        )
    faces = hull.simplices
    inverse = np.linalg.inv(measured[faces].transpose(0, 2, 1))
    corners = np.empty((len(wanted), 3), dtype=np.int64)
    shares = np.empty((len(wanted), 3))
    for n, direction in enumerate(wanted):
        inside = inverse @ direction
        best = np.argmax(inside.min(axis=1))
        corners[n] = faces[best]
        shares[n] = np.maximum(inside[best], 0)
    return corners, shares / shares.sum(axis=1, keepdims=True)
