"""The finished shot: sound at the right sample, the settings as they were, nothing overwritten."""

from __future__ import annotations

import warnings
from pathlib import Path

import bpy
import numpy as np
import pytest
import sound
from sonic4d_extension.backend.sonic4d.protocol import Sonic4DError
from sonic4d_extension.blender_addon import export, tasks
from sonic4d_extension.blender_addon.sequencer import strips

# Samples that Blender writes at once.
CODEC_FRAME = {"pcm_s16le": 4096 if bpy.app.version < (5, 0, 0) else 1024, "aac": 1024}


def export_shot(scene: bpy.types.Scene, output: Path, **options: object) -> Path:
    return tasks.wait(export.export_shot(scene, tasks.Activity(), output, **options))


@pytest.fixture
def scene(tmp_path: Path) -> bpy.types.Scene:
    """A shot with a take, of a third of a second of stereo noise."""
    scene = sound.make_scene(tmp_path, sound.impulse(tmp_path / "i.wav"))
    strips.place_take(scene, sound.noise(tmp_path / "take.wav", 1 / 3), "take", 1)
    return scene


def settings(scene: bpy.types.Scene) -> list[object]:
    """Everything in the scene that an export might change."""
    owners = (
        scene,
        scene.render,
        scene.render.image_settings,
        scene.render.ffmpeg,
        scene.cycles,
    )
    muted = [strip.mute for strip in scene.sequence_editor.strips]
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        return muted + [
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
    assert strips.span(strip) == (frame_start, frame_start + 8)
    take = sound.read_audio(Path(bpy.path.abspath(strip.sound.filepath)))
    assert take.shape == (2, round(8 * fps_base / fps * sound.RATE_HZ))
    distance_m = np.hypot(5.0, scene.sonic4d.mic_spacing_m / 2)
    arrival = round(distance_m / sound.SPEED_OF_SOUND_M_S * sound.RATE_HZ)
    assert np.abs(take).argmax(axis=1).tolist() == [arrival, arrival]

    shot = export_shot(scene, tmp_path / "shot.mov", lossless=True)
    heard = sound.read_audio(shot)
    assert np.abs(heard).argmax(axis=1).tolist() == [arrival, arrival]
    assert np.abs(heard[:, : take.shape[1]] - take).max() < 2 / 32768
    about = sound.describe(shot)
    assert about[:2] == [rate, "8"]
    assert 0 <= heard.shape[1] - take.shape[1] < CODEC_FRAME[about[6]]


def test_the_standard_format_keeps_both_channels(tmp_path: Path) -> None:
    """Both ears' sound differs: left is noise, right is the same a little later."""
    scene = sound.make_scene(tmp_path, sound.noise(tmp_path / "n.wav", 1), place=(-2, 0, 0))
    assert bpy.ops.sonic4d.render_audio() == {"FINISHED"}
    take = sound.read_audio(Path(bpy.path.abspath(scene.sonic4d.take_path)))
    shot = export_shot(scene, tmp_path / "shot")
    assert shot == tmp_path / "shot.mp4"
    assert sound.describe(shot)[4:7] == ["48000", "2", "aac"]
    heard = sound.read_audio(shot)
    n = take.shape[1]
    assert 0 <= heard.shape[1] - n < CODEC_FRAME["aac"]
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
    before = settings(scene)
    handlers = len(bpy.app.handlers.render_write), len(bpy.app.handlers.render_cancel)
    export_shot(scene, tmp_path / "shot.mp4", picture=export.Picture((32, 32), samples=1))
    assert settings(scene) == before
    assert handlers == (len(bpy.app.handlers.render_write), len(bpy.app.handlers.render_cancel))


def test_all_settings_are_as_before_after_a_failure(
    scene: bpy.types.Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("Error: Could not open file\n")

    before = settings(scene)
    monkeypatch.setattr(export.bpy.ops, "render", type("render", (), {"render": fail}))
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


def test_sound_is_there_also_when_the_sequencers_pictures_are_not_wanted(
    scene: bpy.types.Scene, tmp_path: Path
) -> None:
    length = {"length": 8} if bpy.app.version >= (5, 0, 0) else {"frame_end": 9}
    title = scene.sequence_editor.strips.new_effect(
        name="Title", type="COLOR", channel=2, frame_start=1, **length
    )
    title.color = (1.0, 0.0, 0.0)
    scene.render.use_sequencer = False
    shot = export_shot(scene, tmp_path / "shot.mov", lossless=True)
    assert sound.describe(shot)[7:] == ["0", "0", "0"]  # the scene's black world, not the red title
    assert np.abs(sound.read_audio(shot)).max() > 0.3
    scene.render.use_sequencer = True
    edit = export_shot(scene, tmp_path / "edit.mov", lossless=True)
    assert int(sound.describe(edit)[7]) > 200


@pytest.mark.parametrize(
    ("name", "lossless", "hint"), [("a.mov", False, ".mp4"), ("a.mp4", True, ".mov")]
)
def test_other_suffixes_are_refused(
    scene: bpy.types.Scene, tmp_path: Path, name: str, lossless: bool, hint: str
) -> None:
    with pytest.raises(Sonic4DError) as error:
        export_shot(scene, tmp_path / name, lossless=lossless)
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
    scene.sonic4d.export.lossless = True
    assert bpy.ops.sonic4d.export_shot() == {"FINISHED"}
    assert (tmp_path / "shot.mov").is_file()
    with pytest.raises(RuntimeError, match="exists already"):
        bpy.ops.sonic4d.export_shot()
    assert bpy.ops.sonic4d.export_shot(overwrite=True) == {"FINISHED"}
