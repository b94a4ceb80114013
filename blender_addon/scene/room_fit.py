"""Fits the room to what is there: the points of an imported scene, or meshes."""

from __future__ import annotations

from collections.abc import Sequence

import bpy
import numpy as np
from mathutils import Matrix

from ...backend.sonic4d.protocol import Sonic4DError

_MARGIN = 0.02  # of each side
_BULK = (2.0, 98.0)  # percentiles: single far points, such as sky, don't count
_FLOOR = 0.5


def fit_room(scene: bpy.types.Scene, low: np.ndarray, high: np.ndarray) -> bpy.types.Object:
    """Make the scene's room a box from `low` to `high` (world axes, Blender units); it is made if there is none."""
    settings = scene.sonic4d
    item = settings.room
    if item is None or item.type != "EMPTY" or item.name not in scene.objects:
        item = bpy.data.objects.new("Room", None)
        scene.collection.objects.link(item)
        item.empty_display_type, item.empty_display_size = "CUBE", 0.5
        settings.room = item
    size = np.maximum(high - low, 1e-3)
    item.matrix_world = Matrix.LocRotScale((low + high) / 2, None, size)
    settings.room_kind = "shoebox"
    return item


def cloud_box(
    layer: bpy.types.ViewLayer, clouds: Sequence[bpy.types.Object]
) -> tuple[np.ndarray, np.ndarray]:
    """Where the bulk of the points is, at the current frame; the floor is where the lowest are. Raises `Sonic4DError`."""
    graph = layer.depsgraph
    found = [_points(item.evaluated_get(graph)) for item in clouds]
    points = np.concatenate([np.zeros((0, 3)), *found])
    if not len(points):
        raise Sonic4DError(
            "no_points", "No points are shown at this frame.", "Go to a frame that shows the cloud."
        )
    low, high = np.percentile(points, _BULK, axis=0)
    low[2] = np.percentile(points[:, 2], _FLOOR)
    return low, high


def mesh_box(
    layer: bpy.types.ViewLayer, items: Sequence[bpy.types.Object]
) -> tuple[np.ndarray, np.ndarray]:
    """The box around objects, with a little margin. Raises `Sonic4DError` where none has a size."""
    graph = layer.depsgraph
    corners = [
        np.array(evaluated.matrix_world)[:3] @ [*corner, 1.0]
        for evaluated in (item.evaluated_get(graph) for item in items)
        for corner in evaluated.bound_box
    ]
    if not corners or not np.ptp(corners, axis=0).any():
        raise Sonic4DError("no_meshes", "No mesh is selected.", "Select the meshes of the room.")
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    return low - _MARGIN * (high - low), high + _MARGIN * (high - low)


def _points(item: bpy.types.Object) -> np.ndarray:
    """The points (n, 3) that an evaluated cloud shows, in world axes."""
    geometry = item.evaluated_geometry()  # keeps what it holds alive
    cloud = geometry.pointcloud
    if cloud is None or not len(cloud.points):
        return np.zeros((0, 3))
    places = np.empty(3 * len(cloud.points), np.float32)
    cloud.attributes["position"].data.foreach_get("vector", places)
    matrix = np.array(item.matrix_world)
    return places.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]
