"""Loudspeaker layouts of ITU-R BS.2051 and the panning of sound between them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .triangulation import triangulate

Array = npt.NDArray[np.float64]
# Azimuth (to the left) and elevation in degrees; None for a subwoofer's channel.
Layout = dict[str, tuple[float, float] | None]

# In file order. 5.1 is BS.2051's system B (0+5+0), 7.1.4 its system J (4+7+0).
LAYOUTS: dict[str, Layout] = {
    "5.1": {
        "L": (30, 0),
        "R": (-30, 0),
        "C": (0, 0),
        "LFE": None,
        "Ls": (110, 0),
        "Rs": (-110, 0),
    },
    "7.1.4": {
        "L": (30, 0),
        "R": (-30, 0),
        "C": (0, 0),
        "LFE": None,
        "Lss": (90, 0),
        "Rss": (-90, 0),
        "Lrs": (135, 0),
        "Rrs": (-135, 0),
        "Ltf": (45, 30),
        "Rtf": (-45, 30),
        "Ltr": (135, 30),
        "Rtr": (-135, 30),
    },
}
_LAYER_DEG = 30


def unit_vector(azimuth_deg: float, elevation_deg: float) -> Array:
    """(3,): forward, left, up."""
    azimuth, elevation = np.radians(azimuth_deg), np.radians(elevation_deg)
    flat = np.cos(elevation)
    return np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)])


def panning_gains(layout: Layout, directions: Array) -> Array:
    """Gains (n, channels) for sound from unit vectors (n, 3) (forward, left, up); the sum of their squares is 1.

    Vector base amplitude panning (Pulkki, JAES 45, 1997) between the three loudspeakers around a direction. As in
    ITU-R BS.2127, virtual loudspeakers close the sphere: the ear-level ring is repeated above and below where the layout has
    none, and handed to the loudspeakers it copies; the zenith and the nadir go to all of the ring next to them. LFE
    stays silent: it is for effects that are mixed to it.
    """
    names = list(layout)
    real = {name: place for name, place in layout.items() if place is not None}
    ring = {name: azimuth for name, (azimuth, elevation) in real.items() if elevation == 0}
    places, heard_from = [], []
    for name, place in real.items():
        places.append(unit_vector(*place))
        heard_from.append([name])
    for side in (1, -1):
        above = [name for name, (_, elevation) in real.items() if side * elevation > 0]
        if not above:
            above = list(ring)
            places += [unit_vector(azimuth, side * _LAYER_DEG) for azimuth in ring.values()]
            heard_from += [[name] for name in ring]
        places.append(np.array([0.0, 0, side]))
        heard_from.append(above)
    downmix = np.zeros((len(places), len(names)))
    for row, channels in zip(downmix, heard_from, strict=True):
        row[[names.index(name) for name in channels]] = len(channels) ** -0.5

    # Four loudspeakers in one plane can be cut into triangles in two ways; the mean with the mirror image is even.
    mirror = np.array([1.0, -1, 1])
    there = [names.index(_opposite(name, layout)) for name in names]
    gains = _triplet_gains(np.array(places), directions) @ downmix
    mirrored = _triplet_gains(np.array(places), directions * mirror) @ downmix
    gains += mirrored[:, there]
    return gains / np.linalg.norm(gains, axis=1, keepdims=True)


def _opposite(name: str, layout: Layout) -> str:
    """The loudspeaker on the other side, or itself in the middle."""
    place = layout[name]
    if place is None:
        return name
    return next(other for other, at in layout.items() if at == (-place[0], place[1]))


def _triplet_gains(places: Array, directions: Array) -> Array:
    corners, shares = triangulate(places, directions)
    gains = np.zeros((len(directions), len(places)))
    np.put_along_axis(gains, corners, shares, axis=1)
    return gains / np.linalg.norm(gains, axis=1, keepdims=True)
