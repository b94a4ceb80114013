"""Panels of the room, what its walls are made of, and what stands in the way."""

from __future__ import annotations

import bpy

from ...backend.sonic4d.materials import WALLS
from ..scene.obstacles import obstacle_objects
from ..scene.room import reverberation_s
from ..translations import tr
from .panels import Sidebar, draw_presets


class SONIC4D_PT_room(Sidebar, bpy.types.Panel):
    bl_label = "Room"
    bl_idname = "SONIC4D_PT_room"

    def draw_header_preset(self, _context: bpy.types.Context) -> None:
        draw_presets(self.layout, "SONIC4D_MT_room_presets", "sonic4d.room_preset")

    def draw(self, context: bpy.types.Context) -> None:
        layout, scene = self.layout, context.scene
        settings = scene.sonic4d
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(settings, "room_kind")
        layout.prop(settings, "show_overlay")
        if settings.room_kind == "free_field":
            return
        layout.prop(settings, "room")  # the ground lies at the room's floor
        if settings.room is None:
            layout.prop(settings, "room_size")
        row = layout.row(align=True)
        row.operator("sonic4d.fit_room", text="Fit to points").to = "CLOUD"
        row.operator("sonic4d.fit_room", text="Fit to selected").to = "SELECTED"
        layout.prop(settings, "use_materials")
        if settings.use_materials:
            column = layout.column(align=True)
            for wall in WALLS if settings.room_kind == "shoebox" else ("floor",):
                column.prop(settings.walls, wall)
            layout.operator("sonic4d.set_walls")
        elif settings.room_kind == "shoebox":
            layout.prop(settings, "rt60_s")
        time_s = reverberation_s(scene)
        if settings.use_materials and time_s is not None:
            layout.label(text=tr("Reverberates for {time:.2f} s (1 kHz)", time=time_s), icon="INFO")


class SONIC4D_PT_obstacles(Sidebar, bpy.types.Panel):
    bl_label = "Obstacles"
    bl_idname = "SONIC4D_PT_obstacles"
    bl_parent_id = "SONIC4D_PT_room"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout, scene = self.layout, context.scene
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(scene.sonic4d, "occluders")
        for item in obstacle_objects(scene):
            layout.prop(item.sonic4d, "obstacle_material", text=item.name)


register, unregister = bpy.utils.register_classes_factory((SONIC4D_PT_room, SONIC4D_PT_obstacles))
