"""When a sequencer strip sounds: where its content begins, where it is trimmed, how loud it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bpy
import numpy as np

from .. import compat


def span(strip: bpy.types.Strip) -> tuple[int, int]:
    """First frame of a strip, and the one after its last."""
    if hasattr(strip, "left_handle"):
        return strip.left_handle, strip.right_handle
    return strip.frame_final_start, strip.frame_final_end


def content_start(strip: bpy.types.Strip) -> int:
    """The frame at which a strip's sound begins, also where its handles hide the beginning."""
    return round(strip.content_start if hasattr(strip, "content_start") else strip.frame_start)


def bound_strips(scene: bpy.types.Scene) -> Iterator[bpy.types.Strip]:
    """The sound strips that sound from an object of the scene."""
    editor = scene.sequence_editor
    for strip in editor.strips_all if editor else ():
        item = strip.sonic4d_source if strip.type == "SOUND" and strip.sound else None
        if item is not None and item.name in scene.objects:
            yield strip


def content(scene: bpy.types.Scene, strip: bpy.types.Strip) -> tuple[float, float, float]:
    """Frames at which the strip's whole file would begin, at which it is first heard, and after which it isn't.

    What meta strips around it cut off counts.
    """
    if hasattr(strip, "content_start"):
        start = strip.content_start - strip.content_trim_start
    else:
        start = strip.frame_start - strip.animation_offset_start
    first, after = span(strip)
    outer = strip.parent_meta()
    while outer is not None:
        outer_first, outer_after = span(outer)
        first, after = max(first, outer_first), min(after, outer_after)
        outer = outer.parent_meta()
    return start, first, max(first, after)


def is_retimed(strip: bpy.types.Strip) -> bool:
    """Whether a strip plays at another speed than its file. Keys at its two ends only, as far apart as it is long, don't
    count: Blender makes them when they are shown."""
    keys = [key.timeline_frame for key in strip.retiming_keys]
    if len(keys) <= 1:
        return False
    whole = strip.content_duration if hasattr(strip, "content_duration") else strip.frame_duration
    return len(keys) > 2 or keys[1] - keys[0] != whole


def volumes(scene: bpy.types.Scene, strip: bpy.types.Strip) -> Any:
    """A strip's volume: a number, or (n_frames,) where it is animated."""
    path = f'sequence_editor.strips_all["{bpy.utils.escape_identifier(strip.name)}"].volume'
    curve = compat.find_curve(scene, path)
    if curve is None:
        return strip.volume
    frames = range(scene.frame_start, scene.frame_end + 1)
    return np.maximum([curve.evaluate(frame) for frame in frames], 0.0)
