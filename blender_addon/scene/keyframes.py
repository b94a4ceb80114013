"""Many keyframes at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from .. import compat

_TRANSFORM_PATHS = ("location", "rotation_euler", "rotation_quaternion", "rotation_axis_angle")


def set_curve(
    owner: bpy.types.ID,
    path: str,
    index: int,
    frames: Sequence[float] | np.ndarray,
    values: Sequence[float] | np.ndarray,
    interpolation: str = "LINEAR",
) -> None:
    """Animate one channel of a property; keyframes it had are replaced."""
    curves = compat.channelbag(owner).fcurves
    old = curves.find(path, index=index)
    if old is not None:
        curves.remove(old)
    curve = curves.new(path, index=index)
    points = curve.keyframe_points
    points.add(len(frames))
    points.foreach_set("co", np.column_stack([frames, values]).astype(np.float32).ravel())
    kinds = bpy.types.Keyframe.bl_rna.properties["interpolation"].enum_items
    points.foreach_set("interpolation", np.full(len(frames), kinds[interpolation].value, np.int32))
    if interpolation == "BEZIER":
        for point in points:
            point.handle_left_type = point.handle_right_type = "AUTO"
    curve.update()


def set_poses(
    item: bpy.types.Object,
    frames: Sequence[float],
    poses: Sequence[Matrix],
    interpolation: str = "LINEAR",
) -> None:
    """Animate location and rotation by local poses; other animation of the object is left alone."""
    set_pose(item, poses[0])
    places: list[Any] = []
    turns: list[Any] = []
    for pose in poses:
        place, turn, _ = pose.decompose()
        turns.append(turn.to_euler("XYZ", turns[-1]) if turns else turn.to_euler("XYZ"))
        places.append(place)
    for path, rows in (("location", places), ("rotation_euler", turns)):
        for index in range(3):
            set_curve(item, path, index, frames, [row[index] for row in rows], interpolation)


def set_pose(item: bpy.types.Object, pose: Matrix) -> None:
    """Let an object stand still in a local pose."""
    if has_animation(item):
        curves = compat.channelbag(item).fcurves
        for curve in [curve for curve in curves if curve.data_path in _TRANSFORM_PATHS]:
            curves.remove(curve)
    item.rotation_mode = "XYZ"
    item.location = pose.translation
    item.rotation_euler = pose.to_euler("XYZ")


def has_animation(item: bpy.types.Object) -> bool:
    return item.animation_data is not None and item.animation_data.action is not None
