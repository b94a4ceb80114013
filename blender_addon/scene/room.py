"""The acoustic room: an empty or a mesh whose box is the room."""

from __future__ import annotations

import math
from typing import Any

import bpy
import numpy as np
from mathutils import Vector

from .ownership import own


def new_room(name: str, room: dict[str, Any], owner: str) -> bpy.types.Object:
    """An empty that shows the room of a bundle and can be moved and scaled."""
    item = own(bpy.data.objects.new(name, None), owner)
    item.empty_display_type = "CUBE"
    item.empty_display_size = 0.5
    item.location = room["center"]
    item.rotation_euler.z = math.radians(room["yaw_deg"])
    item.scale = room["size"]
    return item


def box_of(item: bpy.types.Object) -> tuple[np.ndarray, np.ndarray, float]:
    """Centre, size and turn about +Z (radians) of the box that an object stands for."""
    reach = item.empty_display_size
    corners = (
        [(-reach,) * 3, (reach,) * 3]
        if item.type == "EMPTY"
        else [tuple(corner) for corner in item.bound_box]
    )
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    _, turn, scale = item.matrix_world.decompose()
    size = (high - low) * np.abs(scale)
    center = item.matrix_world @ Vector((low + high) / 2)
    return np.array(center), size, turn.to_euler("XYZ").z
