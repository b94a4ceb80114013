"""What the walls of a scene's room are made of."""

from __future__ import annotations

import bpy
from bpy.props import EnumProperty

from ..backend.sonic4d.materials import MATERIALS, WALLS
from . import live

ITEMS = tuple(
    (name, name.replace("_", " ").capitalize(), material.source)
    for name, material in sorted(MATERIALS.items())
)
# What has a mass, and so keeps sound from passing through.
OBSTACLE_ITEMS = tuple(item for item in ITEMS if MATERIALS[item[0]].surface_mass_kg_m2 is not None)
_DEFAULTS = {"floor": "wooden_floor", "ceiling": "plasterboard"}


class SONIC4D_WallSettings(bpy.types.PropertyGroup):
    __annotations__ = {
        wall: EnumProperty(
            name=wall.capitalize(),
            description=f"What the {wall} of the room is made of",
            items=ITEMS,
            default=_DEFAULTS.get(wall, "plastered_brick"),
            update=live.edited,
        )
        for wall in WALLS
    }
