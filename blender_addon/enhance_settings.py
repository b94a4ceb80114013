"""How a shot's picture is freed of holes: the same in the scene's settings and in the operator. Named as the backend's."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import IntProperty, StringProperty

from .generate_settings import model_folder

AUTO = "auto"
# What needs no pretrained model: (name, label, description).
BUILT_IN = (
    (AUTO, "Automatic", "The best that is installed and fits this machine"),
    ("fill", "Fill", "From what other frames show, then smoothly; needs no model, invents nothing"),
)


def choices(flags: set[str]) -> dict[str, Any]:
    """The properties that the scene's settings and the operator share; `flags` are their options."""
    return {
        "expert": StringProperty(
            name="By",
            description="What closes the holes: auto, fill or the name of a model",
            options=flags,
            default=AUTO,
        ),
        "prompt": StringProperty(
            name="Scene",
            description="What the scene shows, in a sentence, for models that paint",
            options=flags,
        ),
        "seed": IntProperty(
            name="Seed",
            description="Another number gives another result of the same model",
            min=0,
            options=flags,
        ),
        "folder": model_folder(name="Model", options={"PATH_SUPPORTS_BLEND_RELATIVE"} | flags),
    }


class SONIC4D_EnhanceSettings(bpy.types.PropertyGroup):
    __annotations__ = choices(set())
