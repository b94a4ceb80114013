"""Where things go wrong: no room on the disk, a backend of another version, a file that is not saved yet, no camera."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import bpy
import pytest
import sound
from shots import add_camera, add_speaker
from sonic4d_extension.backend.sonic4d.protocol import Sonic4DError
from sonic4d_extension.blender_addon import live, tasks
from sonic4d_extension.blender_addon.operators import render_audio as render_audio_module
from sonic4d_extension.blender_addon.operators.render_audio import render_audio
from sonic4d_extension.blender_addon.scene import sound_files
from sonic4d_extension.blender_addon.scene.paths import absolute
from sonic4d_extension.blender_addon.sequencer import strips, take_list

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


# What happens while a sound is rendered: each step of the task is a moment at which Blender's user may do anything.


def begin(scene: bpy.types.Scene, activity: tasks.Activity | None = None) -> tasks.Steps[Path]:
    """A render whose scene is read, and which the worker has."""
    activity = activity or tasks.Activity()
    steps = render_audio(scene, activity)
    client = None
    while client is None or not client.busy:
        next(steps)
        client = tasks._state.client
    return steps


def test_a_camera_may_be_renamed_or_deleted_once_it_is_read(
    scene: bpy.types.Scene, tmp_path: Path
) -> None:
    save(tmp_path)
    steps = begin(scene)
    scene.camera.name = "Another"
    bpy.data.objects.remove(scene.camera)
    assert tasks.wait(steps).is_file()
    assert len(strips.take_strips(scene)) == 1


def test_a_camera_deleted_while_it_is_read_is_told(
    scene: bpy.types.Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render_audio_module, "_SLICE_S", 0.0)
    save(tmp_path)
    steps = render_audio(scene, tasks.Activity())
    next(steps)
    bpy.data.objects.remove(scene.camera)
    with pytest.raises(Sonic4DError, match="removed meanwhile"):
        tasks.wait(steps)
    assert list((tmp_path / "sonic4d_takes").iterdir()) == []


def test_a_scene_deleted_meanwhile_is_told(scene: bpy.types.Scene, tmp_path: Path) -> None:
    other = scene.copy()
    save(tmp_path)
    steps = begin(other)
    bpy.data.scenes.remove(other)
    with pytest.raises(Sonic4DError, match="scene was removed"):
        tasks.wait(steps)
    assert list((tmp_path / "sonic4d_takes").iterdir()) == []


def test_a_take_deleted_meanwhile_comes_back_with_its_new_sound(
    scene: bpy.types.Scene, tmp_path: Path
) -> None:
    save(tmp_path)
    bpy.ops.sonic4d.render_audio()
    steps = begin(scene)
    bpy.ops.sonic4d.remove_take()
    assert strips.take_strips(scene) == []
    wav = tasks.wait(steps)
    [take] = scene.sonic4d.takes
    assert absolute(take.filepath) == wav
    assert absolute(strips.take_strips(scene)[0].sound.filepath) == wav


def test_undo_meanwhile(scene: bpy.types.Scene, tmp_path: Path) -> None:
    """Of a take that was added, and of an object that sounds: data-blocks go and come."""
    save(tmp_path)
    bpy.ops.ed.undo_push(message="Before")
    add_speaker(sound.noise(tmp_path / "m.wav", 0.1), name="Second")
    bpy.ops.sonic4d.add_take()
    bpy.ops.ed.undo_push(message="After")
    steps = begin(scene)
    bpy.ops.ed.undo()
    assert len(bpy.context.scene.sonic4d.takes) == 0
    wav = tasks.wait(steps)
    [take] = bpy.context.scene.sonic4d.takes
    assert absolute(take.filepath) == wav


def test_undo_during_a_live_render(scene: bpy.types.Scene, tmp_path: Path) -> None:
    save(tmp_path)
    scene.sonic4d.live_update = True
    settle()
    bpy.ops.ed.undo_push(message="Before")
    add_speaker(sound.noise(tmp_path / "m.wav", 0.1), (-1, 0, 0), name="Second")
    bpy.ops.ed.undo_push(message="After")
    live.note(scene)
    while live._state.rendering is None:
        live.tick()
    bpy.ops.ed.undo()
    settle()
    scene = bpy.context.scene
    assert live.status(scene) == live.CURRENT
    shot = json.loads(absolute(take_list.active(scene).filepath).with_suffix(".json").read_text())
    assert [source["name"] for source in shot["sources"]] == ["Speaker"]


def settle() -> None:
    deadline = time.monotonic() + 60
    while live.tick() is not None:
        assert time.monotonic() < deadline
        time.sleep(0.002)


def linked_scene_file(folder: Path) -> Path:
    """A .blend file beside its sounds, with a collection: a source, a Speaker and a camera, all animated."""
    folder.mkdir()
    collection = bpy.data.collections.new("Set")
    bpy.context.scene.collection.children.link(collection)
    source = bpy.data.objects.new("Engine", None)
    source.sonic4d.is_source = True
    source.sonic4d.audio_path = str(sound.noise(folder / "engine.wav", 0.25))
    speaker = add_speaker(sound.noise(folder / "radio.wav", 0.25), name="Radio")
    camera = add_camera("Set camera")
    for item in (speaker, camera):
        bpy.context.scene.collection.objects.unlink(item)
    for item in (source, speaker, camera):
        collection.objects.link(item)
    for frame in (1, 6):
        camera.location.x = frame
        camera.keyframe_insert("location", frame=frame)
    blend = folder / "set.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    return blend


def test_what_is_linked_from_a_library_sounds_and_listens(tmp_path: Path) -> None:
    """Its paths are relative to its own file."""
    blend = linked_scene_file(tmp_path / "library")
    with bpy.data.libraries.load(str(blend), link=True) as (_, into):
        into.collections = ["Set"]
    scene = bpy.context.scene
    scene.collection.children.link(bpy.data.collections["Set"])
    scene.frame_start, scene.frame_end = 1, 6
    scene.camera = bpy.data.objects["Set camera"]
    scene.sonic4d.room_kind = "free_field"
    (tmp_path / "shots").mkdir()
    save(tmp_path / "shots")
    activity = tasks.Activity()
    wav = tasks.wait(render_audio(scene, activity))
    shot = json.loads(wav.with_name("shot.json").read_text())
    assert [source["name"] for source in shot["sources"]] == ["Engine", "Radio"]
    assert [pose[0][3] for pose in shot["listener"]["poses"]][::5] == [1, 6]
    # Blender plays it as well, and nothing can be done about it in this file.
    assert any("Radio" in warning for warning in activity.warnings)


def test_a_linked_scene_is_told_to_be_edited_in_its_own_file(
    scene: bpy.types.Scene, tmp_path: Path
) -> None:
    scene.name = "Linked"
    save(tmp_path)
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    with bpy.data.libraries.load(str(tmp_path / "a.blend"), link=True) as (_, into):
        into.scenes = ["Linked"]
    with pytest.raises(Sonic4DError, match="linked from"):
        tasks.wait(render_audio(bpy.data.scenes["Linked"], tasks.Activity()))


def test_missing_sounds_are_told_by_who_makes_them(scene: bpy.types.Scene, tmp_path: Path) -> None:
    save(tmp_path)
    (tmp_path / "n.wav").unlink()
    with pytest.raises(RuntimeError, match=r"sound of Speaker is missing.*n\.wav"):
        bpy.ops.sonic4d.render_audio()
    bpy.data.objects["Speaker"].data.sound = None
    strip = scene.sequence_editor_create().strips.new_sound(
        name="Steps", filepath=str(sound.noise(tmp_path / "s.wav", 0.1)), channel=1, frame_start=1
    )
    strip.sonic4d_source = scene.camera
    (tmp_path / "s.wav").unlink()
    with pytest.raises(RuntimeError, match=r"sound of Steps is missing.*s\.wav"):
        bpy.ops.sonic4d.render_audio()
    assert list((tmp_path / "sonic4d_takes").iterdir()) == []


def test_no_room_for_a_packed_sound_is_told(
    scene: bpy.types.Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path)
    bpy.data.objects["Speaker"].data.sound.pack()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(RuntimeError, match=r"packed sound of Speaker can't be put.*No space left"):
        bpy.ops.sonic4d.render_audio()
    assert list((tmp_path / "sonic4d_takes").iterdir()) == []


def test_a_worker_killed_during_a_live_update_is_told_and_the_next_edit_is_heard(
    scene: bpy.types.Scene, tmp_path: Path
) -> None:
    save(tmp_path)
    scene.sonic4d.live_update = True
    settle()
    before = take_list.active(scene).filepath
    os.kill(tasks._state.client._worker.pid, signal.SIGSTOP)  # else it may be done first
    bpy.data.objects["Speaker"].location.x = -2
    bpy.context.view_layer.update()
    while not tasks._state.client.busy:
        live.tick()
    os.kill(tasks._state.client._worker.pid, signal.SIGKILL)
    settle()
    assert "SIGKILL" in live.problem(scene)
    assert live.status(scene) == live.OUTDATED
    assert take_list.active(scene).filepath == before
    bpy.data.objects["Speaker"].location.x = -3
    bpy.context.view_layer.update()
    settle()
    assert live.status(scene) == live.CURRENT
    assert live.problem(scene) == ""
    assert take_list.active(scene).filepath != before


# Quits, or is killed, as soon as the worker is at work on a long take.
QUITTING = """
import atexit, os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import bpy, extension, sound
extension.EXTENSION.register()
atexit.register(extension.EXTENSION.unregister)  # Blender disables all add-ons when it quits
from sonic4d_extension.blender_addon import tasks
from sonic4d_extension.blender_addon.operators.render_audio import render_audio
folder = Path(sys.argv[2])
scene = sound.make_scene(folder, sound.noise(folder / "n.wav", 60), frame_count=3000)
scene.sonic4d.room_kind, scene.sonic4d.rt60_s = "shoebox", 2.0
activity = tasks.Activity()
steps = render_audio(scene, activity)
while activity.message == tasks.STARTING:
    next(steps)
print(tasks._state.client._worker.pid, flush=True)
if sys.argv[3] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("how", ["quits", "killed"])
def test_no_worker_outlives_blender(how: str, tmp_path: Path) -> None:
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", QUITTING, here, str(tmp_path), how],
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    assert done.returncode == (0 if how == "quits" else -signal.SIGKILL)
    pid = int(done.stdout.split()[-1])
    deadline = time.monotonic() + 60
    while is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    """Whether there is such a process, other than one that has ended and nobody asked for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
