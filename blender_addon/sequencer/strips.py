"""The take's sound strip in the scene's sequencer."""

from __future__ import annotations

from pathlib import Path

import bpy

from ...backend.sonic4d.protocol import Sonic4DError
from ..scene.paths import stored

# Custom property that marks our strips; its value is the name of the take.
TAKE_KEY = "sonic4d_take"
COLOR = "COLOR_05"
MAX_CHANNEL = 128
SAMPLE_RATE_HZ = 48000


def take_strips(scene: bpy.types.Scene) -> list[bpy.types.Strip]:
    """The sound strips that audio renders have put into the scene."""
    editor = scene.sequence_editor
    return [strip for strip in editor.strips if TAKE_KEY in strip] if editor else []


def span(strip: bpy.types.Strip) -> tuple[int, int]:
    """First frame of a strip, and the one after its last."""
    if hasattr(strip, "left_handle"):
        return strip.left_handle, strip.right_handle
    return strip.frame_final_start, strip.frame_final_end


def content_start(strip: bpy.types.Strip) -> int:
    """The frame at which a strip's sound begins, also where its handles hide the beginning."""
    return round(strip.content_start if hasattr(strip, "content_start") else strip.frame_start)


def place_take(scene: bpy.types.Scene, wav: Path, take: str, frame_start: int) -> bpy.types.Strip:
    """Put a take at `frame_start`, instead of the one that was there; volume and channel stay as they were.

    Playback is set to follow the audio, output to 48 kHz stereo. Raises `Sonic4DError` where no channel is free.
    """
    editor = scene.sequence_editor or scene.sequence_editor_create()
    old = take_strips(scene)
    # Only a strip that exists knows its length in frames, so it is made out of the way and then moved.
    strip = editor.strips.new_sound(
        name=take, filepath=stored(wav), channel=MAX_CHANNEL, frame_start=frame_start
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
    for previous in old:
        _remove(editor, previous)
    strip.channel = channel
    strip[TAKE_KEY] = take
    strip.color_tag = COLOR
    strip.show_waveform = True
    scene.sync_mode = "AUDIO_SYNC"
    scene.render.ffmpeg.audio_mixrate = SAMPLE_RATE_HZ
    scene.render.ffmpeg.audio_channels = "STEREO"
    _show_in_sequencers(scene)
    return strip


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


def _remove(editor: bpy.types.SequenceEditor, strip: bpy.types.Strip) -> None:
    """Remove a strip, and its sound where nothing else uses it. The file stays."""
    sound = strip.sound
    editor.strips.remove(strip)
    if sound and not sound.users:
        bpy.data.sounds.remove(sound)
