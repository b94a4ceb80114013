"""The panel for correcting the track of a source."""

from __future__ import annotations

import bpy

from ..scene.track import is_tracked
from .panels import Sidebar
from .task import draw_task


class SONIC4D_PT_track(Sidebar, bpy.types.Panel):
    bl_label = "Track"
    bl_parent_id = "SONIC4D_PT_sources"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return is_tracked(context.object)

    def draw(self, _context: bpy.types.Context) -> None:
        layout = self.layout
        row = layout.row(align=True)
        row.operator("sonic4d.key_source", icon="KEY_HLT")
        row.operator("sonic4d.mark_wrong", icon="X")
        pick = layout.operator("sonic4d.pick_source", text="Click it and track again")
        pick.purpose = "RETRACK"
        draw_task(layout, "sonic4d.retrack", "TRACKING_FORWARDS_SINGLE")


register, unregister = bpy.utils.register_classes_factory((SONIC4D_PT_track,))
