"""Audio formats: their channels in file order, and what their loudness is measured on."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from .ambisonics import ORDERS
from .loudspeakers import LAYOUTS

Array = npt.NDArray[np.float64]

CHANNELS: dict[str, tuple[str, ...]] = {
    "binaural": ("L", "R"),
    "stereo": ("L", "R"),
    **{name: tuple(f"ACN{n}" for n in range((k + 1) ** 2)) for name, k in ORDERS.items()},
    **{name: tuple(layout) for name, layout in LAYOUTS.items()},
}
ADM = "adm"  # objects and a bed: as many channels as the shot makes it
_SURROUND_GAIN = 1.41


def loudness_mix(name: str) -> Array:
    """(m, channels): the signals whose energies add up to a format's loudness.

    Loudspeakers as ITU-R BS.1770-4, annex 4: without LFE, 1.41 times the energy from the sides. Ambisonics is measured
    on headphones (`decoder.on_headphones`) and has none.
    """
    gains = np.ones(len(CHANNELS[name]))
    for channel, place in enumerate(LAYOUTS.get(name, {}).values()):
        if place is None:
            gains[channel] = 0
        elif 60 <= abs(place[0]) <= 120 and abs(place[1]) < 30:
            gains[channel] = math.sqrt(_SURROUND_GAIN)
    return np.diag(gains)[gains > 0]
