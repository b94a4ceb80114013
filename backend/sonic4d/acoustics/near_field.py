"""Two ears hear a sound that is near from their own places: at their own time and level, a head's from their own direction.

The head's responses were measured from farther away. Nearer, an ear's response is that to the direction in which the
line from the ear through the source meets a sphere of 1 m (parallax), times what a rigid sphere would make of the
difference (Duda and Martens, JASA 104, 1998): the near ear gets louder and the far one less so, most at low
frequencies. The time difference follows the way around the sphere.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.interpolate import RectBivariateSpline
from scipy.special import eval_legendre, spherical_jn, spherical_yn

from ..materials import OCTAVES_HZ
from .heard_paths import HeardPaths
from .image_source import SHORTEST_DISTANCE_M, SPEED_OF_SOUND
from .receivers import Receiver
from .sphere_table import read_table

Array = npt.NDArray[np.float64]

HEAD_RADIUS_M = 0.0875
NEAREST_M, FARTHEST_M = 0.15, 1.0  # nearer is as the nearest, farther as measured
_CORNER = 0.2  # of the logarithm of the distance: how gently both bounds are met
REACH_M = float(FARTHEST_M * np.exp(_CORNER))  # nothing changes beyond
_DISTANCES, _ANGLES, _TONES = 25, 61, 9
_LONGEST_SERIES = 90


def approach(heard: HeardPaths, receiver: Receiver, rate_hz: int) -> None:
    """Change the paths of a head (`HeardPaths`) wherever they are shorter than `REACH_M`."""
    distance_m = np.linalg.norm(heard.away, axis=2)
    knot, path = np.nonzero(distance_m < REACH_M)
    if not len(knot):
        return
    distance_m = distance_m[knot, path]
    towards = np.einsum("nij,nj->ni", heard.axes[knot], heard.away[knot, path])
    towards /= np.maximum(distance_m, 1e-9)[:, None]
    towards[distance_m < 1e-9] = 1, 0, 0
    near_m = bounded_m(distance_m)
    level = 1 / (4 * np.pi * np.maximum(distance_m, SHORTEST_DISTANCE_M))
    half = receiver.buses // 2
    for ear, side in enumerate((1.0, -1.0)):
        at = np.array([0, side * HEAD_RADIUS_M, 0])
        seen = parallax(towards * near_m[:, None], at)
        angle = np.arccos(np.clip(side * towards[:, 1], -1, 1))
        seen_angle = np.arccos(np.clip(side * seen[:, 1], -1, 1))
        weights = read_table(receiver.weights, seen)[:, ear * half : (ear + 1) * half]
        heard.weight[knot, path, ear * half : (ear + 1) * half] = level[:, None] * weights
        later_m = detour_m(near_m, angle) - detour_m(np.full_like(near_m, FARTHEST_M), angle)
        heard.delay[knot, path, ear] += later_m / SPEED_OF_SOUND * rate_hz
        near, far = sphere_levels(near_m, angle), sphere_levels(FARTHEST_M, seen_angle)
        heard.share[knot, path, ear] *= np.exp(near - far)


def spread(heard: HeardPaths, spacing_m: float, rate_hz: int) -> None:
    """Let two microphones hear the paths (`HeardPaths`) each from its own place: when they get there, as 1 / (4 pi d)."""
    squared = np.einsum("npi,npi->np", heard.away, heard.away)
    to_the_left_m = np.einsum("npi,ni->np", heard.away, heard.axes[:, 1])
    for ear, place_m in enumerate((spacing_m / 2, -spacing_m / 2)):
        away_m = np.sqrt(np.maximum(squared - 2 * place_m * to_the_left_m + place_m**2, 0))
        later_s = (away_m - np.sqrt(squared)) / SPEED_OF_SOUND
        heard.delay[..., ear] = (heard.travel_s + later_s) * rate_hz
        heard.weight[..., ear] = 1 / (4 * np.pi * np.maximum(away_m, SHORTEST_DISTANCE_M))


def bounded_m(distance_m: Array) -> Array:
    """Distances (n,) brought between `NEAREST_M` and `FARTHEST_M`, smoothly (C1)."""
    x = np.log(np.maximum(distance_m, 1e-9))
    for bound, sign in ((np.log(FARTHEST_M), 1), (np.log(NEAREST_M), -1)):
        beyond = np.clip(sign * (x - bound) + _CORNER, 0, 2 * _CORNER)
        x = np.where(sign * (x - bound) > _CORNER, bound, x - sign * beyond**2 / (4 * _CORNER))
    return np.exp(x)


def parallax(places: Array, ear: Array) -> Array:
    """Where on a sphere of `FARTHEST_M` = 1 m an ear (3,) sees places (n, 3): unit vectors from the head's middle."""
    way = places - ear
    along, square = way @ ear, (way**2).sum(axis=1)
    reach = np.sqrt(along**2 + square * (FARTHEST_M**2 - ear @ ear))
    return (ear + ((reach - along) / square)[:, None] * way) / FARTHEST_M


def detour_m(distance_m: Array, angle: Array) -> Array:
    """How much longer than to the middle of the head, in its absence, the way is to an ear at `angle` (n,) from the source:
    straight, or along a tangent and around the sphere (Woodworth 1938)."""
    tangent = np.arccos(HEAD_RADIUS_M / distance_m)
    straight = np.sqrt(
        distance_m**2 + HEAD_RADIUS_M**2 - 2 * distance_m * HEAD_RADIUS_M * np.cos(angle)
    )
    around = np.sqrt(distance_m**2 - HEAD_RADIUS_M**2) + HEAD_RADIUS_M * (angle - tangent)
    return np.where(angle < tangent, straight, around) - distance_m


def sphere_levels(distance_m: Array | float, angle: Array) -> Array:
    """Natural logarithm (n, 8), in `OCTAVES_HZ`, of how much louder it is on a rigid sphere, at an angle (n,) from the
    source, than it would be at its middle in its absence."""
    x = np.broadcast_to(np.log(distance_m), angle.shape)
    return np.stack([octave.ev(x, angle) for octave in _levels()], axis=1)


@lru_cache
def _levels() -> list[RectBivariateSpline]:
    """By the logarithm of the distance and the angle."""
    logarithms = np.linspace(np.log(NEAREST_M), np.log(FARTHEST_M), _DISTANCES)
    angles = np.linspace(0, np.pi, _ANGLES)
    splines = []
    for middle_hz in OCTAVES_HZ:
        energy = np.zeros((_DISTANCES, _ANGLES))
        for octaves in (np.arange(_TONES) - _TONES // 2) / _TONES:
            energy += _sphere_energy(np.exp(logarithms), angles, middle_hz * 2.0**octaves) / _TONES
        splines.append(RectBivariateSpline(logarithms, angles, np.log(energy) / 2))
    return splines


def _sphere_energy(distances_m: Array, angles: Array, frequency_hz: float) -> Array:
    """(distances, angles): Duda and Martens, equation 6, squared."""
    ka = 2 * np.pi * frequency_hz / SPEED_OF_SOUND * HEAD_RADIUS_M
    kr = ka * (distances_m / HEAD_RADIUS_M)[:, None]
    degree = np.arange(min(int(1.5 * ka) + 40, _LONGEST_SERIES))
    slope = spherical_jn(degree, ka, True) + 1j * spherical_yn(degree, ka, True)
    wave = spherical_jn(degree, kr) + 1j * spherical_yn(degree, kr)
    series = (2 * degree + 1) * wave / slope @ eval_legendre(degree[:, None], np.cos(angles))
    return np.abs(kr / ka**2 * series) ** 2
