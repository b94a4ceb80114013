"""Sound sources: an animated empty each, and the curve of its path."""

from __future__ import annotations

from collections.abc import Sequence

import bpy
import numpy as np

from .bundle import Source
from .keyframes import set_curve
from .ownership import own
from .paths import stored

FOUND_BY_WORDS = {
    "point": "by the point given",
    "box": "by the box given",
    "sound": "by its sound",
    "motion": "by motion, not by sound",
    "words": "by its description",
    "hand": "by hand",
}
_SIZE_M = 0.15


def new_source(source: Source, frames: Sequence[float], owner: str) -> list[bpy.types.Object]:
    """The empty of a source, keyed at `frames`, and its path, both in the bundle's coordinates."""
    item = own(bpy.data.objects.new(source.name, None), owner)
    item.empty_display_type = "SPHERE"
    item.empty_display_size = _SIZE_M
    settings = item.sonic4d
    settings.is_source = True
    settings.audio_path = stored(source.audio)
    settings.audio_frame = frames[0]
    settings.found_by = FOUND_BY_WORDS.get(source.found_by, source.found_by)
    item.location = source.positions[0]
    for axis in range(3):
        set_curve(item, "location", axis, frames, source.positions[:, axis])
    set_curve(item, "sonic4d.confidence", 0, frames, source.confidence)
    own(item, owner)
    settings.path = _path(source, owner)
    return [item, settings.path]


def _path(source: Source, owner: str) -> bpy.types.Object:
    name = f"{source.name} path"
    curve = own(bpy.data.curves.new(name, "CURVE"), owner)
    curve.dimensions = "3D"
    points = curve.splines.new("POLY").points
    points.add(len(source.positions) - 1)
    points.foreach_set("co", np.insert(source.positions, 3, 1.0, axis=1).astype(np.float32).ravel())
    # Without a bevel it isn't rendered. It must not be hidden: undo of that can crash Blender as a Python module.
    return own(bpy.data.objects.new(name, curve), owner)
