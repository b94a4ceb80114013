"""The first reflections of a room as image sources, and the reverberation its walls are made for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..room import Room
from .air import air_absorption_per_m
from .enclosure import GROUND_REFLECTION
from .image_source import SPEED_OF_SOUND
from .spectral_buses import OCTAVES_HZ

Array = npt.NDArray[np.float64]

DECAY_60_DB = 6 * math.log(10)  # of energy
_REFERENCE_HZ = 1000.0


@dataclass(frozen=True)
class Images:
    """Image i of a source at s stands at offset[i] + sign[i] * s (room coordinates) after order[i] reflections.

    offset, sign (n, 3); order (n,). The first is the source itself.
    """

    offset: Array
    sign: Array
    order: npt.NDArray[np.int64]


def make_images(room: Room, order: int) -> Images:
    """All images up to an order: of a half space the floor reflects once, of a free field nothing does."""
    if room.kind == "free_field":
        return Images(np.zeros((1, 3)), np.ones((1, 3)), np.zeros(1, np.int64))
    if room.kind == "half_space":
        return Images(np.zeros((2, 3)), np.array([[1.0, 1, 1], [1, 1, -1]]), np.array([0, 1]))
    steps = np.arange(-order, order + 1)
    x, y, z = (a.ravel() for a in np.meshgrid(steps, steps, steps, indexing="ij"))
    reflections = np.abs(np.stack((x, y, z), axis=1))
    cell = np.stack((x, y, z), axis=1)
    total = reflections.sum(axis=1)
    chosen = np.lexsort((z, y, x, total))[: int((total <= order).sum())]
    cell, total = cell[chosen], total[chosen]
    odd = cell % 2
    # Cell n of an axis of length L holds the source at n L + s, mirrored if n is odd: (n + 1) L - s.
    return Images((cell + odd) * np.array(room.size), 1.0 - 2 * odd, total.astype(np.int64))


@dataclass(frozen=True)
class Walls:
    """What the walls do to sound: `log_reflection` (8,), the natural logarithm of their reflection coefficient in
    `OCTAVES_HZ`; `mean_free_path_m` between two reflections (infinite where nothing reverberates)."""

    log_reflection: Array
    mean_free_path_m: float

    def decay_per_s(self, frequencies_hz: Array) -> Array:
        """How fast reverberant energy fades, as exp(-decay t): 13.8 / RT60 (Eyring 1930, with the air's absorption)."""
        octaves, logarithm = np.log(OCTAVES_HZ), np.log(np.maximum(frequencies_hz, 1))
        lost = -2 * np.interp(logarithm, octaves, self.log_reflection) / self.mean_free_path_m
        return SPEED_OF_SOUND * (lost + air_absorption_per_m(frequencies_hz))


def make_walls(room: Room) -> Walls | None:
    """Walls equal at all frequencies that give the room's reverberation time at 1 kHz, together with the air.

    Higher frequencies fade sooner, because of the air. None for a room without reflections.
    """
    if room.kind == "free_field" or (room.kind == "shoebox" and room.rt60_s == 0):
        return None
    if room.kind == "half_space":
        return Walls(np.full(8, math.log(GROUND_REFLECTION)), math.inf)
    x, y, z = room.size
    mean_free_path_m = 2 * x * y * z / (x * y + y * z + z * x)
    asked = DECAY_60_DB / (SPEED_OF_SOUND * room.rt60_s)
    lost = max(asked - float(air_absorption_per_m(np.array(_REFERENCE_HZ))), 0.01 * asked)
    return Walls(np.full(8, -lost * mean_free_path_m / 2), mean_free_path_m)
