"""How a scene's finished shot is exported."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, StringProperty


class SONIC4D_ExportSettings(bpy.types.PropertyGroup):
    filepath: StringProperty(
        name="Shot",
        description="The finished movie, with picture and sound",
        subtype="FILE_PATH",
        options={"PATH_SUPPORTS_BLEND_RELATIVE"},
        default="//shot.mp4",
    )
    lossless: BoolProperty(
        name="Lossless sound",
        description="Write the sound uncompressed, as 16-bit PCM in a .mov file",
    )
