"""The panels for exporting the finished shot."""

from __future__ import annotations

import bpy

from .panels import Sidebar, draw_presets
from .task import draw_task


class SONIC4D_PT_export(Sidebar, bpy.types.Panel):
    bl_label = "Export"
    bl_idname = "SONIC4D_PT_export"

    def draw_header_preset(self, _context: bpy.types.Context) -> None:
        draw_presets(self.layout, "SONIC4D_MT_export_presets", "sonic4d.export_preset")

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.sonic4d.export
        column = layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        column.prop(settings, "filepath")
        draw_task(layout, "sonic4d.export_shot", "RENDER_ANIMATION")


class SONIC4D_PT_export_picture(Sidebar, bpy.types.Panel):
    bl_label = "Picture"
    bl_parent_id = "SONIC4D_PT_export"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.sonic4d.export
        layout.use_property_split, layout.use_property_decorate = True, False
        layout.row().prop(settings, "picture", expand=True)
        if settings.picture == "FILE":
            layout.prop(settings, "picture_path", text="File or folder")
            return
        for name in ("camera", "engine", "samples", "size"):
            layout.prop(settings, name)
        if settings.size == "CUSTOM":
            layout.prop(settings, "custom_size")


class SONIC4D_PT_export_sound(Sidebar, bpy.types.Panel):
    bl_label = "Sound"
    bl_parent_id = "SONIC4D_PT_export"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.sonic4d.export
        layout.use_property_split, layout.use_property_decorate = True, False
        layout.row().prop(settings, "sound", expand=True)
        layout.prop(settings, "codec")
        if settings.sound == "MIX":
            return
        layout.prop(settings, "level")
        if settings.level == "LOUDNESS":
            layout.prop(settings, "lufs")
            layout.prop(settings, "true_peak_dbtp")
        layout.column().prop(settings, "sidecars")


register, unregister = bpy.utils.register_classes_factory(
    (SONIC4D_PT_export, SONIC4D_PT_export_picture, SONIC4D_PT_export_sound)
)
