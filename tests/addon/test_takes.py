"""Takes: each its sound, strip and settings; one heard at a time; Speakers hushed while a take is there."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
import sound
from shots import add_camera, add_speaker
from sonic4d_extension.backend.sonic4d.protocol import Sonic4DError
from sonic4d_extension.blender_addon.sequencer import strips, take_list, timing


@pytest.fixture
def scene(tmp_path: Path) -> bpy.types.Scene:
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 10
    scene.render.fps, scene.render.fps_base = 24, 1.0
    scene.camera = add_camera()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    return scene


def wav(folder: Path, name: str, samples: int = 20000) -> Path:
    return sound.write_wav(folder / name, np.zeros(samples))


def fill(scene: bpy.types.Scene, path: Path, uid: str | None = None) -> bpy.types.PropertyGroup:
    take_list.fill_or_add(scene, uid, path, path.name)
    return take_list.active(scene)


def heard(scene: bpy.types.Scene) -> list[str]:
    return [strip.name for strip in strips.take_strips(scene) if not strip.mute]


def test_two_takes_one_is_heard(scene: bpy.types.Scene, tmp_path: Path) -> None:
    fill(scene, wav(tmp_path, "1.wav"))
    fill(scene, wav(tmp_path, "2.wav"))
    assert [take.name for take in scene.sonic4d.takes] == ["Take A", "Take B"]
    assert [strip.channel for strip in strips.take_strips(scene)] == [1, 2]
    assert heard(scene) == ["Take B"]
    assert scene.sonic4d.take_path == "//2.wav"
    scene.sonic4d.active_take = 0
    assert heard(scene) == ["Take A"]
    assert scene.sonic4d.take_path == "//1.wav"
    bpy.ops.sonic4d.compare_takes()
    assert heard(scene) == ["Take B"]
    bpy.ops.sonic4d.compare_takes()
    assert heard(scene) == ["Take A"]


def test_a_new_sound_of_a_take_keeps_place_and_trimming(
    scene: bpy.types.Scene, tmp_path: Path
) -> None:
    take = fill(scene, wav(tmp_path, "1.wav"))
    [strip] = strips.take_strips(scene)
    strip.channel, strip.volume, strip.name = 7, 0.5, "Mine"
    if hasattr(strip, "left_handle"):
        strip.left_handle = 4
    else:
        strip.frame_final_start = 4
    fill(scene, wav(tmp_path, "2.wav"), take.uid)
    [strip] = strips.take_strips(scene)
    assert strip.sound.filepath == "//2.wav"
    assert (timing.span(strip), strip.channel, strip.volume) == ((4, 11), 7, 0.5)
    assert [item.filepath for item in bpy.data.sounds] == ["//2.wav"]
    assert len(scene.sonic4d.takes) == 1


def test_another_frame_range_makes_another_strip(scene: bpy.types.Scene, tmp_path: Path) -> None:
    take = fill(scene, wav(tmp_path, "1.wav"))
    scene.frame_start, scene.frame_end = 3, 22
    fill(scene, wav(tmp_path, "2.wav", 40000), take.uid)
    [strip] = strips.take_strips(scene)
    assert timing.span(strip) == (3, 23)


def test_a_frame_rate_that_changes_afterwards_makes_another_strip(
    scene: bpy.types.Scene, tmp_path: Path
) -> None:
    take = fill(scene, wav(tmp_path, "1.wav"))
    scene.render.fps = 48
    fill(scene, wav(tmp_path, "2.wav", 10000), take.uid)
    [strip] = strips.take_strips(scene)
    assert timing.span(strip) == (1, 11)


def test_a_retimed_take_is_refused(
    scene: bpy.types.Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = fill(scene, wav(tmp_path, "1.wav"))
    monkeypatch.setattr(strips, "is_retimed", lambda strip: True)
    with pytest.raises(Sonic4DError, match="Take A is retimed"):
        fill(scene, wav(tmp_path, "2.wav"), take.uid)
    assert strips.take_strips(scene)[0].sound.filepath == "//1.wav"


def test_a_removed_take_goes_with_its_strip(scene: bpy.types.Scene, tmp_path: Path) -> None:
    fill(scene, wav(tmp_path, "1.wav"))
    fill(scene, wav(tmp_path, "2.wav"))
    assert bpy.ops.sonic4d.remove_take() == {"FINISHED"}
    assert heard(scene) == ["Take A"]
    bpy.ops.sonic4d.remove_take()
    assert strips.take_strips(scene) == []
    assert scene.sonic4d.take_path == ""
    assert not bpy.ops.sonic4d.remove_take.poll()
    assert (tmp_path / "1.wav").is_file()


def test_a_take_brings_its_settings_back(scene: bpy.types.Scene, tmp_path: Path) -> None:
    settings = scene.sonic4d
    settings.mode, settings.rt60_s, settings.walls.floor = "paper", 1.5, "marble"
    settings.room_size = (4, 5, 6)
    fill(scene, wav(tmp_path, "1.wav"))
    settings.mode, settings.rt60_s, settings.walls.floor = "hifi", 0.2, "grass"
    settings.room_size, settings.listener = (1, 1, 1), scene.camera
    assert bpy.ops.sonic4d.restore_take_settings() == {"FINISHED"}
    assert (settings.mode, settings.rt60_s, settings.walls.floor) == ("paper", 1.5, "marble")
    assert tuple(settings.room_size) == (4, 5, 6)
    assert settings.listener is None


def test_a_new_take_waits_for_its_sound(scene: bpy.types.Scene, tmp_path: Path) -> None:
    fill(scene, wav(tmp_path, "1.wav"))
    assert bpy.ops.sonic4d.add_take() == {"FINISHED"}
    take = take_list.active(scene)
    assert (take.name, take.filepath, heard(scene)) == ("Take B", "", [])
    fill(scene, wav(tmp_path, "2.wav"), take.uid)
    assert heard(scene) == ["Take B"]
    assert not bpy.ops.sonic4d.restore_take_settings.poll() or take.settings


def test_without_a_free_channel_no_take_is_left(scene: bpy.types.Scene, tmp_path: Path) -> None:
    editor = scene.sequence_editor_create()
    for channel in editor.channels:
        channel.lock = True
    with pytest.raises(Sonic4DError, match="no free channel"):
        fill(scene, wav(tmp_path, "1.wav"))
    assert len(scene.sonic4d.takes) == 0


def test_speakers_are_hushed_while_there_is_a_take(scene: bpy.types.Scene, tmp_path: Path) -> None:
    noise = sound.noise(tmp_path / "n.wav", 0.5)
    playing, muted = add_speaker(noise, name="Playing"), add_speaker(noise, name="Muted")
    muted.data.muted = True
    fill(scene, wav(tmp_path, "1.wav"))
    assert (playing.data.muted, muted.data.muted) == (True, True)
    fill(scene, wav(tmp_path, "2.wav"))
    bpy.ops.sonic4d.remove_take()
    assert playing.data.muted
    bpy.ops.sonic4d.remove_take()
    assert (playing.data.muted, muted.data.muted) == (False, True)


def test_a_moved_file_still_finds_its_takes(scene: bpy.types.Scene, tmp_path: Path) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "a.blend"))
    fill(bpy.context.scene, wav(folder, "1.wav"))
    bpy.ops.wm.save_mainfile()
    moved = tmp_path / "two"
    folder.rename(moved)
    bpy.ops.wm.open_mainfile(filepath=str(moved / "a.blend"))
    scene = bpy.context.scene
    take = take_list.active(scene)
    assert Path(bpy.path.abspath(take.filepath)) == moved / "1.wav"
    assert Path(bpy.path.abspath(strips.take_strips(scene)[0].sound.filepath)).is_file()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "elsewhere.blend"))
    assert take_list.active(bpy.context.scene).filepath == "//two/1.wav"
