"""Enhance shot: what the backend is told of camera, lens and time, and its movie as the picture of the export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bpy
import evaluated
import make_bundle
import numpy as np
import pytest
import sound
from mathutils import Matrix
from sonic4d_extension.backend.sonic4d.protocol import Sonic4DError
from sonic4d_extension.blender_addon import compat, tasks
from sonic4d_extension.blender_addon.client.jobs import Job
from sonic4d_extension.blender_addon.operators.enhance_shot import enhance_shot
from sonic4d_extension.blender_addon.scene import point_cloud
from sonic4d_extension.blender_addon.scene.view import view_of

COUNT = len(make_bundle.COUNTS)


@pytest.fixture
def saved(tmp_path: Path, bundle: Path) -> Path:
    """The bundle imported into a saved file."""
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    assert bpy.ops.sonic4d.import_bundle(filepath=str(bundle)) == {"FINISHED"}
    return tmp_path


def told(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    return view_of(bpy.context.scene, folder)


def pictures(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "sonic4d_takes").glob("*_view*"))


def test_the_source_camera_is_what_the_bundle_says(saved: Path) -> None:
    shot, view = told(saved)
    assert view["bundle"] == str(saved / "my {scene} 1.sonic4d")
    assert view["shown"] == [*range(COUNT)]
    assert view["lens"] == pytest.approx(make_bundle.INTRINSICS, abs=1e-3)
    assert np.allclose(shot["listener"]["poses"], make_bundle.NORTH, atol=1e-6)
    assert len(shot["listener"]["poses"]) == COUNT


def test_the_camera_is_told_in_the_bundles_coordinates(saved: Path) -> None:
    """However the scene is moved, turned and scaled."""
    scene = bpy.context.scene
    root = scene.sonic4d.bundle
    bpy.ops.sonic4d.make_shot_camera()
    scene.camera.location.x = 0.5
    before, _ = told(saved)
    root.matrix_world = Matrix.Translation((3, -2, 1)) @ Matrix.Rotation(0.7, 4, "Z")
    root.sonic4d.scene_scale = 2.5
    after, view = told(saved)
    assert np.allclose(after["listener"]["poses"], before["listener"]["poses"], atol=1e-5)
    assert before["listener"]["poses"][0][0][3] == pytest.approx(0.5, abs=1e-5)
    assert view["lens"] == pytest.approx(make_bundle.INTRINSICS, abs=1e-3)


def test_the_lens_follows_the_render_settings(saved: Path) -> None:
    scene = bpy.context.scene
    scene.render.resolution_percentage = 50
    _, view = told(saved)
    half = {key: value / 2 for key, value in make_bundle.INTRINSICS.items()}
    assert view["lens"] == pytest.approx(half, abs=1e-3)


@pytest.mark.parametrize(
    ("speed", "offset", "shown"),
    [
        (1.0, 0.0, [0, 0, 1, 2, 3, 3, 3]),
        (0.5, 1.0, [0, 0, 0, 0, 1, 1, 2]),
        (-1.0, 4.0, [3, 3, 3, 2, 1, 0, 0]),
    ],
)
def test_the_clips_time_is_that_of_the_cloud(
    saved: Path, speed: float, offset: float, shown: list[int]
) -> None:
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 0, 6
    cloud = evaluated.child(scene.sonic4d.bundle, "cloud")
    modifier = point_cloud.cloud_modifier(cloud)
    compat.set_modifier_input(modifier, point_cloud.SPEED, speed)
    compat.set_modifier_input(modifier, point_cloud.TIME_OFFSET, offset)
    assert told(saved)[1]["shown"] == shown
    for frame, index in enumerate(shown):
        points = evaluated.points(cloud, frame)["position"]
        assert len(points) == make_bundle.COUNTS[index]


def test_what_it_cannot_do_without_is_told(saved: Path) -> None:
    scene = bpy.context.scene
    scene.camera.data.type = "ORTHO"
    with pytest.raises(RuntimeError, match="no perspective camera"):
        bpy.ops.sonic4d.enhance_shot()
    scene.camera.data.type = "PERSP"
    scene.sonic4d.bundle = None
    with pytest.raises(RuntimeError, match="no scene bundle"):
        bpy.ops.sonic4d.enhance_shot()
    assert pictures(saved) == []


def test_the_movie_becomes_the_picture_of_the_export(saved: Path) -> None:
    """With the real worker: as many frames as the shot, at its rate, in its size."""
    scene = bpy.context.scene
    scene.frame_end = 6
    assert bpy.ops.sonic4d.enhance_shot(expert="fill") == {"FINISHED"}
    export = scene.sonic4d.export
    assert export.picture == "FILE"
    assert export.picture_path == "//sonic4d_takes/Scene_view001/Scene_view001.mp4"
    movie = saved / export.picture_path[2:]
    script = "import av, sys; v = av.open(sys.argv[1]).streams.video[0];"
    script += " print(v.frames, v.average_rate, v.width, v.height)"
    assert sound.backend("-c", script, str(movie)).decode().split() == ["6", "24", "320", "180"]
    report = json.loads(movie.with_name("Scene_view001.report.json").read_text())
    assert report["picture"]["name"] == "fill"
    [clip] = [
        entry.clip
        for entry in scene.camera.data.background_images
        if entry.clip.get("sonic4d_picture")
    ]
    assert clip.filepath == export.picture_path

    assert bpy.ops.sonic4d.enhance_shot(expert="fill") == {"FINISHED"}
    assert export.picture_path.endswith("Scene_view002.mp4")
    assert movie.is_file()
    assert len(scene.camera.data.background_images) == 2  # the source video, and the newest picture

    bpy.ops.sonic4d.render_audio()
    assert bpy.ops.sonic4d.export_shot(filepath=str(saved / "shot")) == {"FINISHED"}
    assert sound.describe(saved / "shot.mp4")[:4] == ["24", "6", "320", "180"]


def test_the_choices_reach_the_backend(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def job(request: dict[str, Any], _activity: tasks.Activity) -> tasks.Steps[Job]:
        asked.append(request)
        raise Sonic4DError("cancelled", "Cancelled.")
        yield

    monkeypatch.setattr(tasks, "job", job)
    bpy.context.scene.sonic4d.enhance.prompt = "a bird"
    assert bpy.ops.sonic4d.enhance_shot(seed=7) == {"CANCELLED"}
    [request] = asked
    assert request["kind"] == "enhance"
    assert (request["prompt"], request["seed"]) == ("a bird", 7)
    assert "expert" not in request  # the backend's own default
    assert pictures(saved) == []


def test_cancelled_it_leaves_nothing(saved: Path) -> None:
    scene = bpy.context.scene
    scene.frame_end = 2000
    activity = tasks.Activity()
    steps = enhance_shot(scene, activity, {"expert": "fill"})
    while activity.message == tasks.STARTING:
        next(steps)
    activity.cancelled = True
    with pytest.raises(Sonic4DError, match="Cancelled"):
        tasks.wait(steps)
    assert pictures(saved) == []
    assert scene.sonic4d.export.picture == "RENDER"
