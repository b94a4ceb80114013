"""Exact frame rates, and how long a Blender unit is."""

from __future__ import annotations

from fractions import Fraction

import bpy
import numpy as np


def frame_rate(scene: bpy.types.Scene) -> Fraction:
    """The exact frame rate: 24 / 1.001 is 24000/1001, though Blender keeps the divisor as a 32-bit float."""
    return scene.render.fps / _simplest(scene.render.fps_base)


def set_frame_rate(scene: bpy.types.Scene, rate: Fraction) -> None:
    """Set a rate so that `frame_rate` gives it back."""
    fps = max(1, round(rate))
    scene.render.fps = fps
    scene.render.fps_base = float(fps / rate)


def _simplest(value: float) -> Fraction:
    """The fraction with the smallest denominator that is `value` as a 32-bit float."""
    exact = Fraction(value)
    target = np.float32(value)
    for denominator in range(1, 10_000):
        fraction = exact.limit_denominator(denominator)
        if np.float32(float(fraction)) == target:
            return fraction
    return exact


def metres_per_unit(scene: bpy.types.Scene) -> float:
    """Length of a Blender unit, as set in the scene's units."""
    units = scene.unit_settings
    return 1.0 if units.system == "NONE" else units.scale_length
