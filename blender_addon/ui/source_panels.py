"""Panels of what sounds and of who listens."""

from __future__ import annotations

import bpy

from ..operators.manage_sources import active_source
from ..scene.sounding import source_objects
from ..translations import tr
from .panels import Sidebar


class SONIC4D_UL_sources(bpy.types.UIList):
    """Those of the scene's objects that make a sound."""

    bl_idname = "SONIC4D_UL_sources"

    def draw_item(
        self,
        _context: bpy.types.Context,
        layout: bpy.types.UILayout,
        _scene: bpy.types.Scene,
        item: bpy.types.Object,
        _icon: int,
        _active_data: object,
        _active_property: str,
    ) -> None:
        settings = item.sonic4d
        row = layout.row(align=True)
        icon = "OUTLINER_OB_SPEAKER" if item.type == "SPEAKER" else "SPEAKER"
        row.prop(item, "name", text="", emboss=False, icon=icon)
        row.prop(settings, "solo", text="", emboss=False, icon=_toggle("SOLO", settings.solo))
        row.prop(settings, "mute", text="", emboss=False, icon=_toggle("MUTE", settings.mute))

    def filter_items(
        self, _context: bpy.types.Context, scene: bpy.types.Scene, _name: str
    ) -> tuple[list[int], list[int]]:
        shown = set(source_objects(scene))
        wanted = self.filter_name.lower()
        flags = [
            self.bitflag_filter_item if item in shown and wanted in item.name.lower() else 0
            for item in scene.objects
        ]
        return flags, []


def _toggle(kind: str, on: bool) -> str:
    if kind == "SOLO":
        return "SOLO_ON" if on else "SOLO_OFF"
    return "MUTE_IPO_ON" if on else "MUTE_IPO_OFF"


class SONIC4D_PT_sources(Sidebar, bpy.types.Panel):
    bl_label = "Sources"
    bl_idname = "SONIC4D_PT_sources"

    def draw(self, context: bpy.types.Context) -> None:
        layout, scene = self.layout, context.scene
        row = layout.row()
        row.template_list(
            "SONIC4D_UL_sources", "", scene, "objects", scene.sonic4d, "active_source", rows=3
        )
        column = row.column(align=True)
        column.operator("sonic4d.add_source", text="", icon="ADD")
        column.operator("sonic4d.remove_source", text="", icon="REMOVE")
        item = active_source(scene)
        if item is not None:
            draw_source(layout, scene, item)


def draw_source(layout: bpy.types.UILayout, scene: bpy.types.Scene, item: bpy.types.Object) -> None:
    """What can be set of a source."""
    settings = item.sonic4d
    column = layout.column()
    column.use_property_split, column.use_property_decorate = True, False
    if settings.is_source:
        column.prop(settings, "audio_path")
        column.prop(settings, "audio_frame")
        column.prop(settings, "gain_db")
        column.prop(settings, "loop")
        column.prop(settings, "directivity")
    elif item.type == "SPEAKER":
        for name in ("volume", "pitch", "distance_reference", "attenuation"):
            column.prop(item.data, name)
        column.prop(settings, "gain_db")
        column.prop(settings, "loop")
    else:  # what its strips sound like is set at them
        column.prop(settings, "gain_db")
        column.prop(settings, "directivity")
    if settings.found_by:
        layout.label(text=tr("Confidence at this frame: {share:.0%}", share=settings.confidence))


class SONIC4D_PT_listener(Sidebar, bpy.types.Panel):
    bl_label = "Listener"
    bl_idname = "SONIC4D_PT_listener"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.sonic4d
        layout.use_property_split, layout.use_property_decorate = True, False
        layout.prop(settings, "listener")
        if settings.listener is None:
            camera = context.scene.camera
            if camera is None:
                layout.label(text="The scene has no camera", icon="ERROR")
            else:
                layout.label(text=tr("Hearing from {name}", name=camera.name), icon="CAMERA_DATA")
        layout.prop(settings, "head_offset_m")


register, unregister = bpy.utils.register_classes_factory(
    (SONIC4D_UL_sources, SONIC4D_PT_sources, SONIC4D_PT_listener)
)
