"""Correcting a source's track in Blender: its keyframes are the track, the bundle on disk stays as it is."""

from __future__ import annotations

import json
from pathlib import Path

import bpy
import numpy as np

from ...backend.sonic4d.protocol import Sonic4DError
from .. import compat
from .keyframes import set_curve

CONFIDENCE = "sonic4d.confidence"
_CHANNELS = (("location", 0), ("location", 1), ("location", 2), (CONFIDENCE, 0))
_SAME_FRAME = 0.25  # keyframes nearer than this share of a frame of the video belong to it

# Rows of (frame of the scene, x, y, z, confidence): the bundle's coordinates.
Track = np.ndarray


def is_tracked(item: bpy.types.Object | None) -> bool:
    """Whether an object is a source of an imported bundle, with a track."""
    if item is None or not item.sonic4d.is_source or item.parent is None:
        return False
    return bool(item.parent.sonic4d.bundle_path) and item.animation_data is not None


def clip_frame(item: bpy.types.Object, frame: float) -> int:
    """The frame of the video, from 0, that the scene shows at its `frame`."""
    root = item.parent.sonic4d
    return round((frame - root.clip_start) / root.clip_step)


def read_track(item: bpy.types.Object) -> Track:
    """The keyed positions, by frame. Raises `Sonic4DError` where there are none."""
    curves = compat.channelbag(item).fcurves
    found = [curves.find(path, index=index) for path, index in _CHANNELS]
    keys = [np.array([key.co[:] for key in curve.keyframe_points]) for curve in found if curve]
    if found[0] is None or not len(keys[0]):
        raise Sonic4DError(
            "no_track", f"{item.name} has no keyframes.", "Key its position, or import it again."
        )
    frames = np.unique(np.concatenate([key[:, 0] for key in keys]))
    still = (*item.location, item.sonic4d.confidence)
    columns = [
        [curve.evaluate(frame) for frame in frames] if curve else np.full(len(frames), value)
        for curve, value in zip(found, still, strict=True)
    ]
    return np.column_stack([frames, *columns])


def write_track(item: bpy.types.Object, track: Track) -> None:
    """Key the source by a track, and bend the curve that shows its path."""
    for column, (path, index) in enumerate(_CHANNELS, 1):
        set_curve(item, path, index, track[:, 0], track[:, column])
    item.update_tag(refresh={"OBJECT", "TIME"})
    path = item.sonic4d.path
    if path is None or path.type != "CURVE":
        return
    path.data.splines.clear()
    points = path.data.splines.new("POLY").points
    points.add(len(track) - 1)
    places = np.insert(track[:, 1:4], 3, 1.0, axis=1)
    points.foreach_set("co", places.astype(np.float32).ravel())


def key_position(item: bpy.types.Object, frame: float) -> None:
    """Key the source where it is now, as known for sure."""
    row = np.array([frame, *item.location, 1.0])
    track = read_track(item)
    near = np.abs(track[:, 0] - frame) < _SAME_FRAME * item.parent.sonic4d.clip_step
    track = np.vstack([track[~near], row])
    write_track(item, track[np.argsort(track[:, 0], kind="stable")])


def mark_wrong(item: bpy.types.Object, first: float, last: float) -> int:
    """Take the positions from frame `first` to `last` as not known: they are interpolated. Returns how many.

    Raises `Sonic4DError` where nothing would be left.
    """
    track = read_track(item)
    wrong = (track[:, 0] >= first - _SAME_FRAME) & (track[:, 0] <= last + _SAME_FRAME)
    if wrong.all():
        raise Sonic4DError(
            "nothing_left",
            "No position would be left.",
            "Keep a frame at which the source is right, or track it again.",
        )
    frames = track[:, 0]
    for column in range(1, 4):
        track[wrong, column] = np.interp(frames[wrong], frames[~wrong], track[~wrong, column])
    track[wrong, 4] = 0.0
    write_track(item, track)
    return int(wrong.sum())


def replace_part(item: bpy.types.Object, file: Path) -> int:
    """Put the part of a track that the backend has made (see its `retrack`) in the place of the old one. Returns how many
    frames that are. Raises `Sonic4DError` for a file that isn't one."""
    try:
        part = json.loads(file.read_text(encoding="utf-8"))
        positions = np.array(part["positions"], dtype=float).reshape(-1, 3)
        confidence = np.array(part["confidence"], dtype=float).reshape(len(positions))
        numbers = part["first"] + np.arange(len(positions))
        if not len(positions) or not np.isfinite(positions).all():
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError):
        raise Sonic4DError("bad_track", f"{file} is not a track.", "Track it again.") from None
    root = item.parent.sonic4d
    frames = root.clip_start + numbers * root.clip_step
    old = read_track(item)
    inside = _between(old[:, 0], frames, _SAME_FRAME * root.clip_step)
    new = np.column_stack([frames, positions, confidence])
    track = np.vstack([old[~inside], new])
    write_track(item, track[np.argsort(track[:, 0], kind="stable")])
    return len(new)


def _between(frames: np.ndarray, part: np.ndarray, margin: float) -> np.ndarray:
    return (frames >= part[0] - margin) & (frames <= part[-1] + margin)
