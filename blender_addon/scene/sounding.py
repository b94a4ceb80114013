"""What sounds in a scene: objects with a sound of their own, Speakers, and objects that sequencer strips are bound to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ...backend.sonic4d.protocol import Sonic4DError
from ..sequencer import timing
from . import speakers
from .paths import absolute
from .sound_files import sound_file
from .units import frame_rate, metres_per_unit

OMNI = "omni"
_SILENT_DB = -200.0


@dataclass(frozen=True)
class Sounding:
    """One sound that an object makes: a source of shot.json without its way.

    `uid` is the object's `session_uid`. `volume` (n_frames,) or a number: linear, on top of what is sampled of the object.
    `distance`: how a Speaker fades; None for what fades as in nature.
    """

    uid: int
    name: str
    audio: Path
    start_s: float
    gain_db: float = 0.0
    loop: bool = False
    pitch: float = 1.0
    directivity: Any = OMNI
    heard_s: tuple[float, float] | None = None
    volume: Any = 1.0
    distance: speakers.DistanceModel | None = None


def sounding(scene: bpy.types.Scene) -> list[Sounding]:
    """All that is to be heard in the scene, solo and mute considered. Raises `Sonic4DError` where that is nothing, or a
    sound is missing."""
    items = source_objects(scene)
    if not items:
        raise Sonic4DError(
            "no_sources",
            "The scene has no sound source.",
            "Import a scene bundle, add a source, or add a Speaker with a sound.",
        )
    audible = [item for item in items if is_audible(item, items)]
    found = [sound for item in audible for sound in _sounds_of(scene, item)]
    if not found:
        raise Sonic4DError(
            "no_sources", "Every source of the scene is muted.", "Unmute one in the Sources panel."
        )
    return found


def source_objects(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """The scene's objects that make a sound, muted ones too, in the order of their names."""
    bound = {strip.sonic4d_source for strip in timing.bound_strips(scene)}
    found = [item for item in scene.objects if is_source(item) or item in bound]
    return sorted(found, key=lambda item: item.name_full)


def is_source(item: bpy.types.Object) -> bool:
    """Whether an object makes a sound without any strip."""
    return item.sonic4d.is_source or speakers.is_heard(item)


def is_audible(item: bpy.types.Object, all_sources: Sequence[bpy.types.Object]) -> bool:
    """Not muted; and soloed, if any source is."""
    if any(other.sonic4d.solo for other in all_sources):
        return item.sonic4d.solo
    return not item.sonic4d.mute


def _sounds_of(scene: bpy.types.Scene, item: bpy.types.Object) -> Iterator[Sounding]:
    strips = [strip for strip in timing.bound_strips(scene) if strip.sonic4d_source == item]
    settings = item.sonic4d
    if settings.is_source and (settings.audio_path or not strips):
        yield _own_sound(scene, item)
    elif speakers.is_heard(item):
        yield from _speaker_sounds(scene, item)
    for strip in strips:
        yield _strip_sound(scene, item, strip)


def _own_sound(scene: bpy.types.Scene, item: bpy.types.Object) -> Sounding:
    settings = item.sonic4d
    path = absolute(settings.audio_path, item.library)
    if not settings.audio_path or not path.is_file():
        missing = f"The sound of {item.name} is missing: {path}."
        raise Sonic4DError(
            "no_audio",
            missing if settings.audio_path else f"{item.name} has no sound.",
            "Choose its sound in the Sources panel, or remove it from the sources.",
        )
    return Sounding(
        item.session_uid,
        item.name,
        path,
        _seconds(scene, settings.audio_frame),
        loop=settings.loop,
        directivity=settings.directivity,
    )


def _speaker_sounds(scene: bpy.types.Scene, item: bpy.types.Object) -> Iterator[Sounding]:
    speaker = item.data
    path = sound_file(speaker.sound, item.name)
    for number, frame in enumerate(speakers.start_frames(item), 1):
        yield Sounding(
            item.session_uid,
            item.name if number == 1 else f"{item.name} {number}",
            path,
            _seconds(scene, frame),
            gain_db=item.sonic4d.gain_db,
            loop=item.sonic4d.loop,
            pitch=min(max(speaker.pitch, 0.1), 10.0),
            directivity=speakers.cone(speaker),
            distance=speakers.distance_model(scene, speaker, metres_per_unit(scene)),
        )


def _strip_sound(
    scene: bpy.types.Scene, item: bpy.types.Object, strip: bpy.types.Strip
) -> Sounding:
    if timing.is_retimed(strip):
        raise Sonic4DError(
            "retimed",
            f"The strip {strip.name} of {item.name} is retimed, which its sound in space can't follow.",
            "Reset its retiming, or use a sound file of the wanted speed.",
        )
    start, first, after = timing.content(scene, strip)
    return Sounding(
        item.session_uid,
        f"{item.name}: {strip.name}",
        sound_file(strip.sound, strip.name),
        _seconds(scene, start) + strip.sound_offset,
        directivity=item.sonic4d.directivity if item.type != "SPEAKER" else OMNI,
        heard_s=(_seconds(scene, first), _seconds(scene, after)),
        volume=timing.volumes(scene, strip),
    )


def _seconds(scene: bpy.types.Scene, frame: float) -> float:
    """From the shot's start to a frame."""
    return float((Fraction(frame) - scene.frame_start) / frame_rate(scene))


def gains(
    sound: Sounding, levels: np.ndarray, is_speaker: bool, distance_m: np.ndarray
) -> tuple[float, list[float] | None]:
    """The constant gain of a sound in decibels, and its envelope (n_frames,) where it changes.

    levels: as sampled; distance_m: from the listener, both (n_frames,).
    """
    if is_speaker:
        linear = levels.copy() if sound.distance is not None else np.ones_like(levels)
        steady_db = sound.gain_db
    elif np.ptp(levels) < 1e-6:
        linear, steady_db = np.ones_like(levels), sound.gain_db + float(levels[0])
    else:
        linear, steady_db = 10 ** (levels / 20), sound.gain_db
    linear = linear * sound.volume
    if sound.distance is not None:
        linear = linear * sound.distance.envelope(distance_m)
    steady = float(linear[0])
    if np.ptp(linear) > 1e-6 * max(steady, 1e-6):
        return round(steady_db, 4), np.minimum(linear, 1e4).round(6).tolist()
    if steady <= 0:
        return _SILENT_DB, None
    return round(max(steady_db + 20 * math.log10(steady), _SILENT_DB), 4), None
