"""What Blender shows at a frame."""

from __future__ import annotations

import bpy
import numpy as np


def points(item: bpy.types.Object, frame: float) -> dict[str, np.ndarray]:
    """Evaluated points of an object at a frame, in its own coordinates: position, Col, radius; empty where there are none."""
    whole = int(np.floor(frame))
    bpy.context.scene.frame_set(whole, subframe=frame - whole)
    geometry = item.evaluated_get(bpy.context.evaluated_depsgraph_get()).evaluated_geometry()
    cloud = geometry.pointcloud
    widths = {"position": ("vector", 3), "Col": ("color", 4), "radius": ("value", 1)}
    found = {}
    for name, (key, width) in widths.items():
        attribute = None if cloud is None else cloud.attributes.get(name)
        values = np.zeros(0 if attribute is None else len(attribute.data) * width, np.float32)
        if attribute is not None:
            attribute.data.foreach_get(key, values)
        found[name] = values.reshape(-1, width)
    return found


def world_matrix(item: bpy.types.Object, frame: int) -> np.ndarray:
    bpy.context.scene.frame_set(frame)
    return np.array(item.evaluated_get(bpy.context.evaluated_depsgraph_get()).matrix_world)


def child(root: bpy.types.Object, ending: str) -> bpy.types.Object:
    """The imported object whose name ends like this."""
    return next(item for item in root.children if item.name.endswith(ending))
