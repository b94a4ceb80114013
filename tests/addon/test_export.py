"""The finished shot: sound at the right sample, the settings as they were, nothing overwritten."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import bpy
import numpy as np
import pytest
import sound
from sonic4d_extension.backend.sonic4d.protocol import Sonic4DError
from sonic4d_extension.blender_addon import tasks
from sonic4d_extension.blender_addon.export import picture, shot
from sonic4d_extension.blender_addon.export.settings import Options
from sonic4d_extension.blender_addon.sequencer import strips, timing

AAC_FRAME = 1024  # samples that are stored at once


def export_shot(scene: bpy.types.Scene, output: Path, **options: object) -> Path:
    """Returns the movie; nothing is left beside it."""
    movie = tasks.wait(shot.export_shot(scene, tasks.Activity(), Options(output, **options)))
    assert not list(output.parent.glob(".*"))
    return movie


@pytest.fixture
def scene(tmp_path: Path) -> bpy.types.Scene:
    """A shot with a take, of a third of a second of noise."""
    scene = sound.make_scene(tmp_path, sound.impulse(tmp_path / "i.wav"))
    strips.place_take(scene, sound.noise(tmp_path / "take.wav", 1 / 3), "1", "Take A", 1)
    return scene


def settings(scene: bpy.types.Scene) -> list[object]:
    """Everything in the scene that an export might change."""
    owners = (
        scene,
        scene.render,
        scene.render.image_settings,
        scene.render.ffmpeg,
        scene.cycles,
        scene.eevee,
    )
    cameras = [scene.camera, *[marker.camera for marker in scene.timeline_markers]]
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        return cameras + [
            (prop.identifier, getattr(owner, prop.identifier))
            for owner in owners
            for prop in owner.bl_rna.properties
            if prop.type in {"BOOLEAN", "INT", "FLOAT", "STRING", "ENUM"} and not prop.is_readonly
            if not getattr(prop, "is_array", False)
        ]


@pytest.mark.parametrize(
    ("fps", "fps_base", "frame_start", "rate"),
    [
        (24, 1.0, 1, "24"),
        (25, 1.0, 0, "25"),
        (24, 1.001, 101, "24000/1001"),
        (30, 1.001, 1, "30000/1001"),
    ],
)
def test_an_impulse_is_heard_when_its_distance_says_in_take_and_shot(
    tmp_path: Path, fps: int, fps_base: float, frame_start: int, rate: str
) -> None:
    scene = sound.make_scene(
        tmp_path,
        sound.impulse(tmp_path / "i.wav"),
        frame_start=frame_start,
        fps=fps,
        fps_base=fps_base,
        place=(0.0, 0.0, -5.0),
    )
    assert bpy.ops.sonic4d.render_audio() == {"FINISHED"}
    [strip] = strips.take_strips(scene)
    assert timing.span(strip) == (frame_start, frame_start + 8)
    take = sound.read_audio(Path(bpy.path.abspath(strip.sound.filepath)))
    assert take.shape == (2, round(8 * fps_base / fps * sound.RATE_HZ))
    distance_m = np.hypot(5.0, scene.sonic4d.mic_spacing_m / 2)
    arrival = round(distance_m / sound.SPEED_OF_SOUND_M_S * sound.RATE_HZ)
    assert np.abs(take).argmax(axis=1).tolist() == [arrival, arrival]

    movie = export_shot(scene, tmp_path / "shot", codec="PCM")
    assert movie.suffix == ".mov"
    assert np.array_equal(sound.read_audio(movie), take)
    assert sound.describe(movie)[:2] == [rate, "8"]


def test_the_standard_format_keeps_both_channels(tmp_path: Path) -> None:
    """Both ears' sound differs: left is noise, right is the same a little later."""
    scene = sound.make_scene(tmp_path, sound.noise(tmp_path / "n.wav", 1), place=(-2, 0, 0))
    assert bpy.ops.sonic4d.render_audio() == {"FINISHED"}
    take = sound.read_audio(Path(bpy.path.abspath(scene.sonic4d.take_path)))
    movie = export_shot(scene, tmp_path / "shot")
    assert movie == tmp_path / "shot.mp4"
    assert sound.describe(movie)[4:7] == ["48000", "2", "aac"]
    heard = sound.read_audio(movie)
    n = take.shape[1]
    assert 0 <= heard.shape[1] - n < AAC_FRAME
    for own, other in ((0, 1), (1, 0)):
        assert np.corrcoef(heard[own, :n], take[own])[0, 1] > 0.95
        assert abs(np.corrcoef(heard[own, :n], take[other])[0, 1]) < 0.5


