"""Correct the track of an imported source: key a position, mark frames as wrong, track again."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import bpy
from bpy.props import BoolProperty, EnumProperty, FloatVectorProperty, IntProperty

from ...backend.sonic4d.protocol import Sonic4DError
from .. import tasks
from ..scene import track
from ..scene.bundle import read_bundle
from ..scene.paths import absolute
from ..translations import told

DIRECTIONS = (
    ("forward", "From here on", "Replace the track from this frame to the end"),
    ("backward", "Up to here", "Replace the track from its beginning to this frame"),
    ("both", "All", "Replace the whole track"),
)


def retrack(
    scene: bpy.types.Scene,
    activity: tasks.Activity,
    item: bpy.types.Object,
    direction: str,
    point: tuple[float, float] | None,
) -> tasks.Steps[int]:
    """The task: track a source again from the scene's frame on, where it is now or, in the picture, at `point`.

    point: fractions of the video's picture from its upper left. Returns the number of frames that were tracked. Raises
    `Sonic4DError`.
    """
    name, library = item.name, item.library
    folder = absolute(item.parent.sonic4d.bundle_path, library)
    bundle = read_bundle(folder)
    where: dict[str, Any] = {"point": point} if point else {"position": list(item.location)}
    with tempfile.TemporaryDirectory() as work:
        job = {
            "kind": "retrack",
            "bundle": str(folder),
            "source": _source_name(item, [source.name for source in bundle.sources]),
            "output": str(Path(work) / "track.json"),
            "frame": min(
                max(track.clip_frame(item, scene.frame_current), 0), bundle.frame_count - 1
            ),
            "direction": direction,
            **where,
        }
        done = yield from tasks.job(job, activity)
        item = bpy.data.objects.get((name, None))
        if not track.is_tracked(item):
            raise Sonic4DError("no_source", f"{name} is gone.", "Start again.")
        return track.replace_part(item, done.result)


def _source_name(item: bpy.types.Object, names: list[str]) -> str:
    """The source's name in its bundle; Blender may have put a number behind it, or the artist renamed it."""
    siblings = [child for child in item.parent.children if track.is_tracked(child)]
    plain = item.name.rpartition(".")[0] if item.name[-3:].isdigit() else item.name
    for candidate in (item.name, plain):
        if candidate in names:
            return candidate
    return names[min(siblings.index(item), len(names) - 1)] if names else item.name


class OnSource:
    """Mixin: works on the active object if it is a source of an imported scene."""

    bl_options = {"REGISTER", "UNDO"}
    poll_message_set: ClassVar[Callable[[str], None]]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not track.is_tracked(context.object):
            cls.poll_message_set("Select a source of an imported scene")
            return False
        return True


class SONIC4D_OT_key_source(OnSource, bpy.types.Operator):
    bl_idname = "sonic4d.key_source"
    bl_label = "Key position"
    bl_description = "Key the source where it is now; the keys around it stay"

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            track.key_position(context.object, context.scene.frame_current)
        except Sonic4DError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class SONIC4D_OT_mark_wrong(OnSource, bpy.types.Operator):
    bl_idname = "sonic4d.mark_wrong"
    bl_label = "Mark as wrong"
    bl_description = "Take the source's position at this frame as not known: it goes straight from the frame before to that after"

    frames: IntProperty(
        name="Frames",
        description="How many frames from this one on are wrong",
        min=1,
        default=1,
        options={"SKIP_SAVE"},
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        frame = context.scene.frame_current
        try:
            count = track.mark_wrong(context.object, frame, frame + self.frames - 1)
        except Sonic4DError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, told("{count} positions marked as wrong", count=count))
        return {"FINISHED"}


class SONIC4D_OT_retrack(tasks.TaskOperator, bpy.types.Operator):
    bl_idname = "sonic4d.retrack"
    bl_label = "Track again"
    bl_description = "Follow the source in the video again, from where it is at this frame"

    direction: EnumProperty(
        name="Frames",
        description="Which frames are tracked",
        items=DIRECTIONS,
        options={"SKIP_SAVE"},
    )
    use_point: BoolProperty(
        name="From a point",
        description="Begin at the point in the picture instead of at the source's position",
        options={"SKIP_SAVE"},
    )
    point: FloatVectorProperty(
        name="Point",
        description="Place in the video's picture as shares of its width and height, from the upper left",
        size=2,
        min=0,
        max=1,
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not track.is_tracked(context.object):
            cls.poll_message_set("Select a source of an imported scene")
            return False
        return super().poll(context)

    def steps(self, scene: bpy.types.Scene, activity: tasks.Activity) -> tasks.Steps[None]:
        point = tuple(self.point) if self.use_point else None
        item = bpy.context.object
        count = yield from retrack(scene, activity, item, self.direction, point)
        activity.warnings[:] = [f"{count} frames were tracked again."]


register, unregister = bpy.utils.register_classes_factory(
    (SONIC4D_OT_key_source, SONIC4D_OT_mark_wrong, SONIC4D_OT_retrack)
)
