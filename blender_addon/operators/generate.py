"""Generate a 4D scene from a video, and import it."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import StringProperty

from .. import tasks
from ..scene.bundle import read_bundle
from ..scene.importer import import_bundle
from ..scene.paths import absolute
from ..sequencer.takes import file_name, project_folder

SUFFIX = ".sonic4d"


def generate(
    scene: bpy.types.Scene, activity: tasks.Activity, video: Path, sound_source: str, point: str
) -> tasks.Steps[Path]:
    """The task: make a scene bundle of a video and import it. Returns the bundle.

    sound_source: what makes the sound, in words; point: where it is, "X,Y" or "X,Y@FRAME" in pixels. Either may be empty.
    The bundle goes beside the .blend file, always into a new folder. Raises `Sonic4DError`.
    """
    scene_uid = scene.session_uid
    output = new_bundle_folder(video.stem)
    job = yield from tasks.job(
        {
            "kind": "generate",
            "video": str(video),
            "output": str(output),
            "sound_source": sound_source or None,
            "point": point or None,
        },
        activity,
    )
    _, notes = import_bundle(tasks.scene_of(scene_uid), read_bundle(job.result), match_scene=True)
    activity.warnings[:] = notes
    return job.result


def new_bundle_folder(name: str) -> Path:
    """A folder that doesn't exist yet: NAME.sonic4d, NAME_2.sonic4d, …"""
    root, stem = project_folder(), file_name(name)
    folder, number = root / (stem + SUFFIX), 1
    while folder.exists():
        number += 1
        folder = root / f"{stem}_{number}{SUFFIX}"
    return folder


class SONIC4D_OT_generate(tasks.TaskOperator, bpy.types.Operator):
    bl_idname = "sonic4d.generate"
    bl_label = "Generate from video"
    bl_description = "Make a 4D scene of a video: its points, sound source and room, and import it"

    filepath: StringProperty(name="Video", subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_glob: StringProperty(
        default="*.mp4;*.mov;*.mkv;*.avi;*.webm;*.m4v;*.mpg;*.mxf", options={"HIDDEN"}
    )
    sound_source: StringProperty(
        name="Sound source",
        description="What makes the sound, in words; empty to find it by its motion",
    )
    point: StringProperty(
        name="Point",
        description="Where the sounding object is in the picture: X,Y or X,Y@FRAME, in pixels from the upper left",
    )

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def steps(self, scene: bpy.types.Scene, activity: tasks.Activity) -> tasks.Steps[Path]:
        return generate(scene, activity, absolute(self.filepath), self.sound_source, self.point)


register, unregister = bpy.utils.register_classes_factory((SONIC4D_OT_generate,))
