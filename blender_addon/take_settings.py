"""Takes of a scene: each a sound with the settings that it was made with."""

from __future__ import annotations

import bpy
from bpy.props import StringProperty


class SONIC4D_Take(bpy.types.PropertyGroup):
    """`name` is what the artist calls it, `uid` what its strips are known by."""

    uid: StringProperty(name="Identifier", description="What the strips of this take are known by")
    filepath: StringProperty(
        name="Sound",
        description="The sound rendered last for this take",
        subtype="FILE_PATH",
        options={"PATH_SUPPORTS_BLEND_RELATIVE"},
    )
    fingerprint: StringProperty(
        name="Fingerprint", description="Tells whether the scene still sounds like this take"
    )
    shape: StringProperty(
        name="Shape",
        description="First and last frame and the frame rate that it was rendered with",
    )
    settings: StringProperty(
        name="Settings", description="The settings that this take was rendered with"
    )
