"""Drawn into the 3D viewport: the room with its reverberation time, the listener's head, what sounds.

Never in background mode.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import blf
import bpy
import gpu
import numpy as np
from bpy_extras.view3d_utils import location_3d_to_region_2d
from gpu_extras.batch import batch_for_shader
from mathutils import Euler, Matrix, Vector

from ..scene.room import box_of, reverberation_s
from ..scene.sounding import is_audible, source_objects
from ..scene.units import metres_per_unit

_ROOM = (0.35, 0.75, 1.0, 0.9)
_HEAD = (1.0, 0.85, 0.3, 1.0)
_SOURCE = (1.0, 0.45, 0.25, 1.0)
_MUTED = (0.5, 0.5, 0.5, 0.8)
_HEAD_M, _SOURCE_M = 0.09, 0.12
_CORNERS = [Vector((x, y, z)) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)]
_EDGES = [(a, b) for a in range(8) for b in range(a + 1, 8) if bin(a ^ b).count("1") == 1]
_CIRCLE = [(np.cos(a), np.sin(a)) for a in np.linspace(0, 2 * np.pi, 25)]
_TEXT_PX = 12

Lines = list[tuple[Vector, Vector]]


def lines(scene: bpy.types.Scene) -> Iterator[tuple[tuple[float, ...], Lines]]:
    """What is drawn: colours and line segments in world axes."""
    settings, unit = scene.sonic4d, 1 / metres_per_unit(scene)
    if settings.room is not None and settings.room_kind != "free_field":
        center, size, yaw = box_of(settings.room)
        turn = Euler((0, 0, yaw)).to_matrix()
        corners = [Vector(center) + turn @ (corner * Vector(size)) for corner in _CORNERS]
        if settings.room_kind == "half_space":
            edges = [edge for edge in _EDGES if all(_CORNERS[end].z < 0 for end in edge)]
        else:
            edges = _EDGES
        yield _ROOM, [(corners[a], corners[b]) for a, b in edges]
    listener = settings.listener or scene.camera
    if listener is not None:
        yield _HEAD, _head(listener, _HEAD_M * unit, Vector(settings.head_offset_m) * unit)
    items = source_objects(scene)
    for item in items:
        colour = _SOURCE if is_audible(item, items) else _MUTED
        yield colour, _ball(item.matrix_world.translation, _SOURCE_M * unit)


def _head(item: bpy.types.Object, radius: float, offset: Vector) -> Lines:
    """A circle seen from above, with a nose."""
    place, turn, _ = item.matrix_world.decompose()
    if item.type == "CAMERA":
        turn = turn @ Euler((-np.pi / 2, 0, 0)).to_quaternion()  # to +Y forward, +Z up
    pose = Matrix.Translation(place) @ turn.to_matrix().to_4x4()
    middle = Vector((offset.x, offset.z, offset.y))
    ring = [middle + radius * Vector((x, y, 0)) for x, y in _CIRCLE]
    nose = [middle + radius * Vector(p) for p in ((-0.25, 0.97, 0), (0, 1.4, 0), (0.25, 0.97, 0))]
    return [(pose @ a, pose @ b) for points in (ring, nose) for a, b in _pairs(points)]


def _ball(place: Vector, radius: float) -> Lines:
    rings = []
    for axes in ((0, 1), (1, 2), (0, 2)):
        ring = []
        for x, y in _CIRCLE:
            point = place.copy()
            point[axes[0]] += radius * x
            point[axes[1]] += radius * y
            ring.append(point)
        rings += _pairs(ring)
    return rings


def _pairs(points: list[Vector]) -> Lines:
    return list(zip(points, points[1:], strict=False))


def _draw_lines() -> None:
    context = bpy.context
    if not _wanted(context):
        return
    shader = gpu.shader.from_builtin("POLYLINE_UNIFORM_COLOR")
    gpu.state.blend_set("ALPHA")
    gpu.state.depth_test_set("LESS_EQUAL")
    shader.uniform_float("viewportSize", gpu.state.viewport_get()[2:])
    shader.uniform_float("lineWidth", 1.5 * context.preferences.system.ui_scale)
    for colour, segments in lines(context.scene):
        shader.uniform_float("color", colour)
        ends = [tuple(end) for segment in segments for end in segment]
        batch_for_shader(shader, "LINES", {"pos": ends}).draw(shader)
    gpu.state.depth_test_set("NONE")
    gpu.state.blend_set("NONE")


def _draw_text() -> None:
    context = bpy.context
    if not _wanted(context):
        return
    scene = context.scene
    time_s, room = reverberation_s(scene), scene.sonic4d.room
    if time_s is None or room is None:
        return
    center, size, _ = box_of(room)
    top = Vector(center) + Vector((0, 0, size[2] / 2))
    place = location_3d_to_region_2d(context.region, context.region_data, top)
    if place is None:
        return
    blf.size(0, _TEXT_PX * context.preferences.system.ui_scale)
    blf.color(0, *_ROOM)
    blf.position(0, place.x, place.y + 4, 0)
    blf.draw(0, f"RT60 {time_s:.2f} s")


def _wanted(context: bpy.types.Context) -> bool:
    space = context.space_data
    shown = space is not None and space.type == "VIEW_3D" and space.overlay.show_overlays
    return shown and context.scene.sonic4d.show_overlay


_handles: list[Any] = []


def register() -> None:
    if bpy.app.background:
        return
    add = bpy.types.SpaceView3D.draw_handler_add
    _handles.append(add(_draw_lines, (), "WINDOW", "POST_VIEW"))
    _handles.append(add(_draw_text, (), "WINDOW", "POST_PIXEL"))


def unregister() -> None:
    for handle in _handles:
        bpy.types.SpaceView3D.draw_handler_remove(handle, "WINDOW")
    _handles.clear()
