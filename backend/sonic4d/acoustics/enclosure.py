"""The walls that a shot's sound meets: the room grown around everything that moves, and what its walls reflect."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..monitor import Monitor
from ..protocol import Sonic4DError
from ..room import Room
from .image_source import sabine_reflection, sabine_reflections

Array = npt.NDArray[np.float64]

GROUND_REFLECTION = 0.9  # hard ground: absorbs a fifth of the energy
FARTHEST_M = 20_000.0
_OCTAVE_1_KHZ = 3
_OUTSIDE_M = 1e-6  # rounding doesn't count as being outside


@dataclass(frozen=True)
class Enclosure:
    """`reflections` (3, 2): magnitude of the reflection coefficient of the walls at 0 and at the room's size along
    each local axis; `rt60_s`: the reverberation time that these walls give (0 without reverberation)."""

    room: Room
    reflections: Array
    rt60_s: float


def enclose(room: Room, points: Array, monitor: Monitor) -> Enclosure:
    """The enclosure around world points (n, 3), with walls equal at all frequencies. Warns where it differs from what was
    asked.

    A shoebox's walls follow Sabine's formula, with the absorption shared as the materials have it at 1 kHz (Lehmann and
    Johansson 2008); of a half space the ground reflects, in a free field nothing does.
    Raises `Sonic4DError` if something is absurdly far away.
    """
    placed = place_room(room, points, monitor)
    absorption = placed.absorption()
    at_1_khz = None if absorption is None else absorption[..., _OCTAVE_1_KHZ]
    if placed.kind == "free_field":
        return Enclosure(placed, np.zeros((3, 2)), 0.0)
    if placed.kind == "half_space":
        ground = GROUND_REFLECTION if at_1_khz is None else math.sqrt(1 - at_1_khz[2, 0])
        return Enclosure(placed, np.array([[0, 0], [0, 0], [ground, 0]]), 0.0)
    size_m = np.array(placed.size)
    if at_1_khz is None:
        reflection, rt60_s = sabine_reflection(size_m, room.rt60_s)
        reflections = np.full((3, 2), reflection)
    else:
        reflections, rt60_s = sabine_reflections(size_m, at_1_khz, room.rt60_s)
    if room.rt60_s is not None and rt60_s > 1.001 * room.rt60_s:
        monitor.log(
            f"A room of {_metres(placed)} can't reverberate for as little as {room.rt60_s:g} s; the shortest time "
            f"is {rt60_s:.3g} s."
            + (" It is rendered without reflections." if not reflections.any() else ""),
            "warning",
        )
    return Enclosure(placed, reflections, rt60_s if reflections.any() else 0.0)


def place_room(room: Room, points: Array, monitor: Monitor) -> Room:
    """The room, grown or its ground lowered where world points (n, 3) aren't inside, which is said.

    Raises `Sonic4DError` if something is absurdly far away.
    """
    with np.errstate(over="ignore"):
        farthest_m = np.linalg.norm(points - points[0], axis=1).max()
        if room.kind != "free_field":
            farthest_m = max(farthest_m, np.linalg.norm(points - room.center, axis=1).max())
    if farthest_m > FARTHEST_M:
        raise Sonic4DError(
            "too_far",
            f"Something in the shot is {farthest_m / 1000:.3g} km away; sound is rendered up to "
            f"{FARTHEST_M / 1000:g} km.",
            "Check the scale of the scene (metres per unit) and the keyframes.",
        )
    if room.kind == "free_field":
        return room
    if room.kind == "half_space":
        return _grounded(room, points, monitor)
    return _grown(room, points, monitor)


def _grown(room: Room, points: Array, monitor: Monitor) -> Room:
    if room.containing(points, -_OUTSIDE_M) is room:
        return room
    grown = room.containing(points)
    monitor.log(
        f"A source or the camera leaves the room of {_metres(room)}; the room was enlarged to {_metres(grown)}.",
        "warning",
    )
    return grown


def _grounded(room: Room, points: Array, monitor: Monitor) -> Room:
    below_m = -float(room.to_local(points)[:, 2].min())
    if below_m <= _OUTSIDE_M:
        return room
    grown = room.containing(points)
    floor_m = grown.center[2] - grown.size[2] / 2
    monitor.log(
        f"A source or the camera goes {below_m:.2f} m below the ground; the ground was lowered to "
        f"z = {floor_m:.2f} m.",
        "warning",
    )
    return grown


def _metres(room: Room) -> str:
    return " x ".join(f"{side:.2f}" for side in room.size) + " m"


def longest_path_s(enclosure: Enclosure, sources: Array, microphones: Array, speed: float) -> float:
    """Travel time in seconds of the direct sound and of the ground reflection, whichever of all is longest.

    `sources` and `microphones` (n, 3) in the room's coordinates.
    """
    offset = sources - microphones
    if enclosure.room.kind == "half_space":
        offset[:, 2] = sources[:, 2] + microphones[:, 2]
    return math.sqrt((offset**2).sum(axis=1).max()) / speed
