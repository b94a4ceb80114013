"""Where things go wrong: no room on the disk, a backend of another version, a file that is not saved yet, no camera."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import bpy
import pytest
import sound
from shots import add_camera, add_speaker
from sonic4d_extension.backend.sonic4d.protocol import Sonic4DError
from sonic4d_extension.blender_addon import live, tasks
from sonic4d_extension.blender_addon.operators.render_audio import render_audio
from sonic4d_extension.blender_addon.scene import sound_files
from sonic4d_extension.blender_addon.sequencer import strips

# What a backend of a later version would say.
OTHER_VERSION = """#!/bin/sh
echo '{"v": 99, "id": null, "event": "hello", "sonic4d": "9", "pid": 1, "kinds": []}'
cat > /dev/null
"""


@pytest.fixture
def scene(tmp_path: Path) -> bpy.types.Scene:
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 6
    scene.camera = add_camera()
    add_speaker(sound.noise(tmp_path / "n.wav", 0.25), (2, 0, 0))
    scene.sonic4d.room_kind = "free_field"
    return scene


def save(folder: Path) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "a.blend"))


def test_a_full_disk_is_told_and_nothing_is_left(
    scene: bpy.types.Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "full"
    folder.mkdir()
    save(folder)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sound_files.os, "link", full)
    monkeypatch.setattr(shutil, "copy2", full)
    with pytest.raises(Sonic4DError, match="No space left on device") as failure:
        tasks.wait(render_audio(scene, tasks.Activity()))
    assert "Make room on the disk" in failure.value.hint
    assert list((folder / "sonic4d_takes").iterdir()) == []
    assert strips.take_strips(scene) == []
    assert len(scene.sonic4d.takes) == 0


def test_a_backend_of_another_version_is_told(
    scene: bpy.types.Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path)
    other = tmp_path / "python"
    other.write_text(OTHER_VERSION)
    other.chmod(0o755)
    monkeypatch.setenv(sound.OVERRIDE, str(other))
    with pytest.raises(RuntimeError, match=r"version 99.*Reinstall the backend"):
        bpy.ops.sonic4d.render_audio()
    scene.sonic4d.live_update = True
    while live.tick() is not None:
        pass
    assert "version 99" in live.problem(scene)
    assert strips.take_strips(scene) == []


def test_a_file_that_is_not_saved_keeps_its_takes_in_the_users_data(
    scene: bpy.types.Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLENDER_USER_DATAFILES", str(tmp_path / "user"))
    assert bpy.data.filepath == ""
    bpy.ops.sonic4d.render_audio()
    wav = Path(scene.sonic4d.take_path)
    assert wav.is_relative_to(tmp_path / "user")
    assert wav.is_file()
    save(tmp_path)
    assert Path(bpy.path.abspath(strips.take_strips(scene)[0].sound.filepath)).samefile(wav)


def test_without_any_camera_a_sentence_says_so(scene: bpy.types.Scene, tmp_path: Path) -> None:
    save(tmp_path)
    for camera in list(bpy.data.cameras):
        bpy.data.cameras.remove(camera)
    with pytest.raises(RuntimeError, match="nobody listens"):
        bpy.ops.sonic4d.render_audio()


def test_a_new_file_and_disabling_end_the_worker(
    scene: bpy.types.Scene, tmp_path: Path, addon: object
) -> None:
    save(tmp_path)
    bpy.ops.sonic4d.render_audio()
    worker = tasks._state.client._worker
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    assert not worker.running
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    bpy.ops.sonic4d.render_audio()
    worker = tasks._state.client._worker
    addon.unregister()
    assert not worker.running
    addon.register()
    assert bpy.ops.sonic4d.render_audio() == {"FINISHED"}
