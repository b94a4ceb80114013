"""A shot as sound objects: what comes straight from each source, where it comes from, and all reflections around.

Each object is one channel with the direct sound as it arrives at the listener: with its delay and Doppler shift, the level
of its distance, the air, directivity and obstacles in it. What is left for the player is to pan it. Reflections and the
late field are a bed of loudspeaker channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..monitor import SILENT, Monitor
from ..shot import Shot
from . import scratch
from .early_sound import PIECE
from .hifi import Pieces
from .hifi_scene import Paths, Scene, place
from .receivers import pressure_receiver

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

BED = "7.1.4"
_LOOKED_AT_S = 0.01
_FIRST_BLOCK_S, _STILL_M = 0.001, 1e-6
_LARGEST_ERROR = np.radians(0.5), 0.02  # of the direction and, relative, of the distance
_LONGEST_TURN = np.radians(5)  # players pan from block to block by gains


@dataclass(frozen=True)
class Trajectory:
    """Blocks that follow each other: from `times_s` (n,) to the next one's, the last one to the end, sound moves evenly
    from where the block before ended to `places` (n, 3), metres forward, left and up of the listener; where `jumps` (n,)
    is set, and at first, it is there at once."""

    times_s: Array
    places: Array
    jumps: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Objects:
    """`audio` (sources + bed channels, samples): first an object for each source, then the channels of `BED`, if
    anything reflects. `panned` (channels of `BED`, samples): all of it as heard from loudspeakers."""

    audio: Float32
    trajectories: list[Trajectory]
    has_bed: bool
    panned: Float32


def render_objects(shot: Shot, signals: Sequence[Float32], monitor: Monitor) -> Objects:
    """Raises what `render_hifi` raises."""
    as_bed = replace(shot, render=replace(shot.render, format=BED))
    scene = place(as_bed, monitor)
    quiet = replace(monitor, report=SILENT.report)  # it has all been said
    around = Pieces(as_bed, signals, monitor, scene=_part(scene, slice(1, None)))
    has_bed = len(scene.images.hits) > 1 or around.late_samples > 0
    direct = _part(scene, slice(0, 1))
    straight = Pieces(as_bed, signals, quiet, scene=direct, is_late=False)
    samples = around.sample_count if has_bed else straight.sample_count
    sources = len(signals)
    audio = scratch.zeros((sources + around.channels * has_bed, samples))
    panned = scratch.zeros((around.channels, samples))
    if has_bed:
        _fill(audio[sources:], around)
        panned[:] = audio[sources:]
    _fill(panned, straight)
    for number in range(sources):
        alone = [s if i == number else s[:0] for i, s in enumerate(signals)]
        pieces = Pieces(
            shot, alone, quiet, scene=direct, is_late=False, receiver=pressure_receiver()
        )
        _fill(audio[number : number + 1], pieces)
    end_s = samples / shot.render.sample_rate
    paths = [_trajectory(scene, number, end_s) for number in range(sources)]
    return Objects(audio, paths, has_bed, panned)


def _part(scene: Scene, kept: slice) -> Scene:
    return replace(scene, images=scene.images.part(kept))


def _fill(audio: Float32, pieces: Pieces) -> None:
    """Add what fits of the pieces."""
    for number, piece in enumerate(pieces.render(0, pieces.count)):
        room = audio[:, number * PIECE : (number + 1) * PIECE]
        room += piece[:, : room.shape[1]]


def _trajectory(scene: Scene, source: int, end_s: float) -> Trajectory:
    times, places, jumps = [], [], []
    for paths in scene.paths:
        stretch = paths.stretch
        middle = stretch.fade_s / 2
        first_s = max(0.0, stretch.start_s + middle)
        last_s = min(end_s, stretch.end_s - middle)
        if last_s <= first_s:
            continue
        count = max(2, int(np.ceil((last_s - first_s) / _LOOKED_AT_S)) + 1)
        known_s = np.linspace(first_s, last_s, count)
        known = _heard_from(scene, paths, source, known_s)
        ends = _knots(known)
        # The first block only says where it begins; each of the others goes to where it ends.
        times += [first_s]
        places += [known[0]]
        jumps += [True]
        if np.ptp(known, axis=0).max() > _STILL_M:
            times += [first_s + _FIRST_BLOCK_S, *known_s[ends[1:-1]]]
            places += [*known[ends[1:]]]
            jumps += [False] * (len(ends) - 1)
    return Trajectory(np.array(times), np.array(places), np.array(jumps))


def _knots(places: Array) -> list[int]:
    """Which of the places (n, 3) to keep, first and last among them, so that what is between is near enough to the
    straight line: halved until it is."""
    distances = np.maximum(np.linalg.norm(places, axis=1), 1e-6)
    units = places / distances[:, None]
    kept, waiting = [0], [(0, len(places) - 1)]
    while waiting:
        first, last = waiting.pop()
        if last - first > 1:
            t = np.linspace(0, 1, last - first + 1)[:, None]
            line = units[first] + t * (units[last] - units[first])
            line /= np.maximum(np.linalg.norm(line, axis=1, keepdims=True), 1e-9)
            length = distances[first] + t[:, 0] * (distances[last] - distances[first])
            here = slice(first, last + 1)
            error = np.linalg.norm(units[here] - line, axis=1).max()
            off = np.abs(length / distances[here] - 1).max()
            turn = np.linalg.norm(units[last] - units[first])
            if error > _LARGEST_ERROR[0] or off > _LARGEST_ERROR[1] or turn > _LONGEST_TURN:
                middle = (first + last) // 2
                waiting += [(middle, last), (first, middle)]
                continue
        kept.append(last)
    return kept


def _heard_from(scene: Scene, paths: Paths, source: int, times_s: Array) -> Array:
    """Where the direct sound comes from, (n, 3) metres forward, left, up."""
    sent_from = paths.sent_from(source, times_s, scene.images.part(slice(0, 1)))
    away = sent_from[:, 0] - paths.places(times_s)
    return np.einsum("nij,nj->ni", paths.axes(times_s), away)
