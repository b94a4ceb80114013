"""Export the finished shot: picture and sound as one movie file."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty

from ...backend.sonic4d.protocol import Sonic4DError
from .. import tasks
from ..export import LOSSLESS, STANDARD, export_shot, target_file
from ..scene.paths import absolute


def output_file(scene: bpy.types.Scene) -> Path:
    """Where the scene's settings say that the shot goes. Raises `Sonic4DError` for an unfit name."""
    settings = scene.sonic4d.export
    if settings.filepath.startswith("//") and not bpy.data.filepath:
        raise Sonic4DError(
            "not_saved",
            "The shot goes beside the .blend file, but that is not saved yet.",
            "Save it, or choose another place for the shot.",
        )
    path = absolute(settings.filepath)
    if path.suffix.lower() in (STANDARD.suffix, LOSSLESS.suffix):
        path = path.with_suffix("")
    return target_file(path, settings.lossless)


class SONIC4D_OT_export_shot(tasks.TaskOperator, bpy.types.Operator):
    bl_idname = "sonic4d.export_shot"
    bl_label = "Export shot"
    bl_description = "Render the picture and write it with the sound into one movie file"
    bl_options = {"REGISTER"}

    overwrite: BoolProperty(
        name="Overwrite", description="Replace a file of this name", options={"SKIP_SAVE"}
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        try:
            exists = output_file(context.scene).exists()
        except Sonic4DError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if not exists:
            return self.execute(context)
        self.overwrite = True
        return context.window_manager.invoke_confirm(
            self, event, title="Overwrite the movie?", confirm_text="Overwrite"
        )

    def steps(self, scene: bpy.types.Scene, activity: tasks.Activity) -> tasks.Steps[None]:
        yield from export_shot(
            scene,
            activity,
            output_file(scene),
            lossless=scene.sonic4d.export.lossless,
            overwrite=self.overwrite,
        )


register, unregister = bpy.utils.register_classes_factory((SONIC4D_OT_export_shot,))
