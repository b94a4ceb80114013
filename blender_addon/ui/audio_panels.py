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


register, unregister = bpy.utils.register_classes_factory((SONIC4D_PT_sound,))
