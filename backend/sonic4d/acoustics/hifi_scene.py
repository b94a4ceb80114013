"""A shot as the hifi renderer needs it: everything in the room's coordinates, cut where something jumps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from ..directivity import Directivity
from ..monitor import Monitor
from ..room import Room
from ..shot import Shot, ShotSource
from .cuts import Stretch, find_cuts, stretches
from .early_images import Images, Walls, make_images, make_walls
from .enclosure import place_room
from .image_source import SPEED_OF_SOUND
from .obstacles import Obstacles, make_obstacles
from .trajectories import control_points, orientation_keys, positions_at, rotations_at

Array = npt.NDArray[np.float64]

_HEAD = np.array([[0, 0, -1.0], [-1, 0, 0], [0, 1, 0]])  # forward, left, up of a Blender camera
_FRONT = np.array([0, 0, -1.0])  # of a source: as of Blender's speakers
_NEAR_M = 1.5  # from there on nearness may be heard: more than `near_field.REACH_M`
_TRAVEL_STEPS = 4
_OVERSHOOT = 1.3  # a curve through the frames may leave their bounds


@dataclass(frozen=True)
class Paths:
    """Who moves how during one stretch. Times are the shot's."""

    stretch: Stretch
    frame_rate: float
    sources: list[Array]
    fronts: list[Array]
    listener: Array
    head: Array
    turn: Array

    def source_frames(self, times_s: Array) -> Array:
        """Fractional numbers, within this stretch, of the frames at these times."""
        return times_s * self.frame_rate - self.stretch.first

    def sent_from(self, source: int, times_s: Array, images: Images) -> Array:
        """Where a source's images were (n, images, 3) when they sent what is heard at these times."""
        listener = self.places(times_s)[:, None]
        travel_s = np.zeros((len(times_s), len(images.offset)))
        for _ in range(_TRAVEL_STEPS):
            frames = self.source_frames(times_s[:, None] - travel_s)
            places = positions_at(self.sources[source], frames.ravel()).reshape(*frames.shape, 3)
            places = images.offset + images.sign * places
            travel_s = np.linalg.norm(places - listener, axis=2) / SPEED_OF_SOUND
        return places

    def places(self, times_s: Array) -> Array:
        """Where the listener is (n, 3)."""
        return positions_at(self.listener, self.source_frames(times_s))

    def axes(self, times_s: Array) -> Array:
        """The listener's axes (n, 3, 3): rows forward, left, up."""
        rotations = rotations_at(self.head, self.source_frames(times_s))
        return _HEAD @ rotations.transpose(0, 2, 1) @ self.turn

    def front(self, source: int, times_s: Array) -> Array:
        """Where a source's front points (n, 3)."""
        rotations = rotations_at(self.fronts[source], self.source_frames(times_s))
        return rotations @ _FRONT @ self.turn


@dataclass(frozen=True)
class Scene:
    """`paths`: one or more stretches that follow each other; `directivities` of the sources, and which of them come so near
    to a listener's ears that each hears them differently; `longest_m`: no path is longer, which depends on the room and
    roughly on the trajectories."""

    room: Room
    walls: Walls | None
    images: Images
    order: int
    paths: list[Paths]
    directivities: list[Directivity]
    near: list[bool]
    longest_m: float
    obstacles: Obstacles | None

    @property
    def coloured(self) -> list[bool]:
        """Which sources' paths are changed one by one, in octave bands or at one ear (see `HeardPaths`)."""
        if self.obstacles is not None:
            return [True] * len(self.near)
        sources = zip(self.directivities, self.near, strict=True)
        return [directivity.pattern != "omni" or near for directivity, near in sources]

    @property
    def reach_m(self) -> Array:
        """How long the path to each image can be (images,)."""
        if self.room.kind != "shoebox":
            return np.full(len(self.images.hits), self.longest_m)
        return (self.images.order + 1) / (self.images.order.max(initial=0) + 1) * self.longest_m


def place(shot: Shot, monitor: Monitor) -> Scene:
    """Raises `Sonic4DError` for what is absurdly far away."""
    places = np.stack([shot.listener_poses[:, :3, 3], *(s.positions for s in shot.sources)])
    room = place_room(shot.room, places.reshape(-1, 3), monitor)
    frame_rate = float(shot.frame_rate)
    heads = shot.listener_poses[:, :3, :3]
    cuts = find_cuts(places, heads, frame_rate)
    if cuts:
        monitor.log(
            "A source or the camera jumps, or moves nearly as fast as sound: what is heard there is crossfaded (first "
            f"at frame {shot.frame_start + cuts[0]}, {len(cuts)} in all).",
            "warning",
        )
    walls = make_walls(room, monitor)
    order = shot.render.reflection_order
    images = make_images(room, 0 if walls is None else order)
    local = room.to_local(places)
    turn = room.to_local(np.eye(3)) - room.to_local(np.zeros(3))
    fronts = [_rotations(source, shot.frame_count) for source in shot.sources]
    paths = [
        Paths(
            stretch,
            frame_rate,
            [control_points(source[stretch.first : stretch.last]) for source in local[1:]],
            [orientation_keys(front[stretch.first : stretch.last]) for front in fronts],
            control_points(local[0, stretch.first : stretch.last]),
            orientation_keys(heads[stretch.first : stretch.last]),
            turn,
        )
        for stretch in stretches(cuts, shot.frame_count, frame_rate)
    ]
    directivities = [source.directivity for source in shot.sources]
    longest_m = _longest_m(room, walls is not None, order, local)
    obstacles = make_obstacles(shot.occluders)
    near = _near(places) if shot.render.format == "binaural" else [False] * len(shot.sources)
    return Scene(room, walls, images, order, paths, directivities, near, longest_m, obstacles)


def _near(places: Array) -> list[bool]:
    """Of which sources, after the listener in places (1 + sources, frames, 3), some path may be near."""
    nearest_m = np.linalg.norm(places[1:] - places[0], axis=2).min(axis=1)
    return [bool(distance_m < _NEAR_M) for distance_m in nearest_m]


def _rotations(source: ShotSource, frames: int) -> Array:
    if source.orientations is None:
        return np.broadcast_to(np.eye(3), (frames, 3, 3))
    return Rotation.from_quat(source.orientations, scalar_first=True).as_matrix()


def _longest_m(room: Room, reflects: bool, order: int, places: Array) -> float:
    """A bound in steps of sqrt(2), so that an edited trajectory seldom changes it."""
    if room.kind == "shoebox" and reflects:
        return _OVERSHOOT * (order + 1) * math.hypot(*room.size) + 1
    low, high = places.min(axis=(0, 1)), places.max(axis=(0, 1))
    longest_m = float(np.linalg.norm(high - low))
    if reflects:
        longest_m += 2 * float(high[2])
    return 2 ** (math.ceil(2 * math.log2(_OVERSHOOT * longest_m + 1)) / 2)
