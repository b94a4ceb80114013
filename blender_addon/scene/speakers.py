"""Blender's own Speaker objects: how loud they are by the scene's distance model, and who plays them.

What a Speaker has in Blender, and what becomes of it: volume (also animated) and the distance model with reference,
attenuation, maximum and volume limits -> the level at each frame; pitch -> pitch; cone -> directivity; sound strips in its
NLA tracks -> when it starts. Blender's pan and Doppler are replaced by what the head hears.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

_NEAREST_M = 0.1  # the backend's direct sound gets no louder nearer than that
_MOST = 1e4


@dataclass(frozen=True)
class DistanceModel:
    """How a Speaker fades with the distance (OpenAL 1.1, 3.4): lengths in metres."""

    model: str
    reference_m: float
    attenuation: float
    farthest_m: float
    low: float
    high: float

    def gains(self, distance_m: np.ndarray) -> np.ndarray:
        """What is left of the level, at each distance."""
        model, _, clamped = self.model.partition("_")
        reference, rolloff = self.reference_m, self.attenuation
        distance = distance_m
        if clamped:
            distance = np.clip(distance, reference, max(self.farthest_m, reference))
        if model == "NONE":
            gains = np.ones_like(distance)
        elif model == "INVERSE":
            gains = _over(reference, reference + rolloff * (distance - reference))
        elif model == "LINEAR":
            reach = max(self.farthest_m - reference, 1e-6)
            gains = 1 - rolloff * (np.minimum(distance, self.farthest_m) - reference) / reach
        else:  # EXPONENT
            gains = _over(np.maximum(distance, 1e-6), reference) ** -rolloff
        return np.clip(gains, self.low, self.high)

    def envelope(self, distance_m: np.ndarray) -> np.ndarray:
        """Gains by which a sound that fades with 1 / distance, and is at its level at 1 m, fades as the Speaker does."""
        return np.minimum(self.gains(distance_m) * np.maximum(distance_m, _NEAREST_M), _MOST)


def _over(numerator: Any, denominator: Any) -> np.ndarray:
    return numerator / np.maximum(denominator, 1e-6)


def distance_model(
    scene: bpy.types.Scene, speaker: bpy.types.Speaker, metres_per_unit: float
) -> DistanceModel:
    return DistanceModel(
        scene.audio_distance_model,
        speaker.distance_reference * metres_per_unit,
        speaker.attenuation,
        speaker.distance_max * metres_per_unit,
        speaker.volume_min,
        speaker.volume_max,
    )


def cone(speaker: bpy.types.Speaker) -> Any:
    """The Speaker's cone as a directivity."""
    if speaker.cone_volume_outer == 1 or speaker.cone_angle_inner == 360:
        return "omni"
    return {
        "pattern": "cone",
        "inner_deg": speaker.cone_angle_inner,
        "outer_deg": max(speaker.cone_angle_inner, speaker.cone_angle_outer),
        "outer_gain": speaker.cone_volume_outer,
    }


def start_frames(item: bpy.types.Object) -> list[float]:
    """The frames at which Blender starts a Speaker's sound: those of its NLA sound strips.

    A Speaker that has none, as a script makes it, starts at the object's start frame.
    """
    tracks = item.animation_data.nla_tracks if item.animation_data else ()
    strips = [
        (strip, track.mute) for track in tracks for strip in track.strips if strip.type == "SOUND"
    ]
    if not strips:
        return [item.sonic4d.audio_frame]
    return [strip.frame_start for strip, muted in strips if not (muted or strip.mute)]


def is_heard(item: bpy.types.Object) -> bool:
    """Whether an object is a Speaker that sounds, or did until a take was rendered of it."""
    if item.type != "SPEAKER" or item.data.sound is None:
        return False
    return not item.data.muted or item.sonic4d.hushed


def hush(scene: bpy.types.Scene) -> None:
    """Mute the scene's Speakers, whose sound is in the take now: else everything would be heard twice."""
    for item in scene.objects:
        if is_heard(item) and not item.sonic4d.is_source and _is_ours(item) and not item.data.muted:
            item.data.muted = item.sonic4d.hushed = True


def unhush(scene: bpy.types.Scene) -> None:
    """Let Blender play the Speakers again that `hush` has muted."""
    for item in scene.objects:
        if item.type == "SPEAKER" and item.sonic4d.hushed and _is_ours(item):
            item.data.muted = item.sonic4d.hushed = False


def heard_twice(scene: bpy.types.Scene) -> list[str]:
    """What to tell of Speakers that Blender plays beside the take, as they can't be muted here."""
    names = [
        item.name
        for item in scene.objects
        if is_heard(item) and not item.sonic4d.is_source and not item.data.muted
    ]
    linked = "a linked Speaker can be muted in its own file only"
    return [f"Blender plays {', '.join(names)} beside the take: {linked}."] if names else []


def _is_ours(item: bpy.types.Object) -> bool:
    """Whether a Speaker isn't linked from another file, where it can't be muted."""
    return item.is_editable and item.data.is_editable
