"""Rooms to choose by their name, and to keep under one."""

from __future__ import annotations

import bpy
from bl_operators.presets import AddPresetBase

from ...backend.sonic4d.materials import WALLS

PRESETS = "sonic4d/room"


class SONIC4D_MT_room_presets(bpy.types.Menu):
    bl_label = "Room presets"
    bl_description = "Rooms of known kinds: their walls, and their size where no object is the room"
    preset_subdir = PRESETS
    preset_operator = "script.execute_preset"
    draw = bpy.types.Menu.draw_preset


class SONIC4D_OT_room_preset(AddPresetBase, bpy.types.Operator):
    bl_idname = "sonic4d.room_preset"
    bl_label = "Keep room"
    bl_description = "Keep size and walls of the room under a name, or remove the chosen one"
    bl_options = {"REGISTER", "INTERNAL"}
    preset_menu = "SONIC4D_MT_room_presets"
    preset_subdir = PRESETS
    preset_defines = ["settings = bpy.context.scene.sonic4d"]
    preset_values = [
        *(f"settings.{name}" for name in ("room_kind", "room_size", "rt60_s", "use_materials")),
        *(f"settings.walls.{wall}" for wall in WALLS),
    ]


register, unregister = bpy.utils.register_classes_factory(
    (SONIC4D_MT_room_presets, SONIC4D_OT_room_preset)
)
