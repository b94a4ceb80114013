"""Enhance shot: a movie of what the shot's camera sees, without holes, as the picture of the export."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bpy

from ...backend.sonic4d.files import write_json
from .. import tasks
from ..enhance_settings import choices
from ..scene.camera import show_picture
from ..scene.paths import absolute, stored
from ..scene.sampling import scene_of
from ..scene.view import view_of
from ..sequencer import takes


def enhance_shot(
    scene: bpy.types.Scene, activity: tasks.Activity, options: Mapping[str, Any]
) -> tasks.Steps[Path]:
    """The task: have the shot's picture made, show it behind the camera's view and choose it for the export. Returns the movie.

    options: as the backend's enhance job takes them. Nothing is left of one that fails. Raises `Sonic4DError`.
    """
    scene_uid, frame_start = scene.session_uid, scene.frame_start
    folder = takes.new_folder(scene.name, "view")
    movie = folder / f"{folder.name}.mp4"
    try:
        shot, view = view_of(scene, folder)
        write_json(folder / "shot.json", shot)
        job = {"kind": "enhance", "shot": str(folder / "shot.json"), "output": str(movie)}
        yield from tasks.job({**job, **view, **options}, activity)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    scene = scene_of(scene_uid)
    settings = scene.sonic4d.export
    settings.picture, settings.picture_path = "FILE", stored(movie)
    if scene.camera is not None:
        show_picture(scene.camera.data, stored(movie), frame_start)
    return movie


def options_of(scene: bpy.types.Scene, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the backend is asked for: what is `given`, for the rest the scene's settings; defaults are left to it."""
    settings = scene.sonic4d.enhance
    values = {name: given.get(name, getattr(settings, name)) for name in choices(set())}
    defaults = settings.bl_rna.properties
    folder = values.pop("folder")
    options = {name: value for name, value in values.items() if value != defaults[name].default}
    return {**options, "model": [f"novel_view={absolute(folder)}"]} if folder else options


class SONIC4D_OT_enhance_shot(tasks.TaskOperator, bpy.types.Operator):
    bl_idname = "sonic4d.enhance_shot"
    bl_label = "Enhance shot"
    bl_description = (
        "Make a movie of what the camera sees without the holes of the point cloud, and choose it as the "
        "picture to export"
    )
    __annotations__ = choices({"SKIP_SAVE"})

    def steps(self, scene: bpy.types.Scene, activity: tasks.Activity) -> tasks.Steps[Path]:
        names = [name for name in choices(set()) if self.properties.is_property_set(name)]
        given = {name: getattr(self, name) for name in names}
        return enhance_shot(scene, activity, options_of(scene, given))


register, unregister = bpy.utils.register_classes_factory((SONIC4D_OT_enhance_shot,))
