"""What sounds in a scene: objects, Speakers, strips; muted, soloed, looped, animated."""

from __future__ import annotations

import math
from pathlib import Path

import bpy
import numpy as np
import pytest
import sound
from shots import add_camera, add_speaker, read_shot, sources
from sonic4d_extension.backend.sonic4d.directivity import PATTERNS
from sonic4d_extension.backend.sonic4d.protocol import Sonic4DError
from sonic4d_extension.blender_addon import properties


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    return sound.noise(tmp_path / "noise.wav", 1.0)


@pytest.fixture
def scene() -> bpy.types.Scene:
    """A camera, 48 frames at 24 per second, and nothing that sounds."""
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 48
    scene.render.fps, scene.render.fps_base = 24, 1.0
    scene.camera = add_camera()
    return scene


def add_source(wav: Path, name: str = "Source") -> bpy.types.Object:
    item = bpy.data.objects.new(name, None)
    bpy.context.scene.collection.objects.link(item)
    item.sonic4d.is_source, item.sonic4d.audio_path = True, str(wav)
    return item


def add_strip(wav: Path, item: bpy.types.Object, frame: int = 1) -> bpy.types.Strip:
    editor = bpy.context.scene.sequence_editor_create()
    strip = editor.strips.new_sound(name="Steps", filepath=str(wav), channel=1, frame_start=frame)
    strip.sonic4d_source = item
    return strip


def trim(strip: bpy.types.Strip, first: int, after: int) -> None:
    if hasattr(strip, "left_handle"):
        strip.right_handle, strip.left_handle = after, first
    else:
        strip.frame_final_end, strip.frame_final_start = after, first


def test_the_patterns_are_those_of_the_backend() -> None:
    assert [name for name, *_ in properties.DIRECTIVITIES] == [*PATTERNS]


def test_a_source_has_level_loop_and_directivity(
    scene: bpy.types.Scene, wav: Path, tmp_path: Path
) -> None:
    item = add_source(wav)
    item.rotation_euler.x = math.radians(90)
    item.scale = (2, 3, 4)
    item.sonic4d.loop, item.sonic4d.directivity, item.sonic4d.gain_db = True, "cardioid", -6
    [source] = read_shot(tmp_path).sources
    assert (source.loop, source.directivity.pattern, source.gain_db) == (True, "cardioid", -6)
    half = math.sqrt(0.5)
    np.testing.assert_allclose(source.orientations, [[half, half, 0, 0]] * 48, atol=1e-6)
    item.sonic4d.directivity = "omni"
    assert read_shot(tmp_path).sources[0].orientations is None


def test_an_animated_level_is_an_envelope(
    scene: bpy.types.Scene, wav: Path, tmp_path: Path
) -> None:
    item = add_source(wav)
    for frame, gain_db in ((1, 0.0), (48, -20.0)):
        item.sonic4d.gain_db = gain_db
        item.keyframe_insert("sonic4d.gain_db", frame=frame)
    for layer in item.animation_data.action.layers:
        for curve in layer.strips[0].channelbags[0].fcurves:
            for point in curve.keyframe_points:
                point.interpolation = "LINEAR"
    [source] = read_shot(tmp_path).sources
    assert source.gain_db == 0
    np.testing.assert_allclose(source.envelope, 10 ** np.linspace(0, -1, 48), rtol=1e-4)


def test_muted_sources_are_left_out_and_soloed_ones_alone(
    scene: bpy.types.Scene, wav: Path, tmp_path: Path
) -> None:
    one, two = add_source(wav, "One"), add_source(wav, "Two")
    add_speaker(wav, name="Three")
    one.sonic4d.mute = True
    assert set(sources(tmp_path)) == {"Two", "Three"}
    one.sonic4d.mute, two.sonic4d.solo = False, True
    assert set(sources(tmp_path)) == {"Two"}
    two.sonic4d.solo = False
    for item in scene.objects:
        item.sonic4d.mute = True
    with pytest.raises(Sonic4DError, match="Every source of the scene is muted"):
        read_shot(tmp_path)


