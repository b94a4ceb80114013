"""How loud sources are in each direction: octave-band gains of the patterns in `directivity`."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import eval_legendre, spherical_jn, spherical_yn

from ..directivity import Directivity
from ..materials import OCTAVES_HZ
from .early_images import Images
from .heard_paths import HeardPaths
from .hifi_scene import Paths
from .image_source import SPEED_OF_SOUND

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

# p(angle) = a + (1 - a) cos(angle)
_FIRST_ORDER = {
    "subcardioid": 0.7,
    "cardioid": 0.5,
    "supercardioid": 0.366,
    "hypercardioid": 0.25,
    "figure_of_eight": 0.0,
}
_HEAD_RADIUS_M, _MOUTH_RADIUS_M = 0.0875, 0.013
_ANGLES = 181
_TONES = 9  # per octave


def octave_gains(directivity: Directivity, cosine: Array) -> Array:
    """Gains (..., 8) in `OCTAVES_HZ` for cosines (...) of the angle off the source's front, where they are 1.

    Behind, a figure of eight is inverted. The cone is linear in the angle between its inner and outer edge, as
    Blender's speakers are (OpenAL 1.1, 4.4.1).
    """
    cosine = np.clip(cosine, -1, 1)
    if directivity.pattern in _FIRST_ORDER:
        pressure = _FIRST_ORDER[directivity.pattern]
        flat = pressure + (1 - pressure) * cosine
    elif directivity.pattern == "cone":
        angle_deg = 2 * np.degrees(np.arccos(cosine))
        inner, outer = (
            directivity.inner_deg,
            max(directivity.outer_deg, directivity.inner_deg + 1e-6),
        )
        beyond = np.clip((angle_deg - inner) / (outer - inner), 0, 1)
        flat = 1 + beyond * (directivity.outer_gain - 1)
    elif directivity.pattern == "voice":
        angle_deg = np.degrees(np.arccos(cosine))
        places = np.arange(_ANGLES)
        return np.stack([np.interp(angle_deg, places, band) for band in _voice()], axis=-1)
    else:
        flat = np.ones_like(cosine)
    return np.repeat(flat[..., None], len(OCTAVES_HZ), axis=-1)


def towards_listener(
    directivity: Directivity, paths: Paths, source: int, images: Images, heard: HeardPaths
) -> Float32:
    """How loud a source is (knots, images, 8) towards the listener, when it sent what is heard now."""
    sent_s = heard.times_s[:, None] - heard.travel_s
    step_s = heard.times_s[1] - heard.times_s[0]
    earlier = math.ceil((heard.times_s[0] - sent_s.min()) / step_s) + 1
    known_s = heard.times_s[0] + step_s * np.arange(-earlier, len(heard.times_s))
    fronts = np.stack(
        [np.interp(sent_s, known_s, axis) for axis in paths.front(source, known_s).T], axis=-1
    )
    # The image radiates towards the listener what the source radiates in the mirrored direction.
    towards = -images.sign * heard.away
    length = np.linalg.norm(towards, axis=-1) * np.linalg.norm(fronts, axis=-1)
    cosine = np.einsum("kni,kni->kn", towards, fronts) / np.maximum(length, 1e-9)
    return octave_gains(directivity, cosine).astype(np.float32)


def radiated_power(directivity: Directivity) -> Array:
    """What the source radiates in all directions together, (8,), of an omnidirectional one that is as loud in front: the
    inverse of its directivity factor Q."""
    nodes, weights = np.polynomial.legendre.leggauss(256)
    return weights @ octave_gains(directivity, nodes) ** 2 / 2


@lru_cache
def _voice() -> Array:
    """A mouth on a head, (8, _ANGLES) by degrees off the front: a vibrating cap on a rigid sphere (Morse and Ingard,
    Theoretical Acoustics, 1968, 7.2), energies averaged over each octave."""
    edge = np.sqrt(1 - (_MOUTH_RADIUS_M / _HEAD_RADIUS_M) ** 2)
    cosine = np.cos(np.radians(np.arange(_ANGLES)))
    octaves = []
    for middle_hz in OCTAVES_HZ:
        tones_hz = middle_hz * 2.0 ** ((np.arange(_TONES) - _TONES // 2) / _TONES)
        energy = np.zeros(_ANGLES)
        for tone_hz in tones_hz:
            ka = 2 * np.pi * tone_hz / SPEED_OF_SOUND * _HEAD_RADIUS_M
            degree = np.arange(int(1.5 * ka) + 20)
            cap = (eval_legendre(degree - 1, edge) - eval_legendre(degree + 1, edge)) / 2
            cap[0] = (1 - edge) / 2
            slope = spherical_jn(degree, ka, True) + 1j * spherical_yn(degree, ka, True)
            terms = cap * (-1j) ** degree / slope
            pressure = terms @ eval_legendre(degree[:, None], cosine)
            energy += np.abs(pressure / pressure[0]) ** 2 / _TONES
        octaves.append(np.sqrt(energy))
    return np.array(octaves)
