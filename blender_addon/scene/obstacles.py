"""What stands in the way of sound: the meshes of a collection, as triangles or, where those are many, as filled cells."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ...backend.sonic4d.files import new_file
from .sampling import bare_scene
from .units import metres_per_unit

_MOST_FACES = 10_000
_CELLS_ACROSS = 64
_THINNEST_M = 0.02
_DIGITS = 6  # see `shot`


@dataclass(frozen=True)
class Obstacle:
    """An obstacle of shot.json, its arrays (n, 3) still in memory."""

    description: dict[str, Any]
    arrays: dict[str, np.ndarray]

    def fingerprint(self) -> str:
        digest = hashlib.sha1(repr(self.description).encode(), usedforsecurity=False)
        for array in self.arrays.values():
            digest.update(array.tobytes())
        return digest.hexdigest()

    def in_folder(self, folder: Path) -> dict[str, Any]:
        """For a shot.json in `folder`, beside which the arrays are put. Raises `Sonic4DError`."""
        file = folder / "occluders" / f"{self.fingerprint()[:16]}.npz"
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            with new_file(file) as path:
                np.savez(path, **self.arrays)
        return {**self.description, "file": file.relative_to(folder).as_posix()}


def obstacles(scene: bpy.types.Scene) -> list[Obstacle]:
    """The meshes of the scene's obstacle collection, evaluated at its first frame: they stand still."""
    items = obstacle_objects(scene)
    if not items:
        return []
    found = []
    metres = metres_per_unit(scene)
    with bare_scene(scene, items) as temporary:
        temporary.frame_set(scene.frame_start)
        graph = temporary.view_layers[0].depsgraph
        for item in items:
            vertices, faces = _triangles(item.evaluated_get(graph))
            if len(faces):
                vertices = (vertices * metres).round(_DIGITS)
                found.append(_obstacle(item.name, item.sonic4d.obstacle_material, vertices, faces))
    return found


def obstacle_objects(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """The objects with a surface in the scene's obstacle collection, in the order of their names."""
    collection = scene.sonic4d.occluders
    if collection is None:
        return []
    kinds = {"MESH", "CURVE", "SURFACE", "FONT", "META"}
    solid = [i for i in collection.all_objects if i.type in kinds and not i.sonic4d.is_cloud]
    return sorted(solid, key=lambda item: item.name_full)


def _triangles(item: bpy.types.Object) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (n, 3) in world axes and triangles (m, 3) of an evaluated object."""
    mesh = item.to_mesh()
    if mesh is None:
        return np.zeros((0, 3)), np.zeros((0, 3), np.int32)
    try:
        mesh.calc_loop_triangles()
        places = np.empty(3 * len(mesh.vertices), np.float32)
        mesh.vertices.foreach_get("co", places)
        corners = np.empty(3 * len(mesh.loop_triangles), np.int32)
        mesh.loop_triangles.foreach_get("vertices", corners)
    finally:
        item.to_mesh_clear()
    matrix = np.array(item.matrix_world)
    return places.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3], corners.reshape(-1, 3)


def _obstacle(name: str, material: str, vertices: np.ndarray, faces: np.ndarray) -> Obstacle:
    description = {"name": name, "material": material}
    if len(faces) <= _MOST_FACES:
        arrays = {"vertices": vertices, "faces": faces}
        return Obstacle({**description, "kind": "triangles"}, arrays)
    low = vertices.min(axis=0)
    cell_m = max(_THINNEST_M, float(np.ptp(vertices, axis=0).max()) / _CELLS_ACROSS)
    grid = {"kind": "voxels", "cell_m": cell_m, "origin": low.tolist()}
    return Obstacle({**description, **grid}, {"cells": filled_cells(vertices, faces, cell_m)})


def filled_cells(vertices: np.ndarray, faces: np.ndarray, cell_m: float) -> np.ndarray:
    """The cells (n, 3) of a grid from the lowest corner on that triangles pass through, up to half a cell missed."""
    corners = vertices[faces]
    edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    steps = np.ceil(2 * edges / cell_m).astype(int).clip(1, 4 * _CELLS_ACROSS)
    low, found = vertices.min(axis=0), []
    for count in np.unique(steps):
        i, j = np.meshgrid(np.arange(count + 1), np.arange(count + 1))
        inside = i + j <= count
        weights = np.stack([i[inside], j[inside], count - i[inside] - j[inside]], axis=1) / count
        points = np.einsum("wk,fkd->fwd", weights, corners[steps == count]).reshape(-1, 3)
        found.append(np.unique(np.floor((points - low) / cell_m).astype(np.int32), axis=0))
    return np.unique(np.concatenate(found), axis=0)
