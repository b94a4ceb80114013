"""Generate a 4D scene from a video, and import it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bpy
from bpy.props import StringProperty

from ...backend.sonic4d.protocol import Sonic4DError
from ...backend.sonic4d.unfinished import is_unfinished
from .. import tasks, times
from ..field_names import in_fields
from ..generate_settings import AUTO, BUILT_IN, FOLDERS, choices, for_backend
from ..scene.bundle import read_bundle
from ..scene.importer import import_bundle
from ..scene.paths import absolute
from ..scene.sampling import scene_of
from ..sequencer.takes import file_name, project_folder
from ..translations import told

SUFFIX = ".sonic4d"
_goes_on: dict[Path, bool | None] = {}  # None: to be looked up; forgotten after each generation
MOVIES = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".mxf")


def generate(
    scene: bpy.types.Scene, activity: tasks.Activity, video: Path, options: Mapping[str, Any]
) -> tasks.Steps[Path]:
    """The task: make a scene bundle of a video and import it. Returns the bundle.

    options: as the backend's generate job takes them. The bundle goes beside the .blend file, always into a new folder.
    Raises `Sonic4DError`.
    """
    scene_uid = scene.session_uid
    output, begun = new_bundle_folder(video.stem), time.monotonic()
    job = yield from tasks.job(
        {"kind": "generate", "video": str(video), "output": str(output), **options}, activity
    )
    bundle = read_bundle(job.result)
    seconds = time.monotonic() - begun
    times.remember(options.get("depth", AUTO), seconds, bundle.frame_count)
    _, notes = import_bundle(scene_of(scene_uid), bundle, match_scene=True)
    activity.warnings[:] = notes
    return job.result


def options_of(scene: bpy.types.Scene, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the backend is asked for: what is `given`, for the rest the scene's settings; defaults are left to it."""
    settings = scene.sonic4d.generate
    options = {}
    for name in choices(set()):
        prop = settings.bl_rna.properties[name]
        value = given.get(name, getattr(settings, name))
        if value == prop.default:
            continue
        if name in FOLDERS or (
            prop.type == "STRING" and prop.subtype == "FILE_PATH" and is_path(value)
        ):
            value = str(absolute(value))
        options[name] = value
    return for_backend(options)


def goes_on(video: Path) -> bool:
    """Whether generating from this video would go on where it was interrupted, as far as is known.

    Never looks on disk, as panels ask at each draw: a video asked for the first time is looked up soon after.
    """
    found = _goes_on.setdefault(video, None)
    if found is None and not bpy.app.timers.is_registered(look_up):
        bpy.app.timers.register(look_up)
    return bool(found)


def look_up() -> None:
    """Look on disk for what is unfinished of the videos asked for, and draw the panels again."""
    for video in [video for video, found in _goes_on.items() if found is None]:
        _goes_on[video] = is_unfinished(video)
    tasks.redraw(bpy.context)


def is_path(text: str) -> bool:
    """Whether a choice is a file's path and not the name of what does the job."""
    return text.startswith("//") or any(separator in text for separator in "/\\")


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
    __annotations__ = {
        "filepath": StringProperty(
            name="Video",
            description="The video to make a scene of; empty for the one in the scene's settings",
            subtype="FILE_PATH",
            options={"SKIP_SAVE"},
        ),
        "filter_glob": StringProperty(
            name="Files",
            description="Which files are shown",
            default=";".join(f"*{ending}" for ending in MOVIES),
            options={"HIDDEN"},
        ),
        **choices({"SKIP_SAVE"}),
    }

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        if self.filepath or context.scene.sonic4d.generate.video:
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def steps(self, scene: bpy.types.Scene, activity: tasks.Activity) -> tasks.Steps[Path]:
        filepath = self.filepath or scene.sonic4d.generate.video
        if not filepath:
            raise Sonic4DError("no_video", "No video is chosen.", "Choose one.")
        given = {
            name: getattr(self, name)
            for name in choices(set())
            if self.properties.is_property_set(name)
        }
        try:
            bundle = yield from generate(
                scene, activity, absolute(filepath), options_of(scene, given)
            )
        except Sonic4DError as error:
            said = in_fields(error.message), in_fields(error.hint)
            raise Sonic4DError(error.code, *said) from None
        finally:
            _goes_on.clear()
        activity.warnings[:] = map(in_fields, activity.warnings)
        return bundle


class SONIC4D_OT_choose_expert(bpy.types.Operator):
    bl_idname = "sonic4d.choose_expert"
    bl_label = "Choose"
    bl_description = "Choose what does this part of generating a scene"
    bl_options = {"UNDO", "INTERNAL"}
    __annotations__ = {
        "job": StringProperty(name="Part", description="Which part of generating"),
        "option": StringProperty(name="Choice", description="What does it"),
        "about": StringProperty(name="About", description="What is known of it"),
    }

    @classmethod
    def description(
        cls, _context: bpy.types.Context, properties: bpy.types.OperatorProperties
    ) -> str:
        return properties.about or cls.bl_description

    def execute(self, context: bpy.types.Context) -> set[str]:
        if self.job not in BUILT_IN:
            self.report({"ERROR"}, told("There is no part {name} of generating.", name=self.job))
            return {"CANCELLED"}
        setattr(context.scene.sonic4d.generate, self.job, self.option)
        return {"FINISHED"}


register, _unregister_classes = bpy.utils.register_classes_factory(
    (SONIC4D_OT_generate, SONIC4D_OT_choose_expert)
)


def unregister() -> None:
    if bpy.app.timers.is_registered(look_up):
        bpy.app.timers.unregister(look_up)
    _unregister_classes()
