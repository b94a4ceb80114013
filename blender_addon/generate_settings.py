"""What a scene is generated from, and how."""

from __future__ import annotations

import bpy
from bpy.props import StringProperty


class SONIC4D_GenerateSettings(bpy.types.PropertyGroup):
    sound_source: StringProperty(
        name="Sound source",
        description="What makes the sound, in words; empty to find it by its motion",
    )
