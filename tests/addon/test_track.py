"""Correcting a source's track: by hand, in one step of undo each, and by tracking again in the worker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from evaluated import child
from sonic4d_extension.backend.sonic4d.protocol import Sonic4DError
from sonic4d_extension.blender_addon import tasks
from sonic4d_extension.blender_addon.client.jobs import Job
from sonic4d_extension.blender_addon.scene import track


@pytest.fixture
def bird(root: bpy.types.Object) -> bpy.types.Object:
    """The active object: a source with a key at each of the frames 1 to 4."""
    bird = child(root, "bird")
    bpy.context.view_layer.objects.active = bird
    return bird


def heard_at(bird: bpy.types.Object, frame: int) -> list[float]:
    bpy.context.scene.frame_set(frame)
    place = bird.evaluated_get(bpy.context.evaluated_depsgraph_get()).matrix_local.translation
    return [round(x, 4) for x in place]


def path_of(bird: bpy.types.Object) -> np.ndarray:
    [spline] = bird.sonic4d.path.data.splines
    return np.array([point.co[:3] for point in spline.points])


def test_a_position_is_keyed_where_the_source_was_put(bird: bpy.types.Object) -> None:
    before = track.read_track(bird)
    bpy.context.scene.frame_set(2)
    bird.location = (5, 6, 7)
    assert bpy.ops.sonic4d.key_source() == {"FINISHED"}
    assert heard_at(bird, 2) == [5, 6, 7]
    assert heard_at(bird, 3) == [round(x, 4) for x in before[2, 1:4]]
    after = track.read_track(bird)
    assert after[:, 0].tolist() == [1, 2, 3, 4]
    assert after[1, 4] == 1.0
    assert np.allclose(path_of(bird), after[:, 1:4])


def test_wrong_frames_are_bridged(bird: bpy.types.Object) -> None:
    track.write_track(bird, np.array([[f, 0, f, 0, 1] for f in (1, 2, 3, 4)], float))
    bpy.context.scene.frame_set(2)
    bird.location.x = 9
    bpy.ops.sonic4d.key_source()
    assert bpy.ops.sonic4d.mark_wrong(frames=2) == {"FINISHED"}
    assert heard_at(bird, 2) == [0, 2, 0]
    assert track.read_track(bird)[:, 4].tolist() == [1, 0, 0, 1]
    bpy.context.scene.frame_set(1)
    with pytest.raises(RuntimeError, match="No position would be left"):
        bpy.ops.sonic4d.mark_wrong(frames=9)


def test_the_video_is_tracked_again_and_only_that_part_is_keyed(
    bird: bpy.types.Object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker's part is replaced: it has its own tests."""
    asked: list[dict[str, Any]] = []

    def job(request: dict[str, Any], _activity: tasks.Activity) -> tasks.Steps[Job]:
        asked.append(request)
        positions = [[10.0 + i, 0, 0] for i in range(2)]
        part = {"first": 2, "positions": positions, "confidence": [0.5, 0.75]}
        Path(request["output"]).write_text(json.dumps(part))
        yield
        return Job(1, request, "done", results=[Path(request["output"])])

    monkeypatch.setattr(tasks, "job", job)
    before = track.read_track(bird)
    bpy.context.scene.frame_set(3)
    assert bpy.ops.sonic4d.retrack() == {"FINISHED"}
    place = asked[0].pop("position")
    assert place == pytest.approx(before[2, 1:4].tolist(), abs=1e-5)
    folder = bpy.path.abspath(bird.parent.sonic4d.bundle_path)
    assert {**asked[0], "output": None} == {
        "kind": "retrack",
        "bundle": str(Path(folder)),
        "source": "bird",
        "output": None,
        "frame": 2,
        "direction": "forward",
    }
    after = track.read_track(bird)
    assert np.allclose(after[:2], before[:2])
    assert after[2:].tolist() == [[3, 10, 0, 0, 0.5], [4, 11, 0, 0, 0.75]]
    assert np.allclose(path_of(bird), after[:, 1:4])
    assert bpy.ops.sonic4d.retrack(use_point=True, point=(0.25, 0.75), direction="both")
    assert asked[1]["point"] == (0.25, 0.75)
    assert "position" not in asked[1]


@pytest.mark.parametrize("text", ["", "{}", '{"first": 0, "positions": [], "confidence": []}'])
def test_a_file_that_is_no_track_changes_nothing(
    bird: bpy.types.Object, tmp_path: Path, text: str
) -> None:
    before = track.read_track(bird)
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(Sonic4DError, match="is not a track"):
        track.replace_part(bird, tmp_path / "t.json")
    assert np.array_equal(track.read_track(bird), before)


def test_only_imported_sources_have_a_track(root: bpy.types.Object) -> None:
    bpy.ops.mesh.primitive_cube_add()
    bpy.context.object.sonic4d.is_source = True
    for name in ("key_source", "mark_wrong", "retrack"):
        assert not getattr(bpy.ops.sonic4d, name).poll()


def test_frames_of_a_clip_with_another_rate(bird: bpy.types.Object) -> None:
    bird.parent.sonic4d.clip_start, bird.parent.sonic4d.clip_step = 11, 2.5
    assert [track.clip_frame(bird, frame) for frame in (11, 13.5, 16, 18)] == [0, 1, 2, 3]
