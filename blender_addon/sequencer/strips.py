"""The sound strips of takes in a scene's sequencer."""

from __future__ import annotations

from pathlib import Path

import bpy

from ...backend.sonic4d.protocol import Sonic4DError
from ..scene.paths import stored
from .timing import is_retimed, span

# Custom property that marks our strips; its value is the identifier of the take.
TAKE_KEY = "sonic4d_take"
COLOR = "COLOR_05"
MAX_CHANNEL = 128
SAMPLE_RATE_HZ = 48000


def take_strips(scene: bpy.types.Scene, uid: str | None = None) -> list[bpy.types.Strip]:
    """The sound strips that audio renders have put into the scene: all, or those of one take."""
    editor = scene.sequence_editor
    strips = editor.strips_all if editor else ()
    found = [strip for strip in strips if strip.type == "SOUND" and TAKE_KEY in strip]
    return [strip for strip in found if uid in (None, strip[TAKE_KEY])]


def check_take_strips(scene: bpy.types.Scene, uid: str) -> None:
    """Raise a `Sonic4DError` where the strips of a take can't get a new sound."""
    for strip in take_strips(scene, uid):
        if is_retimed(strip):
            raise Sonic4DError(
                "retimed",
                f"The strip {strip.name} is retimed, so its sound would not follow the picture.",
                "Reset its retiming (Strip > Retiming > Reset).",
            )


def swap_sound(scene: bpy.types.Scene, uid: str, wav: Path) -> bool:
    """Give the strips of a take another sound of the same length: place, trimming and volume stay. False if there are
    none."""
    strips = take_strips(scene, uid)
    if not strips:
        return False
    sound = bpy.data.sounds.load(stored(wav))
    for strip in strips:
        old, strip.sound = strip.sound, sound
        _drop(old)
    return True


def place_take(
    scene: bpy.types.Scene, wav: Path, uid: str, name: str, frame_start: int
) -> bpy.types.Strip:
    """Put a take's sound at `frame_start`, instead of the one it had; volume and channel stay as they were.

    Playback is set to follow the audio, output to 48 kHz stereo. Raises `Sonic4DError` where no channel is free.
    """
    editor = scene.sequence_editor or scene.sequence_editor_create()
    old = take_strips(scene, uid)
    # Only a strip that exists knows its length in frames, so it is made out of the way and then moved.
    strip = editor.strips.new_sound(
        name=name, filepath=stored(wav), channel=MAX_CHANNEL, frame_start=frame_start
    )
    preferred = old[0].channel if old else 1
    channel = _free_channel(editor, strip, ignored=old, preferred=preferred)
    if channel is None:
        _remove(editor, strip)
        raise Sonic4DError(
            "no_channel",
            "The sequencer has no free channel for the take.",
            "Clear, unlock or unmute a channel.",
        )
    if old:
        strip.volume, strip.pan = old[0].volume, old[0].pan
    remove_take_strips(scene, uid)
    strip.channel = channel
    strip[TAKE_KEY] = uid
    strip.color_tag = COLOR
    strip.show_waveform = True
    scene.sync_mode = "AUDIO_SYNC"
    scene.render.ffmpeg.audio_mixrate = SAMPLE_RATE_HZ
    scene.render.ffmpeg.audio_channels = "STEREO"
    _show_in_sequencers(scene)
    return strip


def remove_take_strips(scene: bpy.types.Scene, uid: str) -> None:
    for strip in take_strips(scene, uid):
        meta = strip.parent_meta()
        _remove(meta or scene.sequence_editor, strip)


def _show_in_sequencers(scene: bpy.types.Scene) -> None:
    """From 5.0 on a workspace's sequencer shows the scene that was chosen for it; choose where nobody has."""
    for workspace in bpy.data.workspaces:
        if getattr(workspace, "sequencer_scene", scene) is None:
            workspace.sequencer_scene = scene


def _free_channel(
    editor: bpy.types.SequenceEditor,
    strip: bpy.types.Strip,
    ignored: list[bpy.types.Strip],
    preferred: int,
) -> int | None:
    """A channel where `strip` covers no other but the `ignored`: `preferred`, else the lowest; None if all are taken.

    Locked and muted channels are the user's: nothing is put there.
    """
    start, end = span(strip)
    closed = {n for n, channel in enumerate(editor.channels) if channel.lock or channel.mute}
    for other in editor.strips:
        first, after = span(other)
        if other != strip and other not in ignored and first < end and start < after:
            closed.add(other.channel)
    channels = (preferred, *range(1, MAX_CHANNEL + 1))
    return next((channel for channel in channels if channel not in closed), None)


def _remove(owner: bpy.types.SequenceEditor | bpy.types.MetaStrip, strip: bpy.types.Strip) -> None:
    """Remove a strip, and its sound where nothing else uses it. The file stays."""
    sound = strip.sound
    owner.strips.remove(strip)
    _drop(sound)


def _drop(sound: bpy.types.Sound | None) -> None:
    if sound and not sound.users:
        bpy.data.sounds.remove(sound)
