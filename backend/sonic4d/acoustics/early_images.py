"""The first reflections of a room as image sources, and the reverberation its walls are made for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..materials import OCTAVES_HZ
from ..monitor import Monitor
from ..room import Room
from .air import air_absorption_per_m
from .enclosure import GROUND_REFLECTION
from .image_source import SPEED_OF_SOUND

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

DECAY_60_DB = 6 * math.log(10)  # of energy
_QUIETEST = math.log(1e-3)  # of a reflection; what is weaker counts as this
_LEAST_LOSS = 0.01  # of what the reverberation time asks for; the rest may be the air's
_KEPT = slice(0, 6)  # up to 4 kHz walls make up for the air
_OCTAVE_1_KHZ = 3


@dataclass(frozen=True)
class Images:
    """Image i of a source at s stands at offset[i] + sign[i] * s (room coordinates) after being reflected hits[i] times
    by each wall.

    offset, sign (n, 3); hits (n, 3, 2), at 0 and at the room's size along each axis. The first is the source itself.
    """

    offset: Array
    sign: Array
    hits: Indices

    @property
    def order(self) -> Indices:
        """How many reflections each image has seen (n,)."""
        return self.hits.sum(axis=(1, 2))

    def part(self, kept: slice) -> Images:
        return Images(self.offset[kept], self.sign[kept], self.hits[kept])


def make_images(room: Room, order: int) -> Images:
    """All images up to an order: of a half space the floor reflects once, of a free field nothing does."""
    if room.kind == "free_field" or order == 0:
        return Images(np.zeros((1, 3)), np.ones((1, 3)), np.zeros((1, 3, 2), np.int64))
    if room.kind == "half_space":
        hits = np.zeros((2, 3, 2), np.int64)
        hits[1, 2, 0] = 1
        return Images(np.zeros((2, 3)), np.array([[1.0, 1, 1], [1, 1, -1]]), hits)
    steps = np.arange(-order, order + 1)
    x, y, z = (a.ravel() for a in np.meshgrid(steps, steps, steps, indexing="ij"))
    cell = np.stack((x, y, z), axis=1)
    total = np.abs(cell).sum(axis=1)
    cell = cell[np.lexsort((z, y, x, total))[: int((total <= order).sum())]]
    odd = cell % 2
    # Cell n of an axis of length L holds the source at n L + s, mirrored if n is odd: (n + 1) L - s. On the way there
    # the walls are hit in turn, going up first the one at L.
    at_upper = (np.abs(cell) + (cell > 0)) // 2
    hits = np.stack((np.abs(cell) - at_upper, at_upper), axis=2)
    return Images((cell + odd) * np.array(room.size), 1.0 - 2 * odd, hits)


@dataclass(frozen=True)
class Walls:
    """What the walls do to sound in `OCTAVES_HZ`.

    `log_reflection` (3, 2, 8), the natural logarithm of each wall's reflection coefficient; `mean_log_reflection` (8,),
    of a wall that would make the same reverberation everywhere; `mean_free_path_m` between two reflections (infinite
    where nothing reverberates).
    """

    log_reflection: Array
    mean_log_reflection: Array
    mean_free_path_m: float

    def decay_per_s(self, frequencies_hz: Array) -> Array:
        """How fast reverberant energy fades, as exp(-decay t): 13.8 / RT60 (Eyring 1930, with the air's absorption)."""
        octaves, logarithm = np.log(OCTAVES_HZ), np.log(np.maximum(frequencies_hz, 1))
        lost = -2 * np.interp(logarithm, octaves, self.mean_log_reflection) / self.mean_free_path_m
        return SPEED_OF_SOUND * (lost + air_absorption_per_m(frequencies_hz))

    def log_gain(self, hits: Indices) -> Array:
        """Logarithm of the gain (n, 8) of paths that meet the walls hits (n, 3, 2) times."""
        return np.einsum("nij,ijb->nb", hits, self.log_reflection)


def make_walls(room: Room, monitor: Monitor) -> Walls | None:
    """Walls of the room's materials that give its reverberation time, together with the air; None where nothing reflects.

    The time holds in all octaves up to 4 kHz; above, walls are as at 1 kHz and the air makes it shorter. Without materials
    all walls are alike. Warns where no wall can reach it.
    """
    if room.kind == "free_field" or (room.kind == "shoebox" and room.rt60_s == 0):
        return None
    absorption = room.absorption()
    if room.kind == "half_space":
        ground = np.full((3, 2, 8), math.log(GROUND_REFLECTION))
        log_reflection = ground if absorption is None else _log_reflection(absorption)
        return Walls(log_reflection, log_reflection[2, 0], math.inf)
    x, y, z = room.size
    faces = np.array([y * z, z * x, x * y])
    share = np.repeat(faces[:, None], 2, axis=1) / (2 * faces.sum())
    mean_free_path_m = 2 * x * y * z / faces.sum()
    base = np.full((3, 2, 8), -1.0) if absorption is None else _log_reflection(absorption)
    if room.rt60_s is None:
        return Walls(base, _mean_log_reflection(base, share), mean_free_path_m)
    asked = DECAY_60_DB / (SPEED_OF_SOUND * room.rt60_s)
    lost = np.maximum(asked - air_absorption_per_m(OCTAVES_HZ), _LEAST_LOSS * asked)
    lost[_KEPT.stop :] = lost[_OCTAVE_1_KHZ]
    wanted = -lost * mean_free_path_m / 2
    log_reflection = _scaled(base, share, wanted)
    mean = _mean_log_reflection(log_reflection, share)
    reached_s = (
        DECAY_60_DB
        / SPEED_OF_SOUND
        / (-2 * mean / mean_free_path_m + air_absorption_per_m(OCTAVES_HZ))
    )
    worst_s = reached_s[_KEPT][np.argmax(np.abs(np.log(reached_s[_KEPT] / room.rt60_s)))]
    if abs(worst_s / room.rt60_s - 1) > 0.05:
        monitor.log(
            f"This room and its materials can't reverberate for {room.rt60_s:g} s at all frequencies; the farthest "
            f"off is {worst_s:.3g} s.",
            "warning",
        )
    return Walls(log_reflection, mean, mean_free_path_m)


def _log_reflection(absorption: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.maximum(np.log1p(-absorption) / 2, _QUIETEST)


def _mean_log_reflection(log_reflection: Array, share: Array) -> Array:
    """Eyring: half the logarithm of the mean energy that walls with these shares (3, 2) of the surface reflect."""
    with np.errstate(divide="ignore"):
        return np.log(np.einsum("ij,ijb->b", share, np.exp(2 * log_reflection))) / 2


def _scaled(base: Array, share: Array, wanted: Array) -> Array:
    """`base` (3, 2, 8), each octave times what makes its mean as `wanted` (8,), as far as that is possible."""
    low, high = np.zeros(8), np.full(8, 1e6)
    for _ in range(80):
        middle = np.where(low > 0, np.sqrt(low * high), high / 1e6)
        louder = _mean_log_reflection(base * middle, share) > wanted
        low, high = np.where(louder, middle, low), np.where(louder, high, middle)
    return np.maximum(base * high, 10 * _QUIETEST)
