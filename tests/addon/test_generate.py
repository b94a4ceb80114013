"""Generate from a video, in the worker, and import the result."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import bpy
import pytest
import sound
from sonic4d_extension.backend.sonic4d.protocol import Sonic4DError
from sonic4d_extension.blender_addon import tasks, times
from sonic4d_extension.blender_addon.client.jobs import Job
from sonic4d_extension.blender_addon.field_names import in_fields
from sonic4d_extension.blender_addon.operators import enhance_shot, generate


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "a.blend"))
    return folder


def test_what_is_no_video_is_told_and_nothing_is_left(saved: Path) -> None:
    clip = sound.noise(saved / "clip.mp4", 0.1)
    with pytest.raises(RuntimeError, match="clip.mp4"):
        bpy.ops.sonic4d.generate(filepath=str(clip))
    assert sorted(path.name for path in saved.iterdir()) == ["a.blend", "clip.mp4"]
    assert bpy.context.scene.sonic4d.bundle is None


def test_the_scene_goes_beside_the_file_and_is_imported(
    saved: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker's part is replaced: it takes long and has its own tests."""
    asked: list[dict[str, Any]] = []

    def job(request: dict[str, Any], _activity: tasks.Activity) -> tasks.Steps[Job]:
        asked.append(request)
        shutil.copytree(bundle, request["output"])
        yield
        return Job(1, request, "done", results=[Path(request["output"])])

    monkeypatch.setattr(tasks, "job", job)
    (saved / "my_clip.sonic4d").mkdir()  # of an earlier video
    video = str(saved / "my clip.mp4")
    assert bpy.ops.sonic4d.generate(filepath=video, sound_source="bird", point="3,4@1") == {
        "FINISHED"
    }
    output = saved / "my_clip_2.sonic4d"
    assert asked == [
        {
            "kind": "generate",
            "video": video,
            "output": str(output),
            "sound_source": "bird",
            "point": "3,4@1",
        }
    ]
    root = bpy.context.scene.sonic4d.bundle
    assert root.sonic4d.bundle_path == "//my_clip_2.sonic4d"


def test_how_long_it_took_tells_how_long_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setattr(times, "_read", {})
    assert times.seconds_a_frame("geometric") is None
    times.remember("geometric", 30.0, 60)
    times.remember("auto", 9.0, 3)
    monkeypatch.setattr(times, "_read", {})  # as in the next Blender
    assert times.seconds_a_frame("geometric") == 0.5
    assert times.seconds_a_frame("auto") == 3.0
    monkeypatch.setattr(times, "_read", {})
    [file] = tmp_path.rglob("times.json")
    file.write_text("[1")
    assert times.seconds_a_frame("geometric") is None


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "Choose the part with --start and --duration, or raise --max-frames.",
            "Choose the part with “Begin” and “Length”, or raise “Most frames”.",
        ),
        (
            "Show it with --point X,Y@FRAME or --box X0,Y0,X1,Y1@FRAME.",
            "Show it with “Point”.",
        ),
        ("Use --depth geometric, or --depth PATH.", "Use “Depth” geometric, or “Depth”."),
        ("Give --audio mmaudio with it.", "Give “Sound” mmaudio with it."),
        ("--audio-view source is for sounds", "“Made for” source is for sounds"),
        ("run: sonic4d models download x --accept-licence", None),
    ],
)
def test_options_are_told_by_the_names_of_fields(said: str, shown: str | None) -> None:
    assert in_fields(said) == (shown or said)


def test_what_the_worker_can_not_do_is_told_by_the_names_of_fields(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def job(_request: dict[str, Any], _activity: tasks.Activity) -> tasks.Steps[Job]:
        yield
        raise Sonic4DError("too_large", "Too much.", "Give a smaller --height.")

    monkeypatch.setattr(tasks, "job", job)
    with pytest.raises(RuntimeError, match="smaller “Detail”"):
        bpy.ops.sonic4d.generate(filepath=str(saved / "clip.mp4"))


def test_what_is_asked_of_a_model_that_makes_sound(saved: Path) -> None:
    settings = bpy.context.scene.sonic4d.generate
    settings.audio, settings.audio_negative_prompt = "mmaudio", "music"
    assert generate.options_of(bpy.context.scene, {"audio_view": "source"}) == {
        "audio": "mmaudio",
        "audio_negative_prompt": "music",
        "audio_view": "source",
    }


def test_models_in_folders_of_the_users_own(saved: Path) -> None:
    scene = bpy.context.scene
    scene.sonic4d.generate.depth = "depth-anything"
    scene.sonic4d.generate.depth_folder = "//models/depth"
    given = {"grounding_folder": "/models/dino"}
    assert generate.options_of(scene, given) == {
        "depth": "depth-anything",
        "model": [f"depth={saved / 'models' / 'depth'}", "grounding=/models/dino"],
    }
    scene.sonic4d.enhance.folder = "//models/wan"
    assert enhance_shot.options_of(scene, {}) == {
        "model": [f"novel_view={saved / 'models' / 'wan'}"]
    }


def test_the_panel_looks_for_what_was_interrupted_once(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not while it is drawn, and again when a generation has ended."""
    looked: list[Path] = []
    monkeypatch.setattr(generate, "is_unfinished", lambda video: looked.append(video) or True)
    clip = sound.noise(saved / "clip.mp4", 0.1)
    assert not generate.goes_on(clip)
    assert looked == []
    assert bpy.app.timers.is_registered(generate.look_up)
    bpy.app.timers.unregister(generate.look_up)
    generate.look_up()
    assert all(generate.goes_on(clip) for _ in range(3))
    assert looked == [clip]
    with pytest.raises(RuntimeError, match="clip.mp4"):
        bpy.ops.sonic4d.generate(filepath=str(clip))
    monkeypatch.setattr(generate, "is_unfinished", lambda video: False)
    assert not generate.goes_on(clip)
    assert bpy.app.timers.is_registered(generate.look_up)
    generate.unregister()  # leaves no timer behind
    assert not bpy.app.timers.is_registered(generate.look_up)
    generate.register()
    generate.look_up()
    assert not generate.goes_on(clip)
