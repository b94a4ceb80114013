"""Edit to hear, with the real worker: what an edit changes is rendered again, and nothing else happens."""

from __future__ import annotations

import time
from pathlib import Path

import bpy
import numpy as np
import pytest
import sound
from shots import add_camera, add_speaker
from sonic4d_extension.blender_addon import live, tasks
from sonic4d_extension.blender_addon.live import files
from sonic4d_extension.blender_addon.sequencer import strips, take_list


@pytest.fixture
def scene(tmp_path: Path) -> bpy.types.Scene:
    """A camera that hears a Speaker 3 m to its right, in the open."""
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 12
    scene.render.fps, scene.render.fps_base = 24, 1.0
    scene.camera = add_camera()
    add_speaker(sound.noise(tmp_path / "n.wav", 0.5), (3, 0, 0))
    scene.sonic4d.room_kind = "free_field"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    return scene


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a draft."""
    monkeypatch.setattr(live, "_SETTLED_S", 0.0)


def settle() -> None:
    """Let the add-on do what its timer would."""
    bpy.context.view_layer.update()
    deadline = time.monotonic() + 60
    while live.tick() is not None:
        assert time.monotonic() < deadline
        time.sleep(0.002)


def heard(scene: bpy.types.Scene) -> np.ndarray:
    [strip] = strips.take_strips(scene)
    return sound.read_audio(Path(bpy.path.abspath(strip.sound.filepath)))


def louder_right(scene: bpy.types.Scene) -> float:
    left, right = np.linalg.norm(heard(scene), axis=1)
    return float(right / left)


def test_an_edit_is_heard(scene: bpy.types.Scene) -> None:
    scene.sonic4d.live_update = True
    settle()
    assert take_list.active(scene).name == "Take A"
    assert live.status(scene) == live.CURRENT
    assert louder_right(scene) > 1.5
    bpy.data.objects["Speaker"].location.x = -3
    settle()
    assert louder_right(scene) < 0.7
    assert len(scene.sonic4d.takes) == 1


def test_settings_are_noticed(scene: bpy.types.Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blender tells nobody of an add-on's settings."""
    noted: list[bpy.types.Scene] = []
    monkeypatch.setattr(live, "note", noted.append)
    speaker = next(item for item in scene.objects if item.type == "SPEAKER")
    for owner, name, value in (
        (scene.sonic4d, "rt60_s", 0.7),
        (scene.sonic4d, "head_offset_m", (0, 0.1, 0)),
        (scene.sonic4d, "tail", True),
        (scene.sonic4d.walls, "floor", "water"),
        (speaker.sonic4d, "mute", True),
        (speaker.sonic4d, "directivity", "cardioid"),
    ):
        noted.clear()
        setattr(owner, name, value)
        assert scene in noted, name


def test_the_scenes_frame_rate_is_noticed(scene: bpy.types.Scene) -> None:
    """Blender tells of it as it tells of what reading a shot does itself; the last slice of which it tells nothing."""
    bpy.ops.sonic4d.render_audio()
    settle()
    time.sleep(live._OWN_S)
    scene.render.fps = 30
    settle()
    assert live.status(scene) == live.OUTDATED


def test_without_a_change_nothing_is_rendered(scene: bpy.types.Scene) -> None:
    scene.sonic4d.live_update = True
    settle()
    first = take_list.active(scene).filepath
    scene.camera.data.lens = 20
    bpy.data.objects["Speaker"].location.x = 3
    settle()
    assert take_list.active(scene).filepath == first


def test_off_the_take_is_said_to_be_out_of_date(scene: bpy.types.Scene) -> None:
    bpy.ops.sonic4d.render_audio()
    settle()
    assert live.status(scene) == live.CURRENT
    before = heard(scene)
    speaker = bpy.data.objects["Speaker"]
    speaker.location.x = -3
    settle()
    assert live.status(scene) == live.OUTDATED
    np.testing.assert_array_equal(heard(scene), before)
    speaker.location.x = 3
    settle()
    assert live.status(scene) == live.CURRENT


def test_what_is_rendered_live_is_what_is_rendered(scene: bpy.types.Scene) -> None:
    scene.sonic4d.live_update = True
    settle()
    bpy.data.objects["Speaker"].location.y = 2
    settle()
    edited = heard(scene)
    scene.sonic4d.live_update = False
    bpy.ops.sonic4d.render_audio()
    np.testing.assert_array_equal(heard(scene), edited)


