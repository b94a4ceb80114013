"""Frame rates stay exact although Blender keeps an integer and a 32-bit divisor."""

from __future__ import annotations

from fractions import Fraction

import bpy
import pytest
from sonic4d_extension.blender_addon.scene.units import frame_rate, set_frame_rate

RATES = ["24", "25", "30", "60", "24000/1001", "30000/1001", "60000/1001", "25/2", "2997/100", "1"]


@pytest.mark.parametrize("text", RATES)
def test_rate_comes_back_exactly(text: str) -> None:
    scene = bpy.context.scene
    set_frame_rate(scene, Fraction(text))
    assert frame_rate(scene) == Fraction(text)


@pytest.mark.parametrize(("fps", "text"), [(24, "24000/1001"), (30, "30000/1001")])
def test_blenders_presets_are_exact(fps: int, text: str) -> None:
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = fps, 1.001
    assert str(frame_rate(scene)) == text
