"""Render audio with the real worker: at the right sample, cancelled, and with the worker killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np
import pytest
import sound
from sonic4d_extension.backend.sonic4d.protocol import Sonic4DError
from sonic4d_extension.blender_addon import tasks
from sonic4d_extension.blender_addon.client.jobs import Client
from sonic4d_extension.blender_addon.client.process import WorkerProcess
from sonic4d_extension.blender_addon.operators.render_audio import render_audio
from sonic4d_extension.blender_addon.sequencer import strips

LONG = 3000  # frames: many seconds of work


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[WorkerProcess]:
    """Every worker that is started."""
    started: list[WorkerProcess] = []
    start = WorkerProcess.__init__

    def noted(self: WorkerProcess, python: Path) -> None:
        start(self, python)
        started.append(self)

    monkeypatch.setattr(WorkerProcess, "__init__", noted)
    return started


def takes(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "sonic4d_takes").iterdir())


def step_until(steps: tasks.Steps[Path], reached: Callable[[], bool]) -> None:
    """Move a task on until something is the case."""
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        next(steps)
        time.sleep(0.01)


def begin_long_take(folder: Path, activity: tasks.Activity) -> tasks.Steps[Path]:
    """A take that the worker is at work on, in a room."""
    scene = sound.make_scene(folder, sound.noise(folder / "n.wav", 60), frame_count=LONG)
    scene.sonic4d.room_kind, scene.sonic4d.rt60_s = "shoebox", 2.0
    steps = render_audio(scene, activity)
    step_until(steps, lambda: activity.message != tasks.STARTING)
    return steps


def test_a_source_on_the_right_is_louder_and_earlier_there(tmp_path: Path) -> None:
    scene = sound.make_scene(tmp_path, sound.impulse(tmp_path / "i.wav"), place=(1.0, 0.0, 0.0))
    bpy.ops.sonic4d.render_audio()
    left, right = sound.read_audio(Path(bpy.path.abspath(scene.sonic4d.take_path)))
    assert np.linalg.norm(right) > 1.1 * np.linalg.norm(left)
    assert np.abs(right).argmax() < np.abs(left).argmax() - 20


def test_every_render_is_a_new_take(tmp_path: Path) -> None:
    scene = sound.make_scene(tmp_path, sound.impulse(tmp_path / "i.wav"))
    bpy.ops.sonic4d.render_audio()
    first = tmp_path / "sonic4d_takes/Scene_take001/Scene_take001.wav"
    before = first.read_bytes()
    bpy.data.objects["Source"].location.z = -4
    bpy.ops.sonic4d.render_audio()
    [strip] = strips.take_strips(scene)
    assert strip.sound.filepath == "//sonic4d_takes/Scene_take002/Scene_take002.wav"
    assert takes(tmp_path) == ["Scene_take001", "Scene_take002"]
    assert first.read_bytes() == before


def test_the_worker_stays_for_the_next_take(tmp_path: Path, workers: list[WorkerProcess]) -> None:
    sound.make_scene(tmp_path, sound.impulse(tmp_path / "i.wav"))
    bpy.ops.sonic4d.render_audio()
    bpy.ops.sonic4d.render_audio()
    assert len(workers) == 1
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    assert not workers[0].running  # another file, another start


def test_without_a_source_a_sentence_says_so_and_nothing_is_left(tmp_path: Path) -> None:
    sound.make_scene(tmp_path, sound.impulse(tmp_path / "i.wav"))
    bpy.data.objects["Source"].sonic4d.is_source = False
    with pytest.raises(RuntimeError, match="no sound source"):
        bpy.ops.sonic4d.render_audio()
    assert takes(tmp_path) == []
    assert tasks.activity() is None


def test_a_missing_backend_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(sound.OVERRIDE, str(tmp_path / "python"))
    sound.make_scene(tmp_path, sound.impulse(tmp_path / "i.wav"))
    with pytest.raises(RuntimeError, match="is not a Python"):
        bpy.ops.sonic4d.render_audio()
    assert takes(tmp_path) == []


def test_a_killed_worker_is_told_and_the_next_take_gets_a_new_one(
    tmp_path: Path, workers: list[WorkerProcess]
) -> None:
    steps = begin_long_take(tmp_path, tasks.Activity())
    os.kill(workers[0].pid, signal.SIGKILL)
    with pytest.raises(Sonic4DError, match="killed by the signal SIGKILL") as failure:
        tasks.wait(steps)
    assert "Try again" in failure.value.hint
    scene = bpy.context.scene
    assert strips.take_strips(scene) == []
    assert takes(tmp_path) == []
    scene.frame_end = scene.frame_start + 7
    assert bpy.ops.sonic4d.render_audio() == {"FINISHED"}
    assert len(workers) == 2
    assert len(strips.take_strips(scene)) == 1


def test_a_cancelled_take_leaves_nothing(tmp_path: Path) -> None:
    activity = tasks.Activity()
    steps = begin_long_take(tmp_path, activity)
    activity.cancelled = True
    with pytest.raises(Sonic4DError) as end:
        tasks.wait(steps)
    assert end.value.code == "cancelled"
    assert takes(tmp_path) == []


def test_unregistering_ends_the_worker_in_the_middle_of_a_take(
    tmp_path: Path, workers: list[WorkerProcess]
) -> None:
    steps = begin_long_take(tmp_path, tasks.Activity())
    tasks.shut_down()
    assert not workers[0].running
    with pytest.raises(Sonic4DError):
        tasks.wait(steps)
    assert takes(tmp_path) == []


def test_a_job_that_nobody_waits_for_any_more_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped: list[bool] = []
    cancel = Client.cancel
    monkeypatch.setattr(
        Client, "cancel", lambda self, job: (dropped.append(not job.finished), cancel(self, job))
    )
    begin_long_take(tmp_path, tasks.Activity()).close()
    assert dropped == [True]
    assert takes(tmp_path) == []
