"""Where objects are, and how loud, at every frame: read without evaluating anything else in the scene.

Stepping through the user's scene would evaluate its point clouds at every frame, and move its current frame.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import bpy
import numpy as np
from mathutils import Matrix

from ...backend.sonic4d.protocol import Sonic4DError
from .. import compat

Result = TypeVar("Result")


@dataclass(frozen=True)
class Samples:
    """Of one object: world matrices (n_frames, 4, 4) in Blender units, and `levels` (n_frames,): a speaker's volume, any
    other object's level in decibels."""

    matrices: np.ndarray
    levels: np.ndarray


@contextmanager
def bare_scene(
    scene: bpy.types.Scene, objects: Iterable[bpy.types.Object]
) -> Iterator[bpy.types.Scene]:
    """A temporary scene with only these objects, to step through frames without evaluating point clouds.

    Parents, constraint targets and drivers are evaluated with them; the user's scene stays at its frame.
    """
    temporary = bpy.data.scenes.new("Sonic4D")
    try:
        for name in ("fps", "fps_base", "frame_map_old", "frame_map_new"):
            setattr(temporary.render, name, getattr(scene.render, name))
        for item in {item.name_full: item for item in objects}.values():
            temporary.collection.objects.link(item)
        yield temporary
    finally:
        bpy.data.scenes.remove(temporary)


def sample(
    scene_uid: int, uids: Sequence[int], frames: Sequence[int], slice_s: float
) -> Generator[None, None, dict[int, Samples]]:
    """Read the objects with these `session_uid`s at each frame; yields whenever `slice_s` seconds have gone by.

    Raises `Sonic4DError` where the scene or an object is removed meanwhile.
    """
    matrices: list[list[Matrix]] = [[] for _ in uids]
    levels: list[list[float]] = [[] for _ in uids]
    done = 0
    while done < len(frames):
        deadline = time.perf_counter() + slice_s
        objects = objects_of(uids)
        with bare_scene(scene_of(scene_uid), objects) as temporary:
            while done < len(frames) and time.perf_counter() < deadline:
                temporary.frame_set(frames[done])
                graph = temporary.view_layers[0].depsgraph
                for places, volumes, item in zip(matrices, levels, objects, strict=True):
                    evaluated = item.evaluated_get(graph)
                    places.append(evaluated.matrix_world.copy())
                    volumes.append(_level(evaluated))
                done += 1
        if done < len(frames):
            yield
    return {
        uid: Samples(compat.as_array(places), np.array(volumes))
        for uid, places, volumes in zip(uids, matrices, levels, strict=True)
    }


def _level(item: bpy.types.Object) -> float:
    return item.data.volume if item.type == "SPEAKER" else item.sonic4d.gain_db


def world_matrices(
    scene: bpy.types.Scene, frames: Sequence[int], objects: Sequence[bpy.types.Object]
) -> np.ndarray:
    """World matrices at each frame, (n_objects, n_frames, 4, 4), in Blender units."""
    uids = [item.session_uid for item in objects]
    samples = finish(sample(scene.session_uid, uids, frames, float("inf")))
    return np.array([samples[uid].matrices for uid in uids])


def finish(steps: Generator[None, None, Result]) -> Result:
    """Go through a generator at once; what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def scene_of(uid: int) -> bpy.types.Scene:
    """The scene with this `session_uid`. Raises `Sonic4DError` if it is gone."""
    for scene in bpy.data.scenes:
        if scene.session_uid == uid:
            return scene
    raise Sonic4DError("no_scene", "The scene was removed meanwhile.", "Start again.")


def objects_of(uids: Sequence[int]) -> list[bpy.types.Object]:
    """The objects with these `session_uid`s. Raises `Sonic4DError` if one is gone."""
    wanted = set(uids)
    found = {item.session_uid: item for item in bpy.data.objects if item.session_uid in wanted}
    if len(found) < len(wanted):
        raise Sonic4DError("no_object", "An object was removed meanwhile.", "Start again.")
    return [found[uid] for uid in uids]
