"""The takes of a scene: Take A, Take B, … each with its sound and the settings it was rendered with; one is heard."""

from __future__ import annotations

import json
import string
import uuid
from pathlib import Path
from typing import Any

import bpy

from ...backend.sonic4d.materials import WALLS
from ...backend.sonic4d.protocol import Sonic4DError
from ..scene import speakers
from ..scene.paths import stored
from ..scene.units import frame_rate
from . import strips

# What a take remembers of the scene's settings.
_REMEMBERED = (
    "mode",
    "segments",
    "segment_count",
    "mic_spacing_m",
    "normalize",
    "lufs",
    "true_peak_dbtp",
    "tail",
    "stems",
    "head_offset_m",
    "room_kind",
    "room_size",
    "rt60_s",
    "use_materials",
)
_POINTERS = ("listener", "room")


def active(scene: bpy.types.Scene) -> bpy.types.PropertyGroup | None:
    """The take that is heard."""
    settings = scene.sonic4d
    if 0 <= settings.active_take < len(settings.takes):
        return settings.takes[settings.active_take]
    return None


def find(scene: bpy.types.Scene, uid: str) -> bpy.types.PropertyGroup | None:
    return next((take for take in scene.sonic4d.takes if take.uid == uid), None)


def add(scene: bpy.types.Scene) -> bpy.types.PropertyGroup:
    """A new take without a sound; it becomes the active one."""
    settings = scene.sonic4d
    taken = {take.name for take in settings.takes}
    letters = string.ascii_uppercase
    names = (f"Take {first}{second}" for first in ("", *letters) for second in letters)
    take = settings.takes.add()
    take.uid = uuid.uuid4().hex
    take.name = next(name for name in names if name not in taken)
    settings.active_take = len(settings.takes) - 1
    return take


def check_fillable(scene: bpy.types.Scene, uid: str | None) -> None:
    """Raise a `Sonic4DError` where the take `uid`, or a new one where there is none, can't get a sound."""
    if not scene.is_editable:
        raise Sonic4DError(
            "linked",
            f"The scene {scene.name} is linked from another file, so it can't get a take here.",
            "Render its audio in that file.",
        )
    if uid:
        strips.check_take_strips(scene, uid)


def fill_or_add(scene: bpy.types.Scene, uid: str | None, wav: Path, fingerprint: str) -> None:
    """Give the take `uid` its sound, as rendered of the scene as it is now; a new one where there is no such take.

    Raises `Sonic4DError` where its strip has no place.
    """
    take = find(scene, uid or "")
    if take:
        _fill(scene, take, wav, fingerprint)
        return
    take = add(scene)
    try:
        _fill(scene, take, wav, fingerprint)
    except BaseException:
        remove(scene)
        raise


def _fill(
    scene: bpy.types.Scene, take: bpy.types.PropertyGroup, wav: Path, fingerprint: str
) -> None:
    check_fillable(scene, take.uid)
    shape = f"{scene.frame_start} {scene.frame_end} {frame_rate(scene)}"
    swapped = False
    if take.shape == shape and not scene.sonic4d.tail:
        swapped = strips.swap_sound(scene, take.uid, wav)
    if not swapped:
        strips.place_take(scene, wav, take.uid, take.name, scene.frame_start)
    take.shape, take.fingerprint = shape, fingerprint
    take.filepath = stored(wav)
    take.settings = json.dumps(_settings(scene))
    speakers.hush(scene)
    hear(scene)


def hear(scene: bpy.types.Scene) -> None:
    """Let the active take be heard, and no other one."""
    settings, take = scene.sonic4d, active(scene)
    uid = take.uid if take else ""
    if settings.heard_take != uid:
        settings.compared_take, settings.heard_take = settings.heard_take, uid
    for strip in strips.take_strips(scene):
        strip.mute = strip[strips.TAKE_KEY] != uid
    settings.take_path = take.filepath if take else ""


def compare(scene: bpy.types.Scene) -> None:
    """Hear the take that was heard before; without one, the next in the list."""
    settings = scene.sonic4d
    uids = [take.uid for take in settings.takes]
    if settings.compared_take in uids:
        settings.active_take = uids.index(settings.compared_take)
    else:
        settings.active_take = (settings.active_take + 1) % len(uids)


def remove(scene: bpy.types.Scene) -> None:
    """Remove the active take and its strips; its files stay. Without any take Blender plays the Speakers again."""
    settings, take = scene.sonic4d, active(scene)
    if take is None:
        return
    strips.remove_take_strips(scene, take.uid)
    settings.takes.remove(settings.active_take)
    settings.active_take = max(0, min(settings.active_take, len(settings.takes) - 1))
    hear(scene)
    if not settings.takes:
        speakers.unhush(scene)


def restore_settings(scene: bpy.types.Scene, take: bpy.types.PropertyGroup) -> None:
    """Set the scene's settings to those that a take was rendered with. What is gone since stays as it is."""
    settings = scene.sonic4d
    kept: dict[str, Any] = json.loads(take.settings)
    for name in _REMEMBERED:
        setattr(settings, name, kept[name])
    for wall in WALLS:
        setattr(settings.walls, wall, kept["walls"][wall])
    for name in _POINTERS:
        item = bpy.data.objects.get(kept[name])
        if item is not None or not kept[name]:
            setattr(settings, name, item)


def _settings(scene: bpy.types.Scene) -> dict[str, Any]:
    settings = scene.sonic4d
    found = {name: _plain(getattr(settings, name)) for name in _REMEMBERED}
    found["walls"] = {wall: getattr(settings.walls, wall) for wall in WALLS}
    for name in _POINTERS:
        item = getattr(settings, name)
        found[name] = item.name if item else ""
    return found


def _plain(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str)) else list(value)
