"""Panels for the shot's sound and its export."""

from __future__ import annotations

import bpy

from .. import tasks
from ..sequencer import strips

CATEGORY = "Sonic4D"


def draw_activity(layout: bpy.types.UILayout) -> None:
    """What is going on and a button to stop it; then what the last task wanted to be known."""
    activity = tasks.activity()
    if activity:
        row = layout.row(align=True)
        text = "Cancelling" if activity.cancelled else activity.message or activity.label
        row.progress(factor=activity.progress, text=text)
        row.operator("sonic4d.cancel", text="", icon="X")
    for warning in tasks.warnings():
        layout.label(text=warning, icon="ERROR")


def draw_render_audio(layout: bpy.types.UILayout, scene: bpy.types.Scene) -> None:
    row = layout.row()
    row.scale_y = 1.5
    row.operator("sonic4d.render_audio", icon="PLAY_SOUND")
    draw_activity(layout)
    for strip in strips.take_strips(scene):
        layout.label(text=strip[strips.TAKE_KEY], icon="SOUND")


class _Panel:
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = CATEGORY


class SONIC4D_PT_sound(_Panel, bpy.types.Panel):
    bl_label = "Sound"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.sonic4d
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(settings, "mode")
        layout.prop(settings, "segments")
        if settings.segments == "number":
            layout.prop(settings, "segment_count")
        layout.prop(settings, "mic_spacing_m")
        layout.prop(settings, "normalize")
        if settings.normalize == "loudness":
            layout.prop(settings, "lufs")
            layout.prop(settings, "true_peak_dbtp")
        layout.prop(settings, "tail")
        draw_render_audio(layout, context.scene)


class SONIC4D_PT_export(_Panel, bpy.types.Panel):
    bl_label = "Export"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.sonic4d
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(settings, "export_path")
        layout.prop(settings, "lossless")
        row = layout.row()
        row.scale_y = 1.5
        row.operator("sonic4d.export_shot", icon="RENDER_ANIMATION")


class SONIC4D_PT_sequencer(bpy.types.Panel):
    bl_label = "Sonic4D"
    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = CATEGORY

    def draw(self, context: bpy.types.Context) -> None:
        draw_render_audio(self.layout, context.scene)


register, unregister = bpy.utils.register_classes_factory(
    (SONIC4D_PT_sound, SONIC4D_PT_export, SONIC4D_PT_sequencer)
)
