"""Make objects sound: add and remove sources, let sequencer strips sound from objects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import bpy
from bpy.props import StringProperty

from ..compat import shown_scene
from ..scene.paths import absolute, stored
from ..scene.sounding import source_objects
from ..sequencer import timing
from ..translations import told

OPTIONS = {"REGISTER", "UNDO"}
_SIZE = 0.15  # of an empty


class SONIC4D_OT_add_source(bpy.types.Operator):
    bl_idname = "sonic4d.add_source"
    bl_label = "Add source"
    bl_description = (
        "Let the selected object make a sound; with none selected, a new empty at the 3D cursor"
    )
    bl_options = OPTIONS

    filepath: StringProperty(
        name="Sound",
        description="The sound that the object makes",
        subtype="FILE_PATH",
        options={"SKIP_SAVE"},
    )
    filter_glob: StringProperty(
        default="*.wav;*.flac;*.ogg;*.mp3;*.aif;*.aiff;*.m4a;*.mp4;*.mov;*.mkv", options={"HIDDEN"}
    )

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene, path = context.scene, absolute(self.filepath)
        if self.filepath and not path.is_file():
            self.report({"ERROR"}, told("There is no file {path}.", path=path))
            return {"CANCELLED"}
        item = _chosen(context) or _new_empty(context, path)
        item.sonic4d.is_source = True
        item.sonic4d.audio_frame = scene.frame_start
        if self.filepath:
            item.sonic4d.audio_path = stored(path)
        scene.sonic4d.active_source = scene.objects.find(item.name)
        self.report({"INFO"}, told("{name} is a sound source", name=item.name))
        return {"FINISHED"}


def _chosen(context: bpy.types.Context) -> bpy.types.Object | None:
    """The selected object that can become a source."""
    item = context.view_layer.objects.active
    possible = item is not None and item.select_get() and item.library is None
    return item if possible and not item.sonic4d.is_source and not item.sonic4d.is_cloud else None


def _new_empty(context: bpy.types.Context, path: Path) -> bpy.types.Object:
    item = bpy.data.objects.new(path.stem or "Source", None)
    item.empty_display_type, item.empty_display_size = "SPHERE", _SIZE
    item.location = context.scene.cursor.location
    context.collection.objects.link(item)
    return item


class SONIC4D_OT_remove_source(bpy.types.Operator):
    bl_idname = "sonic4d.remove_source"
    bl_label = "Remove source"
    bl_description = "Let the object be silent; it stays in the scene. A Speaker is muted"
    bl_options = OPTIONS

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if active_source(context.scene) is None:
            cls.poll_message_set("Choose a source in the list")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        item = active_source(context.scene)
        if item is None:
            return {"CANCELLED"}
        item.sonic4d.is_source = False
        for strip in list(timing.bound_strips(context.scene)):
            if strip.sonic4d_source == item:
                _release(strip)
        if item.type == "SPEAKER":
            item.sonic4d.mute = True
        return {"FINISHED"}


def active_source(scene: bpy.types.Scene) -> bpy.types.Object | None:
    """The source chosen in the list."""
    number = scene.sonic4d.active_source
    item = scene.objects[number] if number < len(scene.objects) else None
    return item if item in source_objects(scene) else None


class _ForSoundStrips:
    """For the selected sound strips of the sequencer."""

    bl_options = OPTIONS
    poll_message_set: ClassVar[Callable[[str], None]]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not _selected(context):
            cls.poll_message_set("Select a sound strip")
            return False
        return True


class SONIC4D_OT_bind_strips(_ForSoundStrips, bpy.types.Operator):
    bl_idname = "sonic4d.bind_strips"
    bl_label = "Sound from object"
    bl_description = "Let the selected sound strips sound from an object of the scene; Blender no longer plays them"

    source: StringProperty(name="Object", description="The object that they sound from")

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        self.source = context.object.name if context.object else ""
        return context.window_manager.invoke_props_dialog(self)

    def draw(self, context: bpy.types.Context) -> None:
        self.layout.prop_search(self, "source", shown_scene(context), "objects")

    def execute(self, context: bpy.types.Context) -> set[str]:
        item = shown_scene(context).objects.get(self.source)
        if item is None:
            self.report({"ERROR"}, "Choose an object of the scene.")
            return {"CANCELLED"}
        for strip in _selected(context):
            strip.sonic4d_source, strip.mute = item, True
        return {"FINISHED"}


class SONIC4D_OT_release_strips(_ForSoundStrips, bpy.types.Operator):
    bl_idname = "sonic4d.release_strips"
    bl_label = "Release"
    bl_description = "Let Blender play the selected sound strips again, from nowhere"

    def execute(self, context: bpy.types.Context) -> set[str]:
        for strip in _selected(context):
            if strip.sonic4d_source is not None:
                _release(strip)
        return {"FINISHED"}


def _release(strip: bpy.types.Strip) -> None:
    strip.sonic4d_source, strip.mute = None, False


def _selected(context: bpy.types.Context) -> list[bpy.types.Strip]:
    editor = shown_scene(context).sequence_editor
    strips = editor.strips_all if editor else ()
    return [strip for strip in strips if strip.type == "SOUND" and strip.select]


register, unregister = bpy.utils.register_classes_factory(
    (
        SONIC4D_OT_add_source,
        SONIC4D_OT_remove_source,
        SONIC4D_OT_bind_strips,
        SONIC4D_OT_release_strips,
    )
)