def test_all_settings_are_as_before(scene: bpy.types.Scene, tmp_path: Path) -> None:
    scene.render.filepath = "//pictures/f_####"
    scene.render.image_settings.file_format = "OPEN_EXR"
    scene.render.image_settings.color_depth = "16"
    scene.render.ffmpeg.format = "WEBM"
    scene.render.ffmpeg.audio_codec = "OPUS"
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.render.resolution_x, scene.render.resolution_percentage = 1998, 33
    scene.render.use_sequencer = False
    scene.frame_step = 2
    other = bpy.data.objects.new("Other", bpy.data.cameras.new("Other"))
    scene.collection.objects.link(other)
    scene.timeline_markers.new("cut", frame=3).camera = scene.camera
    before = settings(scene)
    handlers = len(bpy.app.handlers.render_write), len(bpy.app.handlers.render_cancel)
    options = {"size": (32, 32), "engine": "CYCLES", "samples": 1, "camera": other}
    export_shot(scene, tmp_path / "shot.mp4", **options)
    assert settings(scene) == before
    assert handlers == (len(bpy.app.handlers.render_write), len(bpy.app.handlers.render_cancel))


def test_all_settings_are_as_before_after_a_failure(
    scene: bpy.types.Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("Error: Could not open file\n")

    before = settings(scene)
    monkeypatch.setattr(picture.bpy.ops, "render", type("render", (), {"render": fail}))
    with pytest.raises(Sonic4DError, match="could not render the shot: Could not open file"):
        export_shot(scene, tmp_path / "shot.mp4")
    assert settings(scene) == before
    assert list(tmp_path.glob("*shot.mp4*")) == []


def test_a_file_is_overwritten_only_when_told(scene: bpy.types.Scene, tmp_path: Path) -> None:
    movie = tmp_path / "shot.mp4"
    movie.write_bytes(b"dear")
    with pytest.raises(Sonic4DError, match="exists already"):
        export_shot(scene, movie)
    assert movie.read_bytes() == b"dear"
    export_shot(scene, movie, overwrite=True)
    assert sound.describe(movie)[1] == "8"


def test_names_that_mean_something_to_blender(scene: bpy.types.Scene, tmp_path: Path) -> None:
    folder = tmp_path / "take {1} ##"
    folder.mkdir()
    movie = export_shot(scene, folder / "shot ## {blend_name}.mp4")
    assert [path.name for path in folder.iterdir()] == ["shot ## {blend_name}.mp4"]
    assert sound.describe(movie)[1] == "8"


def test_odd_sizes_become_even(scene: bpy.types.Scene, tmp_path: Path) -> None:
    scene.render.resolution_x, scene.render.resolution_y = 67, 45
    scene.render.resolution_percentage = 50
    assert sound.describe(export_shot(scene, tmp_path / "shot.mp4"))[2:4] == ["32", "22"]


def test_the_sequencers_pictures_are_rendered_where_it_is_used(
    scene: bpy.types.Scene, tmp_path: Path
) -> None:
    length = {"length": 8} if bpy.app.version >= (5, 0, 0) else {"frame_end": 9}
    title = scene.sequence_editor.strips.new_effect(
        name="Title", type="COLOR", channel=2, frame_start=1, **length
    )
    title.color = (1.0, 0.0, 0.0)
    scene.render.use_sequencer = False
    movie = export_shot(scene, tmp_path / "shot")
    assert sound.describe(movie)[7:] == [
        "0",
        "0",
        "0",
    ]  # the scene's black world, not the red title
    assert np.abs(sound.read_audio(movie)).max() > 0.3
    scene.render.use_sequencer = True
    assert int(sound.describe(export_shot(scene, tmp_path / "edit"))[7]) > 200


def test_a_strip_that_was_moved_and_trimmed_is_heard_as_it_lies(
    scene: bpy.types.Scene, tmp_path: Path
) -> None:
    [strip] = strips.take_strips(scene)
    if hasattr(strip, "content_start"):
        strip.content_start, strip.left_handle, strip.right_handle = 3, 4, 6
    else:
        strip.frame_start, strip.frame_final_start, strip.frame_final_end = 3, 4, 6
    heard = sound.read_audio(export_shot(scene, tmp_path / "shot", codec="PCM"))
    take = sound.read_audio(tmp_path / "take.wav")
    frame = sound.RATE_HZ // 24
    assert heard.shape[1] == 8 * frame
    assert np.allclose(heard[0, 3 * frame : 5 * frame], take[0, frame : 3 * frame], atol=1e-6)
    assert not heard[:, : 3 * frame].any()
    assert not heard[:, 5 * frame :].any()


def test_other_strips_are_heard_in_the_mix_only(scene: bpy.types.Scene, tmp_path: Path) -> None:
    hum = np.full(16000, 0.25)
    scene.sequence_editor.strips.new_sound(
        name="hum",
        filepath=str(sound.write_wav(tmp_path / "hum.wav", hum)),
        channel=3,
        frame_start=1,
    )
    activity = tasks.Activity()
    tasks.wait(shot.export_shot(scene, activity, Options(tmp_path / "shot", codec="PCM")))
    assert activity.warnings == [
        "1 more sound strips are left out; choose the sequencer mix to hear them."
    ]
    alone = sound.read_audio(tmp_path / "shot.mov")
    mixed = sound.read_audio(export_shot(scene, tmp_path / "mix", codec="PCM", sound="MIX"))
    assert mixed.shape == alone.shape == (2, 16000)
    share = np.sqrt(0.5)  # of a mono strip in either channel, as Blender pans
    assert np.abs(mixed - share * (alone + 0.25))[:, 100:-100].max() < 1e-3


def test_a_rendered_picture_is_taken_as_it_is(scene: bpy.types.Scene, tmp_path: Path) -> None:
    """A movie, and a folder of pictures that Blender has rendered."""
    first = export_shot(scene, tmp_path / "first", size=(64, 48))
    second = export_shot(scene, tmp_path / "second", picture=first, codec="FLAC")
    assert sound.describe(second)[:7] == ["24", "8", "64", "48", "48000", "2", "flac"]
    scene.render.filepath = str(tmp_path / "frames" / "f_####")
    scene.render.image_settings.file_format = "PNG"
    scene.frame_end = 5
    bpy.ops.render.render(animation=True)
    third = export_shot(scene, tmp_path / "third", picture=tmp_path / "frames")
    assert sound.describe(third)[:4] == ["24", "5", "32", "32"]


def test_a_picture_outlives_what_fails_after_it(
    scene: bpy.types.Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> tasks.Steps[None]:
        raise Sonic4DError("disk_full", "The disk is full.", "Make room on it.")
        yield

    monkeypatch.setattr(tasks, "job", full)
    with pytest.raises(Sonic4DError, match="disk is full.*kept as shot_picture.mp4"):
        export_shot(scene, tmp_path / "shot")
    monkeypatch.undo()
    kept = tmp_path / "shot_picture.mp4"
    assert sound.describe(export_shot(scene, tmp_path / "shot", picture=kept))[1] == "8"


def test_loudness_and_files_beside_the_movie(tmp_path: Path) -> None:
    """All of them come from the take's own shot.json; the movie's sound is the WAV beside it, sample for sample."""
    scene = sound.make_scene(tmp_path, sound.noise(tmp_path / "n.wav", 1), frame_count=24)
    scene.sonic4d.mode = "hifi"
    assert bpy.ops.sonic4d.render_audio() == {"FINISHED"}
    [strip] = strips.take_strips(scene)
    take = sound.read_audio(Path(bpy.path.abspath(strip.sound.filepath)))
    options = {"lufs": -23.0, "codec": "PCM"}
    movie = export_shot(
        scene,
        tmp_path / "s",
        **options,
        sidecars=frozenset({"WAV", "STEMS", "AMBIX", "SURROUND", "IMMERSIVE"}),
    )
    beside = {path.name for path in tmp_path.glob("s.*")} - {movie.name}
    sounds = {"s.wav", "s.stem-Source.wav", "s.ambix3.wav", "s.5.1.wav", "s.7.1.4.wav"}
    assert {name for name in beside if name.endswith(".wav")} == sounds
    heard = sound.read_audio(movie)
    assert np.array_equal(heard, sound.read_audio(tmp_path / "s.wav"))
    gain = np.abs(heard).max() / np.abs(take).max()
    assert gain < 0.7
    assert np.allclose(heard, gain * take, atol=1e-5)
    report = json.loads((tmp_path / "s.7.1.4.report.json").read_text())
    assert len(report["channels"]) == 12
    with pytest.raises(Sonic4DError, match="s.ambix3.wav exists already"):
        export_shot(scene, tmp_path / "s", codec="AAC", sidecars=frozenset({"AMBIX"}))


@pytest.mark.parametrize(
    ("name", "codec", "hint"), [("a.mov", "AAC", ".mp4"), ("a.mp4", "PCM", ".mov")]
)
def test_other_suffixes_are_refused(
    scene: bpy.types.Scene, tmp_path: Path, name: str, codec: str, hint: str
) -> None:
    with pytest.raises(Sonic4DError) as error:
        export_shot(scene, tmp_path / name, codec=codec)
    assert error.value.hint.endswith(f"{hint}.")


def test_what_is_missing_is_told(scene: bpy.types.Scene, tmp_path: Path) -> None:
    with pytest.raises(Sonic4DError, match="There is no folder"):
        export_shot(scene, tmp_path / "nowhere" / "shot.mp4")
    camera, scene.camera = scene.camera, None
    with pytest.raises(Sonic4DError, match="no camera"):
        export_shot(scene, tmp_path / "shot.mp4")
    scene.camera = camera
    scene.sequence_editor.strips.remove(strips.take_strips(scene)[0])
    with pytest.raises(Sonic4DError, match="Render the audio first"):
        export_shot(scene, tmp_path / "shot.mp4")


def test_the_operator_writes_beside_the_file(scene: bpy.types.Scene, tmp_path: Path) -> None:
    scene.sonic4d.export.codec = "PCM"
    assert bpy.ops.sonic4d.export_shot() == {"FINISHED"}
    assert (tmp_path / "shot.mov").is_file()
    with pytest.raises(RuntimeError, match="exists already"):
        bpy.ops.sonic4d.export_shot()
    assert bpy.ops.sonic4d.export_shot(overwrite=True) == {"FINISHED"}


def test_what_the_operator_is_given_goes_before_the_scenes_settings(
    scene: bpy.types.Scene, tmp_path: Path
) -> None:
    scene.sonic4d.export.codec = "PCM"
    given = {"filepath": str(tmp_path / "a.mov"), "codec": "AAC", "size": "CUSTOM"}
    assert bpy.ops.sonic4d.export_shot(
        **given, custom_size=(48, 32), camera="Camera", engine="CYCLES", samples=1
    ) == {"FINISHED"}
    assert sound.describe(tmp_path / "a.mp4")[2:7] == ["48", "32", "48000", "2", "aac"]
    with pytest.raises(RuntimeError, match="no camera Nobody"):
        bpy.ops.sonic4d.export_shot(camera="Nobody")


def test_presets_are_shipped_and_kept(
    scene: bpy.types.Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = scene.sonic4d.export
    shipped = {
        path.stem: path
        for folder in bpy.utils.preset_paths("sonic4d/export")
        for path in Path(folder).glob("*.py")
    }
    assert {"Web", "Master", "Broadcast_EBU_R128"} <= set(shipped)
    menu = "SONIC4D_MT_export_presets"
    # Blender writes the chosen preset's name into the menu's label; the next test gets it back.
    monkeypatch.setattr(getattr(bpy.types, menu), "bl_label", getattr(bpy.types, menu).bl_label)
    apply = bpy.ops.script.execute_preset
    apply(filepath=str(shipped["Broadcast_EBU_R128"]), menu_idname=menu)
    assert (settings.codec, settings.level, settings.lufs) == ("PCM", "LOUDNESS", -23)
    (tmp_path / "presets").mkdir()
    monkeypatch.setattr(bpy.utils, "user_resource", lambda *_, **__: str(tmp_path / "presets"))
    settings.sidecars = {"WAV", "ADM"}
    assert bpy.ops.sonic4d.export_preset(name="mine") == {"FINISHED"}
    [mine] = (tmp_path / "presets").rglob("mine.py")
    settings.codec, settings.sidecars = "AAC", set()
    apply(filepath=str(mine), menu_idname=menu)
    assert (settings.codec, settings.sidecars) == ("PCM", {"WAV", "ADM"})


def test_a_file_that_is_not_saved_yet_is_told(scene: bpy.types.Scene) -> None:
    bpy.ops.wm.read_homefile(use_factory_startup=True)
    with pytest.raises(RuntimeError, match="not saved yet"):
        bpy.ops.sonic4d.export_shot()
    assert tasks.activity() is None
