"""Rendering a shot again after an edit: only the pieces that the edit can be heard in are computed.

Every piece of the hifi renderer is a function of absolute time, and so is what is kept of the shot rendered before: the
result is the same, byte for byte, as if all of it had been rendered.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..monitor import Monitor
from ..shot import Normalize, Shot
from . import scratch
from .early_sound import PIECE
from .hifi import Pieces
from .image_source import SPEED_OF_SOUND

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

_KEPT = 2
_MAX_KEPT_BYTES = 256 << 20
_REACH_FRAMES = 4  # how far a changed frame bends the curve through its neighbours, and moves a cut


@dataclass(frozen=True)
class _Kept:
    shot: Shot
    sound: list[Float32]
    pieces: Pieces
    audio: Float32


_kept: deque[_Kept] = deque(maxlen=_KEPT)


def render_hifi_again(shot: Shot, signals: Sequence[Float32], monitor: Monitor) -> Float32:
    """The same as `render_hifi`, the sooner the less has changed since one of the last calls."""
    pieces = Pieces(shot, signals, monitor)
    needed = np.ones(pieces.count, np.bool_)
    output = scratch.zeros((pieces.channels, pieces.sample_count))
    for before in list(_kept):
        if _same(before.sound, signals):
            pieces.adopt(before.pieces)
        found = _changed(before, shot, signals, pieces)
        if found is not None and found.sum() < needed.sum():
            needed = found
            output[:] = before.audio
    if not needed.all():
        monitor.log(f"{needed.sum()} of {len(needed)} pieces are rendered again.")
    for first, last in _runs(needed):
        for number, piece in enumerate(pieces.render(first, last), first):
            start = number * PIECE
            output[:, start : start + PIECE] = piece[:, : pieces.sample_count - start]
    if output.nbytes + sum(signal.nbytes for signal in signals) < _MAX_KEPT_BYTES:
        _kept.append(_Kept(shot, list(signals), pieces, output.copy()))
    return output


def forget() -> None:
    """Keep nothing of what was rendered."""
    _kept.clear()


def _same(before: Sequence[Float32], now: Sequence[Float32]) -> bool:
    return len(before) == len(now) and all(map(np.array_equal, before, now))


def _runs(needed: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Stretches of True, as (first, last exclusive)."""
    edges = np.flatnonzero(np.diff(np.pad(needed.astype(np.int8), 1)))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2)]


def _changed(
    before: _Kept, shot: Shot, signals: Sequence[Float32], pieces: Pieces
) -> npt.NDArray[np.bool_] | None:
    """Which pieces can sound different, (pieces.count,); None if all of them."""
    if _setting(before.shot) != _setting(shot) or before.pieces.bounds != pieces.bounds:
        return None
    if before.pieces.receiver is not pieces.receiver or before.audio.shape != (
        pieces.channels,
        pieces.sample_count,
    ):
        return None
    rate_hz = shot.render.sample_rate
    travel = math.ceil(pieces.longest_m / SPEED_OF_SOUND * rate_hz) + pieces.filter_samples
    per_frame = rate_hz / float(shot.frame_rate)
    changed = np.zeros(pieces.count, np.bool_)

    def mark(first: float, last: float) -> None:
        """Samples from `first` to `last` differ."""
        changed[max(0, math.floor(first / PIECE)) : max(0, math.floor(last / PIECE) + 1)] = True

    for old, new, later in _trajectories(before.shot, shot):
        frames = np.flatnonzero((old != new).reshape(len(old), -1).any(axis=1))
        for frame in frames:
            mark(
                (frame - _REACH_FRAMES) * per_frame - pieces.filter_samples,
                (frame + _REACH_FRAMES) * per_frame + pieces.filter_samples + later * travel,
            )
    for old_sound, new_sound in zip(before.sound, signals, strict=True):
        if old_sound is new_sound:
            continue
        different = np.flatnonzero(old_sound != new_sound)
        if len(different):
            # Sound is filtered a piece at a time, which rounds the whole of it and of its neighbours differently.
            rings = max(travel, pieces.late_samples) + 2 * PIECE
            mark(different[0] - 2 * PIECE, different[-1] + rings)
    return changed


def _trajectories(before: Shot, shot: Shot) -> list[tuple[Array, Array, bool]]:
    """Per-frame arrays before and now, and whether a change is heard only after its sound has travelled."""
    pairs: list[tuple[Array, Array, bool]] = [(before.listener_poses, shot.listener_poses, False)]
    for old, new in zip(before.sources, shot.sources, strict=True):
        pairs.append((old.positions, new.positions, True))
        if old.orientations is not None and new.orientations is not None:
            pairs.append((old.orientations, new.orientations, True))
    return pairs


def _setting(shot: Shot) -> tuple[object, ...]:
    """Everything that makes all of the sound different."""
    render = replace(shot.render, normalize=Normalize("none"), sample_format="float", stems=False)
    sources = [(s.directivity, s.orientations is None) for s in shot.sources]
    room = repr(shot.room)
    return (
        shot.frame_rate,
        shot.frame_count,
        str(shot.folder),
        room,
        render,
        sources,
        [occluder.fingerprint() for occluder in shot.occluders],
    )
