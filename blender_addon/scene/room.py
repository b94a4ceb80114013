"""The acoustic room: an empty or a mesh whose box is the room."""

from __future__ import annotations

import math
from typing import Any

import bpy
import numpy as np
from mathutils import Vector

from ...backend.sonic4d.materials import WALLS, reverberation_time_s
from .ownership import own
from .sampling import bare_scene
from .units import metres_per_unit

_DIGITS = 6  # see `shot`


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


def room_json(scene: bpy.types.Scene, heard: np.ndarray) -> dict[str, Any]:
    """The room of a shot: the room object's box, or one of the set size about the middle of everything heard (n, 3); the
    backend grows it."""
    settings = scene.sonic4d
    center, size, yaw = _box(scene, heard)
    walls = wall_materials(settings)
    return {
        "kind": settings.room_kind,
        "center": center.round(_DIGITS).tolist(),
        "size": size.round(_DIGITS).tolist(),
        "yaw_deg": round(math.degrees(yaw), _DIGITS),
        "rt60_s": settings.rt60_s if walls is None else None,
        "materials": walls,
    }


def wall_materials(settings: bpy.types.PropertyGroup) -> dict[str, str] | None:
    """What the walls of a scene's room are made of; None where the reverberation time is set instead."""
    if settings.room_kind == "free_field" or not settings.use_materials:
        return None
    walls = ("floor",) if settings.room_kind == "half_space" else WALLS
    return {wall: getattr(settings.walls, wall) for wall in walls}


def reverberation_s(scene: bpy.types.Scene) -> float | None:
    """RT60 of the scene's room at 1 kHz, as far as it is known before rendering; None where nothing reverberates."""
    settings = scene.sonic4d
    if settings.room_kind != "shoebox":
        return None
    walls = wall_materials(settings)
    if walls is None:
        return settings.rt60_s
    size = np.array(settings.room_size) if settings.room is None else box_of(settings.room)[1]
    size_m = size if settings.room is None else size * metres_per_unit(scene)
    return reverberation_time_s(np.maximum(size_m, 0.1).tolist(), walls)


def _box(scene: bpy.types.Scene, heard: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Centre and size in metres, and turn about +Z, of the room."""
    settings = scene.sonic4d
    if settings.room is None:
        low, high = heard.min(axis=0), heard.max(axis=0)
        return (low + high) / 2, np.array(settings.room_size), 0.0
    with bare_scene(scene, [settings.room]) as temporary:
        temporary.frame_set(scene.frame_start)
        graph = temporary.view_layers[0].depsgraph
        center, size, yaw = box_of(settings.room.evaluated_get(graph))
    metres = metres_per_unit(scene)
    return center * metres, np.clip(size * metres, 0.1, 2000), yaw