def test_a_speaker_is_taken_as_it_is(scene: bpy.types.Scene, wav: Path, tmp_path: Path) -> None:
    item = add_speaker(wav, (0, 3, 0))
    speaker = item.data
    speaker.volume, speaker.pitch, speaker.distance_reference = 0.5, 1.5, 2.0
    speaker.cone_angle_inner, speaker.cone_angle_outer = 60, 180
    speaker.cone_volume_outer = 0.25
    item.sonic4d.audio_frame = 13
    [source] = read_shot(tmp_path).sources
    # Blender plays it at 2 / 3 of its volume; one that fades as 1 / distance must be 3 times as loud.
    assert source.gain_db == pytest.approx(20 * math.log10(0.5 * 2), abs=1e-3)
    assert source.envelope is None
    assert (source.pitch, source.start_s) == (1.5, 0.5)
    cone = source.directivity
    assert (cone.pattern, cone.inner_deg, cone.outer_deg, cone.outer_gain) == (
        "cone",
        60,
        180,
        0.25,
    )
    np.testing.assert_array_equal(source.orientations, [[1, 0, 0, 0]] * 48)


@pytest.mark.parametrize("attenuation", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("model", ["NONE", "INVERSE_CLAMPED", "LINEAR_CLAMPED", "EXPONENT"])
def test_a_speaker_fades_as_blenders_distance_model_says(
    scene: bpy.types.Scene, wav: Path, tmp_path: Path, model: str, attenuation: float
) -> None:
    item = add_speaker(wav)
    for frame, x in ((1, 1.0), (48, 48.0)):
        item.location.x = x
        item.keyframe_insert("location", frame=frame)
    scene.audio_distance_model = model
    item.data.distance_reference, item.data.distance_max = 2.0, 30.0
    item.data.attenuation = attenuation
    [source] = read_shot(tmp_path).sources
    d = source.positions[:, 0]
    near = np.clip(d, 2, 30) if "CLAMPED" in model else d
    expected = {
        "NONE": np.ones(48),
        "INVERSE": 2 / (2 + attenuation * (near - 2)),
        "LINEAR": 1 - attenuation * (near - 2) / 28,
        "EXPONENT": (near / 2) ** -attenuation,
    }[model.partition("_")[0]]
    heard = 10 ** (source.gain_db / 20) * (1 if source.envelope is None else source.envelope) / d
    np.testing.assert_allclose(heard, np.clip(expected, 0, 1), rtol=1e-4, atol=1e-5)


def test_a_speakers_animated_volume_is_an_envelope(
    scene: bpy.types.Scene, wav: Path, tmp_path: Path
) -> None:
    item = add_speaker(wav, (0, 4, 0))
    for frame, volume in ((1, 0.0), (25, 1.0)):
        item.data.volume = volume
        item.data.keyframe_insert("volume", frame=frame)
    [source] = read_shot(tmp_path).sources
    assert source.envelope[0] == 0
    assert source.envelope[24] == pytest.approx(1, abs=1e-5)
    assert (np.diff(source.envelope[:25]) > 0).all()


def test_a_speakers_strips_say_when_it_starts(
    scene: bpy.types.Scene, wav: Path, tmp_path: Path
) -> None:
    scene.frame_set(7)
    bpy.ops.object.speaker_add(location=(1, 2, 3))
    item = bpy.context.object
    item.data.sound = bpy.data.sounds.load(str(wav))
    [source] = read_shot(tmp_path).sources
    assert source.start_s == pytest.approx(6 / 24)
    np.testing.assert_allclose(source.positions[0], (1, 2, 3))
    item.animation_data.nla_tracks[0].strips[0].mute = True
    with pytest.raises(Sonic4DError):
        read_shot(tmp_path)


def test_a_packed_sound_is_unpacked(scene: bpy.types.Scene, wav: Path, tmp_path: Path) -> None:
    item = add_speaker(wav)
    item.data.sound.pack()
    packed = wav.read_bytes()
    wav.unlink()
    folder = tmp_path / "take"
    [source] = read_shot(folder).sources
    assert (folder / source.audio).read_bytes() == packed


def test_a_strip_sounds_from_an_object(scene: bpy.types.Scene, wav: Path, tmp_path: Path) -> None:
    item = bpy.data.objects.new("Walker", None)
    item.location = (1, 2, 0)
    scene.collection.objects.link(item)
    item.sonic4d.gain_db, item.sonic4d.directivity = 3, "voice"
    strip = add_strip(wav, item, frame=11)
    trim(strip, 15, 21)
    strip.volume = 0.5
    [source] = read_shot(tmp_path).sources
    assert source.name == "Walker: Steps"
    assert source.start_s == pytest.approx(10 / 24)
    assert source.heard_s == pytest.approx((14 / 24, 20 / 24))
    assert source.gain_db == pytest.approx(3 + 20 * math.log10(0.5), abs=1e-3)
    assert source.directivity.pattern == "voice"
    np.testing.assert_allclose(source.positions, [[1, 2, 0]] * 48)


def test_a_strips_hard_trim_and_animated_volume(
    scene: bpy.types.Scene, wav: Path, tmp_path: Path
) -> None:
    strip = add_strip(wav, scene.camera, frame=11)
    name = (
        "content_trim_start" if hasattr(strip, "content_trim_start") else "animation_offset_start"
    )
    setattr(strip, name, 3)
    for frame, volume in ((1, 0.0), (48, 1.0)):
        strip.volume = volume
        strip.keyframe_insert("volume", frame=frame)
    [source] = read_shot(tmp_path).sources
    first = strip.content_start if hasattr(strip, "content_start") else strip.frame_start
    assert source.start_s == pytest.approx((first - 3 - 1) / 24)
    assert source.envelope[0] == 0
    assert source.envelope[-1] == pytest.approx(1, abs=1e-5)


def test_a_strip_in_a_meta_strip_is_cut_with_it(
    scene: bpy.types.Scene, wav: Path, tmp_path: Path
) -> None:
    strip = add_strip(wav, scene.camera, frame=1)
    meta = scene.sequence_editor.strips.new_meta(name="Meta", channel=2, frame_start=1)
    strip.move_to_meta(meta)
    trim(meta, 5, 13)
    [source] = read_shot(tmp_path).sources
    assert source.start_s == 0
    assert source.heard_s == pytest.approx((4 / 24, 12 / 24))


def test_an_object_can_have_a_sound_and_strips(
    scene: bpy.types.Scene, wav: Path, tmp_path: Path
) -> None:
    item = add_source(wav)
    add_strip(wav, item)
    assert set(sources(tmp_path)) == {"Source", "Source: Steps"}


def test_what_is_not_in_the_scene_does_not_sound(
    scene: bpy.types.Scene, wav: Path, tmp_path: Path
) -> None:
    add_source(wav)
    elsewhere = bpy.data.objects.new("Elsewhere", None)
    bpy.data.scenes.new("Other").collection.objects.link(elsewhere)
    add_strip(wav, elsewhere)
    assert set(sources(tmp_path)) == {"Source"}


def test_sounds_of_one_name_from_two_folders(
    scene: bpy.types.Scene, wav: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other" / wav.name
    other.parent.mkdir()
    sound.impulse(other)
    add_source(wav, "One")
    add_source(other, "Two")
    folder = tmp_path / "take"
    found = sources(folder)
    assert (folder / found["One"].audio).read_bytes() == wav.read_bytes()
    assert (folder / found["Two"].audio).read_bytes() == other.read_bytes()
