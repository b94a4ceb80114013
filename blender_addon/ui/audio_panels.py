"""Panels for the shot's sound."""

from __future__ import annotations

import bpy

from .panels import Sidebar
from .take_panels import draw_takes


class SONIC4D_PT_sound(Sidebar, bpy.types.Panel):
    bl_label = "Sound"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.sonic4d
        column = layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        names = ["mode"]
        if settings.mode in ("paper", "fast"):
            names += ["mic_spacing_m", "segments"]
            names += ["segment_count"] if settings.segments == "number" else []
        names += ["normalize"]
        names += ["lufs", "true_peak_dbtp"] if settings.normalize == "loudness" else []
        for name in (*names, "tail", "stems"):
            column.prop(settings, name)
        draw_takes(layout, context.scene)


class SONIC4D_PT_room(Sidebar, bpy.types.Panel):
    bl_label = "Room"
    bl_parent_id = "SONIC4D_PT_sound"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.sonic4d
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(settings, "room_kind")
        if settings.room_kind != "free_field":  # the ground lies at the room's floor
            layout.prop(settings, "room")
            if settings.room is None:
                layout.prop(settings, "room_size")
        if settings.room_kind == "shoebox":
            layout.prop(settings, "rt60_s")


register, unregister = bpy.utils.register_classes_factory(
    (
        SONIC4D_PT_sound,
        SONIC4D_PT_room,
    )
)
