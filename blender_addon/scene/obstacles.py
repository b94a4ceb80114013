"""What stands in the way of sound: the meshes of a collection, as triangles or, where those are many, as filled cells."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ...backend.sonic4d.files import new_file
from .sampling import bare_scene, objects_of, scene_of
from .units import metres_per_unit

_MOST_FACES = 10_000
_CELLS_ACROSS = 64
_THINNEST_M = 0.02
_DIGITS = 6  # see `shot`


@dataclass(frozen=True)
class Obstacle:
    """A mesh in the way: vertices (n, 3) in metres, world axes, and triangles (m, 3)."""

    name: str
    material: str
    vertices: np.ndarray
    faces: np.ndarray

    def fingerprint(self) -> str:
        digest = hashlib.sha1(repr((self.name, self.material)).encode(), usedforsecurity=False)
        digest.update(self.vertices.tobytes())
        digest.update(self.faces.tobytes())
        return digest.hexdigest()

    def in_folder(self, folder: Path) -> dict[str, Any]:
        """For a shot.json in `folder`, beside which the arrays are put. Raises `Sonic4DError`."""
        file = folder / "occluders" / f"{self.fingerprint()[:16]}.npz"
        entry = {
            "name": self.name,
            "material": self.material,
            "file": file.relative_to(folder).as_posix(),
        }
        if len(self.faces) <= _MOST_FACES:
            _write_once(file, lambda: {"vertices": self.vertices, "faces": self.faces})
            return {**entry, "kind": "triangles"}
        low = self.vertices.min(axis=0)
        size_m = float(np.ptp(self.vertices, axis=0).max())
        cell_m = max(_THINNEST_M, size_m / _CELLS_ACROSS)
        _write_once(file, lambda: {"cells": filled_cells(self.vertices, self.faces, cell_m)})
        return {**entry, "kind": "voxels", "cell_m": cell_m, "origin": low.tolist()}


def _write_once(file: Path, arrays: Callable[[], dict[str, np.ndarray]]) -> None:
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        with new_file(file) as path:
            np.savez(path, **arrays())


def obstacles(scene_uid: int, slice_s: float) -> Generator[None, None, list[Obstacle]]:
    """The meshes of the scene's obstacle collection, evaluated at its first frame: they stand still.

    Yields before the first mesh, and after one whenever `slice_s` seconds have gone by. Raises `Sonic4DError` where one is removed meanwhile.
    """
    found: list[Obstacle] = []
    deadline = 0.0  # what was read before has had the present slice
    for uid in [item.session_uid for item in obstacle_objects(scene_of(scene_uid))]:
        if time.perf_counter() > deadline:
            yield
            deadline = time.perf_counter() + slice_s
        scene, (item,) = scene_of(scene_uid), objects_of([uid])
        with bare_scene(scene, [item]) as temporary:
            temporary.frame_set(scene.frame_start)
            vertices, faces = _triangles(item.evaluated_get(temporary.view_layers[0].depsgraph))
        if len(faces):
            places = (vertices * metres_per_unit(scene)).round(_DIGITS)
            found.append(Obstacle(item.name, item.sonic4d.obstacle_material, places, faces))
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
    matrix = np.array(item.matrix_world, np.float64)  # the same type with any version of NumPy
    turned = places.reshape(-1, 3).astype(np.float64) @ matrix[:3, :3].T
    return turned + matrix[:3, 3], corners.reshape(-1, 3)


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
