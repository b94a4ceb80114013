"""Texts of any length: Blender itself cuts a label that is wider than its panel."""

from __future__ import annotations

import textwrap

import bpy

_WIDTH_PX = 280  # of a sidebar; without a window there is none
_CHARACTER_PX = 7
_MARGIN, _LEAST = 8, 20  # characters


def draw_text(layout: bpy.types.UILayout, text: str, icon: str) -> None:
    """A text that is translated already, wrapped to the width of the region that is drawn."""
    region, scale = bpy.context.region, bpy.context.preferences.system.ui_scale
    width = region.width / (_CHARACTER_PX * scale) if region else _WIDTH_PX / _CHARACTER_PX
    column = layout.column(align=True)
    for line in textwrap.wrap(text, max(_LEAST, int(width) - _MARGIN)):
        column.label(text=line, icon=icon)
        icon = "NONE" if icon == "NONE" else "BLANK1"
