"""Render audio: what the shot's camera hears, as a take and its strip in the sequencer."""

from __future__ import annotations

import shutil
from pathlib import Path

import bpy

from .. import live, tasks
from ..scene import speakers
from ..scene.sampling import scene_of
from ..scene.shot import read_shot
from ..sequencer import take_list, takes

_SLICE_S = 0.005


def render_audio(scene: bpy.types.Scene, activity: tasks.Activity) -> tasks.Steps[Path]:
    """The task: render the scene's frames for its active take, or for its first one, and put it into the sequencer.
    Returns the WAV file, which is always a new one.

    Nothing is left of a render that fails. Raises `Sonic4DError`.
    """
    scene_uid = scene.session_uid
    active = take_list.active(scene)
    take_uid = active.uid if active else None
    take_list.check_fillable(scene, take_uid)
    folder = takes.new_take(scene.name)
    wav = folder / f"{folder.name}.wav"
    try:
        reading = yield from read_shot(scene_uid, _SLICE_S)
        fingerprint, shot = yield from tasks.in_thread(
            lambda: (reading.fingerprint(), reading.write(folder / "shot.json"))
        )
        yield from tasks.job({"kind": "render", "shot": str(shot), "output": str(wav)}, activity)
        scene = scene_of(scene_uid)
        take_list.fill_or_add(scene, take_uid, wav, fingerprint)
        activity.warnings += speakers.heard_twice(scene)
        live.note(scene)
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
