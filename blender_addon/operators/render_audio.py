"""Render audio: what the shot's camera hears, as a take and its strip in the sequencer."""

from __future__ import annotations

import shutil
from pathlib import Path

import bpy

from ...backend.sonic4d.files import write_json
from .. import tasks
from ..scene.paths import stored
from ..scene.shot import shot_json
from ..sequencer import strips, takes


def render_audio(scene: bpy.types.Scene, activity: tasks.Activity) -> tasks.Steps[Path]:
    """The task: make a new take of the scene's frames and put it into the sequencer. Returns the WAV file.

    Nothing is left of a take that fails. Raises `Sonic4DError`.
    """
    scene_uid, frame_start = scene.session_uid, scene.frame_start
    folder = takes.new_take(scene.name)
    take = folder.name
    wav = folder / f"{take}.wav"
    try:
        shot = folder / "shot.json"
        write_json(shot, shot_json(scene, folder))
        yield from tasks.job({"kind": "render", "shot": str(shot), "output": str(wav)}, activity)
        scene = tasks.scene_of(scene_uid)
        strips.place_take(scene, wav, take, frame_start)
        scene.sonic4d.take_path = stored(wav)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return wav


class SONIC4D_OT_render_audio(tasks.TaskOperator, bpy.types.Operator):
    bl_idname = "sonic4d.render_audio"
    bl_label = "Render audio"
    bl_description = "Render what the camera hears and put it into the sequencer"

    def steps(self, scene: bpy.types.Scene, activity: tasks.Activity) -> tasks.Steps[Path]:
        return render_audio(scene, activity)


register, unregister = bpy.utils.register_classes_factory((SONIC4D_OT_render_audio,))
