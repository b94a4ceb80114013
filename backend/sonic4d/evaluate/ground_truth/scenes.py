"""The scenes of the ground-truth set: who stands and moves where, and how the camera does.

World: Blender's axes, metres; the first camera stands at the origin and heads along +Y. What makes a sound is a standing
body; its sound comes from the body's middle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from ...geometry.cameras import Intrinsics, pitched
from ...room import Room

Array = npt.NDArray[np.float64]
Place = tuple[float, float]

SET_VERSION = 1
FRAME_RATE = Fraction(25)
FRAMES = 80
CAMERA = Intrinsics.from_horizontal_fov(320, 180, 60.0)
SOUNDS = ("tabla", "drums", "guitar")  # also the class names of the labels
PITCH_DEG = -6.0
FLOOR_M = -1.6  # what `generate` takes cameras to be above the ground where it is not told
BODY_HEIGHT_M = 1.5
BODY_RADIUS_M = 0.22
INDOORS = Room("shoebox", (0.0, 3.5, 0.0), (7.0, 10.0, 3.2), 0.0, 0.5)
OUTDOORS = Room("half_space", (0.0, 0.0, FLOOR_M + 10), (40.0, 40.0, 20.0), 0.0, 0.0)


@dataclass(frozen=True)
class Source:
    """Something that sounds: which of `SOUNDS`, and its middle (n_frames, 3)."""

    sound: str
    positions: Array


@dataclass(frozen=True)
class Prop:
    """A box that stands on the floor: middle of its base (x, y), size, and how bright it is from 0 to 1."""

    place: Place
    size: tuple[float, float, float]
    grey: float = 0.5


@dataclass(frozen=True)
class Scene:
    """cameras (n_frames, 4, 4): camera-to-world."""

    name: str
    about: str
    room: Room
    cameras: Array
    sources: tuple[Source, ...]
    props: tuple[Prop, ...] = ()

    @property
    def indoors(self) -> bool:
        return self.room.kind == "shoebox"


def scenes() -> tuple[Scene, ...]:
    """All scenes of the set, in a fixed order."""
    return (
        _scene("still", "a still source", INDOORS, _still(), [("tabla", [(0.6, 4.2)])]),
        _scene("left-to-right", "walks by", OUTDOORS, _still(), [("drums", [(-2, 5), (2, 5)])]),
        _scene(
            "right-to-left",
            "walks by in a room",
            INDOORS,
            _still(),
            [("guitar", [(1.8, 4), (-1.8, 4.6)])],
        ),
        _scene("towards", "comes near", OUTDOORS, _still(), [("tabla", [(0.6, 9), (0.3, 3.2)])]),
        _scene("away", "goes away", INDOORS, _still(), [("drums", [(-0.6, 3), (-0.3, 7.2)])]),
        _scene(
            "behind-a-pillar",
            "is hidden for a while",
            OUTDOORS,
            _still(),
            [("guitar", [(-2.2, 6), (2.2, 6)])],
            [Prop((0.1, 4.2), (0.7, 0.7, 2.6), 0.3)],
        ),
        _scene(
            "leaves",
            "leaves the picture on the right",
            INDOORS,
            _still(),
            [("tabla", [(-0.4, 4), (3.0, 4)])],
        ),
        _scene("arc", "the camera circles", INDOORS, _arc(24, 4.2), [("guitar", [(0, 4.2)])]),
        _scene(
            "pan",
            "the camera travels along",
            OUTDOORS,
            _travel((1.2, 0)),
            [("drums", [(-1.2, 5), (1.4, 5.4)])],
        ),
        _scene(
            "push-in", "the camera comes near", OUTDOORS, _travel((0, 2)), [("tabla", [(0.5, 6)])]
        ),
        _scene(
            "turn",
            "the camera turns after the source",
            OUTDOORS,
            _turn(-18),
            [("guitar", [(0, 5), (2.6, 5.4)])],
        ),
        _scene(
            "two",
            "two sources come together",
            INDOORS,
            _still(),
            [("drums", [(-1.9, 5.2), (-0.2, 5.2)]), ("guitar", [(1.6, 3.8), (0.6, 3.8)])],
        ),
        _scene(
            "crossing",
            "two sources cross",
            OUTDOORS,
            _still(),
            [("tabla", [(-1.8, 4.4), (1.8, 4.4)]), ("guitar", [(2.2, 6.2), (-2.2, 6.2)])],
        ),
        _scene(
            "there-and-back",
            "turns round half-way",
            INDOORS,
            _still(),
            [("drums", [(-1.5, 4), (1.5, 5.5), (-1.2, 5)])],
        ),
    )


def _scene(
    name: str,
    about: str,
    room: Room,
    cameras: Array,
    sources: Sequence[tuple[str, Sequence[Place]]],
    props: Sequence[Prop] = (),
) -> Scene:
    furniture = _BOXES if room is INDOORS else _BUILDINGS
    found = tuple(Source(sound, _walk(places)) for sound, places in sources)
    return Scene(name, about, room, cameras, found, (*furniture, *props))


_BOXES = (
    Prop((-2.6, 7.2), (1.2, 0.8, 1.1), 0.35),
    Prop((2.7, 6.6), (0.9, 1.0, 1.8), 0.6),
    Prop((2.9, 2.6), (0.7, 0.9, 0.8), 0.45),
)
_BUILDINGS = (
    Prop((-9, 17), (7, 4, 6), 0.5),
    Prop((1, 21), (8, 4, 9), 0.35),
    Prop((11, 16), (6, 4, 5), 0.6),
    Prop((-5.5, 11), (1.2, 1.2, 1.6), 0.4),
    Prop((5.2, 9.5), (1.0, 1.4, 1.2), 0.55),
)


def _walk(places: Sequence[Place]) -> Array:
    """From place to place, each leg starting and ending softly; (n_frames, 3)."""
    legs = max(len(places) - 1, 1)
    along = np.linspace(0, legs, FRAMES)
    leg = np.minimum(along.astype(int), legs - 1)
    share = (1 - np.cos(np.pi * (along - leg))) / 2
    stops = np.array([*places, places[-1]], np.float64)
    flat = stops[leg] + (stops[leg + 1] - stops[leg]) * share[:, None]
    return np.column_stack([flat, np.full(FRAMES, FLOOR_M + BODY_HEIGHT_M / 2)])


def _still() -> Array:
    """Looks down a little, as people hold cameras: feet are in the picture from 3.6 m on."""
    return np.repeat(pitched(PITCH_DEG)[None], FRAMES, axis=0)


def _travel(end: Place) -> Array:
    poses = _still()
    poses[:, :2, 3] = _walk([(0, 0), end])[:, :2]
    return poses


def _turn(degrees: float) -> Array:
    """Turns about the vertical, to the left where positive."""
    poses = _still()
    for pose, share in zip(poses, _walk([(0, 0), (1, 0)])[:, 0], strict=True):
        pose[:3, :3] = _about_z(degrees * share) @ pose[:3, :3]
    return poses


def _arc(degrees: float, radius_m: float) -> Array:
    """Circles counter-clockwise around a place `radius_m` ahead of where it starts, looking at it."""
    poses = _still()
    pivot = np.array([0, radius_m, 0])
    for pose, share in zip(poses, _walk([(0, 0), (1, 0)])[:, 0], strict=True):
        turn = _about_z(degrees * share)
        pose[:3, :3] = turn @ pose[:3, :3]
        pose[:3, 3] = pivot - turn @ pivot
    return poses


def _about_z(degrees: float) -> Array:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
