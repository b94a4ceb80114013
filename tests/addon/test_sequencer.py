"""Takes on disk and their strips: never over others, never overwriting."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
import sound
from sonic4d_extension.backend.sonic4d.protocol import Sonic4DError
from sonic4d_extension.blender_addon.sequencer import strips, takes, timing


@pytest.fixture
def scene(tmp_path: Path) -> bpy.types.Scene:
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = 24, 1.0
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    return scene


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    """Ten frames long."""
    return sound.write_wav(tmp_path / "take.wav", np.zeros(20000))


def add_user_strip(scene: bpy.types.Scene, wav: Path, channel: int, frame: int) -> bpy.types.Strip:
    editor = scene.sequence_editor_create()
    return editor.strips.new_sound(
        name="music", filepath=str(wav), channel=channel, frame_start=frame
    )


def test_a_take_lies_at_the_first_frame_in_the_lowest_channel(
    scene: bpy.types.Scene, wav: Path
) -> None:
    strip = strips.place_take(scene, wav, "1", "Take A", 101)
    assert timing.span(strip) == (101, 111)
    assert strip.channel == 1
    assert strip.name == "Take A"
    assert strip.sound.filepath == "//take.wav"
    assert scene.sync_mode == "AUDIO_SYNC"
    assert scene.render.ffmpeg.audio_mixrate == 48000
    assert scene.render.ffmpeg.audio_channels == "STEREO"


def test_a_take_covers_no_other_strip(scene: bpy.types.Scene, wav: Path) -> None:
    music = [add_user_strip(scene, wav, 1, 10), add_user_strip(scene, wav, 2, -8)]
    add_user_strip(scene, wav, 3, 11)  # begins where the take has just ended
    strip = strips.place_take(scene, wav, "1", "Take A", 1)
    assert strip.channel == 3
    assert [(other.channel, timing.span(other)) for other in music] == [(1, (10, 20)), (2, (-8, 2))]


def test_locked_and_muted_channels_are_left_alone(scene: bpy.types.Scene, wav: Path) -> None:
    editor = scene.sequence_editor_create()
    editor.channels[1].lock = True
    editor.channels[2].mute = True
    assert strips.place_take(scene, wav, "1", "Take A", 1).channel == 3


def test_a_new_take_replaces_the_old_one_where_it_was(
    scene: bpy.types.Scene, wav: Path, tmp_path: Path
) -> None:
    old = strips.place_take(scene, wav, "1", "Take A", 1)
    old.channel, old.volume = 5, 0.25
    second = sound.write_wav(tmp_path / "second.wav", np.zeros(20000))
    new = strips.place_take(scene, second, "1", "Take A", 1)
    assert strips.take_strips(scene) == [new]
    assert (new.channel, new.volume) == (5, 0.25)
    assert [entry.filepath for entry in bpy.data.sounds] == ["//second.wav"]
    assert wav.is_file()


def test_a_longer_take_moves_out_of_the_way_of_others(
    scene: bpy.types.Scene, wav: Path, tmp_path: Path
) -> None:
    strips.place_take(scene, wav, "1", "Take A", 1)
    music = add_user_strip(scene, wav, 1, 11)
    longer = sound.write_wav(tmp_path / "longer.wav", np.zeros(40000))
    assert strips.place_take(scene, longer, "1", "Take A", 1).channel == 2
    assert timing.span(music) == (11, 21)


def test_without_a_free_channel_the_old_take_stays(scene: bpy.types.Scene, wav: Path) -> None:
    old = strips.place_take(scene, wav, "1", "Take A", 1)
    for channel in range(1, strips.MAX_CHANNEL + 1):
        add_user_strip(scene, wav, channel, 50)
    with pytest.raises(Sonic4DError, match="no free channel"):
        strips.place_take(scene, wav, "1", "Take A", 50)
    assert strips.take_strips(scene) == [old]
    assert len(scene.sequence_editor.strips) == strips.MAX_CHANNEL + 1


def test_take_numbers_only_grow(scene: bpy.types.Scene, tmp_path: Path) -> None:
    first, second = takes.new_take("s010"), takes.new_take("s010")
    assert [first.name, second.name] == ["s010_take001", "s010_take002"]
    assert first.parent == tmp_path / "sonic4d_takes"
    first.rmdir()
    assert takes.new_take("s010").name == "s010_take003"
    assert takes.new_take("s01").name == "s01_take001"


def test_names_of_takes_suit_every_file_system(scene: bpy.types.Scene) -> None:
    assert takes.new_take("Über/alles: *#1*").name == "Über_alles_1_take001"
    assert takes.new_take("...").name == "shot_take001"


def test_takes_of_an_unsaved_file_go_to_the_users_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLENDER_USER_DATAFILES", str(tmp_path))
    assert takes.new_take("s010").parent == tmp_path / "sonic4d" / "sonic4d_takes"


def test_a_folder_that_cannot_be_written_is_told(scene: bpy.types.Scene, tmp_path: Path) -> None:
    (tmp_path / "sonic4d_takes").write_bytes(b"")  # in the folder's place
    with pytest.raises(Sonic4DError, match="No take can be stored"):
        takes.new_take("s010")
