"""Choose the video to generate from: by dropping a file, or from a movie strip."""

from __future__ import annotations

import bpy
from bpy.props import StringProperty

from ..scene.paths import absolute, stored
from ..scene.units import frame_rate
from ..sequencer import timing
from ..translations import told
from .generate import MOVIES

SHOWN_IN = ("VIEW_3D", "SEQUENCE_EDITOR")


class SONIC4D_OT_use_video(bpy.types.Operator):
    bl_idname = "sonic4d.use_video"
    bl_label = "Generate a 4D scene"
    bl_description = "Choose this video for generating a scene in the Sonic4D tab"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(
        name="Video",
        description="The video to make a scene of",
        subtype="FILE_PATH",
        options={"SKIP_SAVE"},
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        path = absolute(self.filepath)
        if not self.filepath or not path.is_file():
            self.report({"ERROR"}, told("There is no file {path}. Choose a video.", path=path))
            return {"CANCELLED"}
        settings = context.scene.sonic4d.generate
        settings.video = stored(path)
        settings.point = ""
        settings.start_s = settings.duration_s = 0.0
        self.report({"INFO"}, told("{name}: click what sounds, or generate", name=path.name))
        return {"FINISHED"}


class SONIC4D_OT_use_movie_strip(bpy.types.Operator):
    bl_idname = "sonic4d.use_movie_strip"
    bl_label = "Generate from strip"
    bl_description = "Choose the part of the video that the active movie strip shows"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if _movie_strip(context) is None:
            cls.poll_message_set("Select a movie strip")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        strip = _movie_strip(context)
        assert strip is not None  # see poll
        rate = strip.fps or float(frame_rate(context.scene))
        bpy.ops.sonic4d.use_video(filepath=bpy.path.abspath(strip.filepath))
        settings = context.scene.sonic4d.generate
        hidden, shown = _trimmed(strip)
        settings.start_s = hidden / rate
        settings.duration_s = shown / rate
        return {"FINISHED"}


def _movie_strip(context: bpy.types.Context) -> bpy.types.MovieStrip | None:
    scene = getattr(context, "sequencer_scene", None) or context.scene
    editor = scene.sequence_editor
    strip = editor.active_strip if editor else None
    return strip if strip is not None and strip.type == "MOVIE" else None


def _trimmed(strip: bpy.types.MovieStrip) -> tuple[float, float]:
    """Frames of the movie that the strip hides at its beginning, and frames that it shows."""
    cut = getattr(strip, "content_trim_start", None)
    cut = strip.animation_offset_start if cut is None else cut
    first, end = timing.span(strip)
    return first - timing.content_start(strip) + cut, end - first


class SONIC4D_FH_video(bpy.types.FileHandler):
    bl_idname = "SONIC4D_FH_video"
    bl_label = "4D scene from a video"
    bl_import_operator = SONIC4D_OT_use_video.bl_idname
    bl_file_extensions = ";".join(MOVIES)

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:
        return context.area is not None and context.area.type in SHOWN_IN


def _strip_menu(self: bpy.types.Menu, _context: bpy.types.Context) -> None:
    self.layout.separator()
    self.layout.operator(SONIC4D_OT_use_movie_strip.bl_idname, icon="FILE_MOVIE")


_register_classes, _unregister_classes = bpy.utils.register_classes_factory(
    (SONIC4D_OT_use_video, SONIC4D_OT_use_movie_strip, SONIC4D_FH_video)
)


def register() -> None:
    _register_classes()
    bpy.types.SEQUENCER_MT_strip.append(_strip_menu)


def unregister() -> None:
    bpy.types.SEQUENCER_MT_strip.remove(_strip_menu)
    _unregister_classes()
