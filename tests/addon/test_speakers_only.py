"""A scene with only Speakers and a camera: sound in space without any bundle."""

from __future__ import annotations

import math
from pathlib import Path

import bpy
import numpy as np
import pytest
import sound
from shots import add_camera, add_speaker
from sonic4d_extension.blender_addon.sequencer import strips

FRAMES = 48


@pytest.fixture
def passing(tmp_path: Path) -> bpy.types.Scene:
    """A Speaker of noise that passes in front of a camera that looks along +Y, from left to right in 2 s."""
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end, scene.render.fps = 1, FRAMES, 24
    scene.camera = add_camera()
    scene.camera.rotation_euler.x = math.radians(90)
    speaker = add_speaker(sound.noise(tmp_path / "n.wav", 2.0), name="Passing")
    for frame, x in ((1, -5.0), (FRAMES, 5.0)):
        speaker.location = (x, 3, 0)
        speaker.keyframe_insert("location", frame=frame)
    scene.sonic4d.room_kind = "free_field"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "shot.blend"))
    return scene


def level_difference_db(stereo: np.ndarray) -> np.ndarray:
    """Right against left, in eight parts of the shot."""
    parts = np.array_split(stereo, 8, axis=1)
    left, right = np.array([np.linalg.norm(part, axis=1) for part in parts]).T
    return 20 * np.log10(right / left)


def right_lead_ms(stereo: np.ndarray) -> np.ndarray:
    """By how much the right ear is earlier, in eight parts of the shot: where their correlation peaks."""
    found = []
    for left, right in np.array_split(stereo, 8, axis=1):
        size = 2 * len(left)
        spectrum = np.fft.rfft(left, size) * np.fft.rfft(right, size).conj()
        correlation = np.fft.irfft(spectrum / np.maximum(abs(spectrum), 1e-12))
        lags = np.concatenate([correlation[-48:], correlation[:49]])
        found.append((lags.argmax() - 48) / 48)
    return np.array(found)


def test_a_speaker_that_passes_moves_from_left_to_right(passing: bpy.types.Scene) -> None:
    assert bpy.ops.sonic4d.render_audio() == {"FINISHED"}
    heard = sound.read_audio(Path(bpy.path.abspath(passing.sonic4d.take_path)))
    assert heard.shape == (2, 96000)
    difference_db, lead_ms = level_difference_db(heard), right_lead_ms(heard)
    assert difference_db[0] < -3
    assert difference_db[-1] > 3
    assert lead_ms[0] < -0.3
    assert lead_ms[-1] > 0.3
    assert (np.diff(lead_ms) > -0.05).all()
    assert abs(lead_ms[3:5]).max() < 0.25


def test_blender_plays_the_take_and_not_the_speakers(
    passing: bpy.types.Scene, tmp_path: Path
) -> None:
    """What Blender mixes down is the take, sample by sample: nothing is heard twice."""
    bpy.ops.sonic4d.render_audio()
    heard = sound.read_audio(Path(bpy.path.abspath(passing.sonic4d.take_path)))
    mixed = tmp_path / "mixed.wav"
    bpy.ops.sound.mixdown(filepath=str(mixed), container="WAV", codec="PCM", format="F32")
    np.testing.assert_allclose(sound.read_audio(mixed)[:, :96000], heard, atol=1e-6)


def test_a_scene_strip_plays_the_take(passing: bpy.types.Scene, tmp_path: Path) -> None:
    """An edit made of shots: a scene used as a strip brings its take along, in time."""
    bpy.ops.sonic4d.render_audio()
    heard = sound.read_audio(Path(bpy.path.abspath(passing.sonic4d.take_path)))
    edit = bpy.data.scenes.new("Edit")
    edit.render.fps, edit.frame_start, edit.frame_end = 24, 1, 60
    strip = edit.sequence_editor_create().strips.new_scene(
        name="Shot", scene=passing, channel=1, frame_start=13
    )
    strip.scene_input = "SEQUENCER"
    bpy.context.window.scene = edit
    bpy.context.view_layer.update()
    mixed = tmp_path / "mixed.wav"
    bpy.ops.sound.mixdown(filepath=str(mixed), container="WAV", codec="PCM", format="F32")
    got = sound.read_audio(mixed)
    assert np.abs(got[:, :23000]).max() < 1e-4
    np.testing.assert_allclose(got[:, 24000:119000], heard[:, :95000], atol=1e-4)
    assert len(strips.take_strips(passing)) == 1
