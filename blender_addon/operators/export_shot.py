"""Export the finished shot: picture and sound as one movie file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bpy
from bl_operators.presets import AddPresetBase

from ...backend.sonic4d.protocol import Sonic4DError
from .. import tasks
from ..export.settings import Options, choices, operator_choices
from ..export.shot import export_shot, sidecar_files, target_file
from ..scene.paths import absolute

PRESETS = "sonic4d/export"


def options_of(scene: bpy.types.Scene, given: Mapping[str, Any]) -> Options:
    """What is chosen: what is `given` (names as in `settings.operator_choices`), for the rest the scene's settings.

    Raises `Sonic4DError`.
    """
    settings = scene.sonic4d.export

    def chosen(name: str) -> Any:
        return given.get(name, getattr(settings, name))

    filepath = chosen("filepath")
    if filepath.startswith("//") and not bpy.data.filepath:
        raise Sonic4DError(
            "not_saved",
            "The shot goes beside the .blend file, but that is not saved yet.",
            "Save it, or choose another place for the shot.",
        )
    if not Path(absolute(filepath)).name:
        raise Sonic4DError("bad_option", "The shot has no name.", "Choose where it goes.")
    camera = settings.camera
    if given.get("camera"):
        camera = scene.objects.get(given["camera"])
        if camera is None or camera.type != "CAMERA":
            raise Sonic4DError(
                "no_camera", f"The scene has no camera {given['camera']}.", "Check its name."
            )
    size = chosen("size")
    width, height = chosen("custom_size") if size == "CUSTOM" else _pixels(size)
    return Options(
        output=_without_suffix(absolute(filepath)),
        camera=camera,
        picture=absolute(chosen("picture_path")) if chosen("picture") == "FILE" else None,
        engine=chosen("engine"),
        samples=chosen("samples"),
        size=None if size == "SCENE" else (width, height),
        sound=chosen("sound"),
        codec=chosen("codec"),
        lufs=chosen("lufs") if chosen("level") == "LOUDNESS" else None,
        true_peak_dbtp=chosen("true_peak_dbtp"),
        sidecars=frozenset(chosen("sidecars")),
        overwrite=given.get("overwrite", False),
    )


def _pixels(size: str) -> tuple[int, int]:
    """Of "1920x1080"; no pixels for other texts."""
    width, _, height = size.partition("x")
    return (int(width), int(height)) if height else (0, 0)


def _without_suffix(path: Path) -> Path:
    """The format decides about the ending, whatever was written."""
    return path.with_suffix("") if path.suffix.lower() in (".mp4", ".mov") else path


class SONIC4D_OT_export_shot(tasks.TaskOperator, bpy.types.Operator):
    bl_idname = "sonic4d.export_shot"
    bl_label = "Export shot"
    bl_description = (
        "Write the picture and the sound of the take, sample for sample, into one movie file"
    )
    bl_options = {"REGISTER"}
    __annotations__ = operator_choices()

    def _given(self) -> dict[str, Any]:
        names = operator_choices()
        return {
            name: getattr(self, name) for name in names if self.properties.is_property_set(name)
        }

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        try:
            options = options_of(context.scene, self._given())
            target = target_file(options.output, options.codec)
        except Sonic4DError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        files = (target, *sidecar_files(target, options.sidecars).values())
        if not any(file.exists() for file in files):
            return self.execute(context)
        self.overwrite = True
        return context.window_manager.invoke_confirm(
            self, event, title="Overwrite the shot's files?", confirm_text="Overwrite"
        )

    def steps(self, scene: bpy.types.Scene, activity: tasks.Activity) -> tasks.Steps[Path]:
        return export_shot(scene, activity, options_of(scene, self._given()))


class SONIC4D_MT_export_presets(bpy.types.Menu):
    bl_label = "Export presets"
    bl_description = "Settings of earlier exports"
    preset_subdir = PRESETS
    preset_operator = "script.execute_preset"
    draw = bpy.types.Menu.draw_preset


class SONIC4D_OT_export_preset(AddPresetBase, bpy.types.Operator):
    bl_idname = "sonic4d.export_preset"
    bl_label = "Keep export settings"
    bl_description = "Keep the settings of the export under a name, or remove the chosen ones"
    bl_options = {"REGISTER", "INTERNAL"}
    preset_menu = "SONIC4D_MT_export_presets"
    preset_subdir = PRESETS
    preset_defines = ["export = bpy.context.scene.sonic4d.export"]
    preset_values = [
        f"export.{name}" for name in choices(set()) if name not in ("filepath", "picture_path")
    ]


_register_classes, _unregister_classes = bpy.utils.register_classes_factory(
    (SONIC4D_OT_export_shot, SONIC4D_MT_export_presets, SONIC4D_OT_export_preset)
)
_WITH_PRESETS = str(Path(__file__).resolve().parents[1])  # presets/ lies in it


def register() -> None:
    _register_classes()
    bpy.utils.register_preset_path(_WITH_PRESETS)


def unregister() -> None:
    bpy.utils.unregister_preset_path(_WITH_PRESETS)
    _unregister_classes()
