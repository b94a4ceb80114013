"""The list of takes, and whether what is heard is what is seen; in the 3D view and in the sequencer."""

from __future__ import annotations

import bpy

from .. import live
from ..compat import shown_scene
from ..sequencer import take_list
from .task import draw_task
from .text import draw_text


class SONIC4D_UL_takes(bpy.types.UIList):
    bl_idname = "SONIC4D_UL_takes"

    def draw_item(
        self,
        _context: bpy.types.Context,
        layout: bpy.types.UILayout,
        settings: bpy.types.PropertyGroup,
        take: bpy.types.PropertyGroup,
        _icon: int,
        _active_data: object,
        _active_property: str,
    ) -> None:
        heard = take.uid == settings.heard_take and take.filepath
        row = layout.row(align=True)
        row.prop(take, "name", text="", emboss=False, icon="PLAY_SOUND" if heard else "SOUND")
        if not take.filepath:
            row.label(text="Not rendered yet")


def draw_takes(layout: bpy.types.UILayout, scene: bpy.types.Scene) -> None:
    settings = scene.sonic4d
    draw_task(layout, "sonic4d.render_audio", "PLAY_SOUND")
    row = layout.row(align=True)
    row.prop(settings, "live_update", toggle=True, icon="FILE_REFRESH")
    _draw_badge(row, scene)
    if live.problem(scene):
        draw_text(layout, live.problem(scene), "ERROR")
    if not settings.takes:
        return
    row = layout.row()
    row.template_list("SONIC4D_UL_takes", "", settings, "takes", settings, "active_take", rows=2)
    column = row.column(align=True)
    column.operator("sonic4d.add_take", text="", icon="ADD")
    column.operator("sonic4d.remove_take", text="", icon="REMOVE")
    column.operator("sonic4d.restore_take_settings", text="", icon="LOOP_BACK")
    if len(settings.takes) > 1:
        layout.operator("sonic4d.compare_takes", icon="ARROW_LEFTRIGHT")


def _draw_badge(row: bpy.types.UILayout, scene: bpy.types.Scene) -> None:
    take = take_list.active(scene)
    if take is None or not take.filepath:
        return
    status = live.status(scene)
    if status == live.OUTDATED:
        row.label(text="Out of date", icon="ERROR")
    elif status == live.UPDATING:
        row.label(text="Updating", icon="TIME")
    elif status == live.CURRENT:
        row.label(text="Up to date", icon="CHECKMARK")


class SONIC4D_PT_sequencer(bpy.types.Panel):
    bl_label = "Sonic4D"
    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Sonic4D"

    def draw(self, context: bpy.types.Context) -> None:
        layout, scene = self.layout, shown_scene(context)
        draw_takes(layout, scene)
        strip = scene.sequence_editor.active_strip if scene.sequence_editor else None
        if strip is not None and strip.type == "SOUND":
            row = layout.row(align=True)
            row.prop(strip, "sonic4d_source")
            row.operator("sonic4d.bind_strips", text="", icon="LINKED")
            row.operator("sonic4d.release_strips", text="", icon="UNLINKED")


register, unregister = bpy.utils.register_classes_factory((SONIC4D_UL_takes, SONIC4D_PT_sequencer))