def test_a_room_is_heard_as_a_draft_first(scene: bpy.types.Scene) -> None:
    scene.sonic4d.room_kind, scene.sonic4d.rt60_s = "shoebox", 0.2
    scene.sonic4d.live_update = True
    deadline = time.monotonic() + 60
    while not scene.sonic4d.takes:
        live.tick()
        assert time.monotonic() < deadline
    assert live.status(scene) == live.UPDATING
    draft = heard(scene)
    settle()
    assert live.status(scene) == live.CURRENT
    full = heard(scene)
    assert not np.array_equal(draft, full)
    bpy.ops.sonic4d.render_audio()
    np.testing.assert_array_equal(heard(scene), full)


def test_an_edit_while_rendering_drops_what_is_outdated(scene: bpy.types.Scene) -> None:
    scene.sonic4d.live_update = True
    deadline = time.monotonic() + 60
    while live.status(scene) != live.UPDATING:
        live.tick()
        assert time.monotonic() < deadline
    bpy.data.objects["Speaker"].location.x = -3
    settle()
    assert louder_right(scene) < 0.7
    assert len(strips.take_strips(scene)) == 1


def test_superseded_files_go_those_in_use_stay(
    scene: bpy.types.Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_KEPT", 2)
    scene.sonic4d.live_update = True
    settle()
    saved = Path(bpy.path.abspath(take_list.active(scene).filepath))
    bpy.ops.wm.save_mainfile()
    for x in (1, 2, 4, 5, 6):
        bpy.data.objects["Speaker"].location.x = x
        settle()
    present = sorted(path.name for path in saved.parent.glob("live_*.wav"))
    assert present == ["live_0001.wav", "live_0005.wav", "live_0006.wav"]
    assert not list(saved.parent.glob("live_0002*"))
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    assert sorted(path.name for path in saved.parent.glob("live_*.wav")) == ["live_0001.wav"]


def test_undo_brings_the_sound_back(scene: bpy.types.Scene) -> None:
    scene.sonic4d.live_update = True
    settle()
    bpy.ops.ed.undo_push(message="before")
    bpy.data.objects["Speaker"].location.x = -3
    settle()
    bpy.ops.ed.undo_push(message="after")
    bpy.ops.ed.undo()
    live.note(bpy.context.scene)
    settle()
    assert louder_right(bpy.context.scene) > 1.5


def test_what_is_missing_is_said_and_goes_away(scene: bpy.types.Scene) -> None:
    scene.sonic4d.live_update = True
    camera, scene.camera = scene.camera, None
    live.note(scene)
    settle()
    assert "no active camera" in live.problem(scene)
    scene.camera = camera
    live.note(scene)
    settle()
    assert live.problem(scene) == ""
    assert live.status(scene) == live.CURRENT


def test_a_task_goes_first(scene: bpy.types.Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.sonic4d.live_update = True
    monkeypatch.setattr(tasks, "activity", lambda: tasks.Activity())
    assert live.tick() > 0.1
    assert strips.take_strips(scene) == []
    monkeypatch.undo()
    settle()
    assert len(strips.take_strips(scene)) == 1


def test_each_scene_has_its_own_take(scene: bpy.types.Scene) -> None:
    for number in range(9):
        other = scene.copy()
        other.name = f"Shot {number}"
    for each in bpy.data.scenes:
        each.sonic4d.live_update = True
        settle()
    assert len(bpy.data.scenes) == 10
    for each in bpy.data.scenes:
        [strip] = strips.take_strips(each)
        assert live.status(each) == live.CURRENT
    assert len({take_list.active(each).filepath for each in bpy.data.scenes}) == 10


def test_nothing_stays_after_the_addon_is_disabled(scene: bpy.types.Scene, addon: object) -> None:
    scene.sonic4d.live_update = True
    live.tick()
    addon.unregister()
    handlers = bpy.app.handlers
    names = (
        "depsgraph_update_post",
        "undo_post",
        "redo_post",
        "save_post",
        "load_pre",
        "load_post",
    )
    left = [
        handler
        for name in names
        for handler in getattr(handlers, name)
        if handler.__module__.startswith("sonic4d_extension")
    ]
    assert left == []
    assert not live.busy()
    addon.register()
