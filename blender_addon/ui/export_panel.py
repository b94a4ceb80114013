"""The panel for exporting the finished shot."""

from __future__ import annotations

import bpy

from .panels import Sidebar
from .task import draw_task


class SONIC4D_PT_export(Sidebar, bpy.types.Panel):
    bl_label = "Export"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.sonic4d.export
        column = layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        column.prop(settings, "filepath")
        column.prop(settings, "lossless")
        column.prop(context.scene.render, "engine")
        draw_task(layout, "sonic4d.export_shot", "RENDER_ANIMATION")


register, unregister = bpy.utils.register_classes_factory((SONIC4D_PT_export,))
