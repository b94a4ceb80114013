"""The shot camera and its moves: ordinary keyframes that do what the move says."""

from __future__ import annotations

import math
from pathlib import Path

import bpy
import make_bundle
import numpy as np
import pytest
from evaluated import world_matrix
from sonic4d_extension.backend.sonic4d.moves import move_poses, parse_move
from sonic4d_extension.blender_addon import compat

PIVOT = make_bundle.source_positions(4).mean(axis=0)


@pytest.fixture
def camera(tmp_path: Path, video: Path) -> bpy.types.Object:
    """The shot camera of a clip of 48 frames that allows a swing of 20 degrees."""
    folder = make_bundle.write_bundle(tmp_path / "long.sonic4d", video, counts=[1] * 48)
    bpy.ops.sonic4d.import_bundle(filepath=str(folder))
    bpy.ops.sonic4d.make_shot_camera()
    return bpy.context.scene.sonic4d.shot_camera


def move(text: str) -> str:
    """Apply a written move; what was reported."""
    settings = bpy.context.scene.sonic4d
    settings.move, settings.move_text = "text", text
    assert bpy.ops.sonic4d.apply_move() == {"FINISHED"}
    return text


def angle_around_pivot(pose: np.ndarray) -> float:
    """Degrees to the right of the start, seen from above."""
    x, y = pose[:2, 3] - PIVOT[:2]
    return math.degrees(math.atan2(x, -y))


def test_starts_as_the_source_camera(camera: bpy.types.Object) -> None:
    scene = bpy.context.scene
    source = scene.sonic4d.bundle.sonic4d.source_camera
    assert scene.camera == camera
    np.testing.assert_allclose(world_matrix(camera, 1), world_matrix(source, 1), atol=1e-6)
    for name in ("lens", "sensor_width", "sensor_fit", "shift_x", "shift_y"):
        assert getattr(camera.data, name) == getattr(source.data, name)
    assert camera.data != source.data
    assert camera.animation_data is None


@pytest.mark.parametrize(
    "text",
    ["orbit:30", "orbit:-20", "turn:40", "pan:1.5", "push-in:2", "pull-out:3", "x+1.5 & phi+5"],
)
@pytest.mark.parametrize("first_frame", [0, 101])
def test_move_is_keyed_as_written(camera: bpy.types.Object, text: str, first_frame: int) -> None:
    scene = bpy.context.scene
    scene.sonic4d.bundle.sonic4d.move_limit_deg = 0
    scene.frame_start, scene.frame_end = first_frame, first_frame + 59
    positions = [
        world_matrix(_source(), frame)[:3, 3] for frame in range(first_frame, first_frame + 60)
    ]
    pivot = tuple(np.mean(positions, axis=0).tolist())
    start = world_matrix(camera, 1).tolist()
    move(text)
    want = np.array(move_poses(parse_move(text), start, pivot, 60))
    got = np.array([world_matrix(camera, first_frame + i) for i in range(60)])
    travel = np.linalg.norm(want[-1, :3, 3] - want[0, :3, 3])
    assert np.abs(got - want)[[0, -1]].max() < 1e-5
    assert np.abs(got - want)[:, :3, 3].max() < 0.01 * max(travel, 0.1)
    assert np.abs(got - want)[:, :3, :3].max() < 0.01


def _source() -> bpy.types.Object:
    return next(i for i in bpy.context.scene.sonic4d.bundle.children if i.sonic4d.is_source)


@pytest.mark.parametrize(
    ("preset", "changes", "offset"),
    [
        ("static", {}, (0, 0, 0)),
        ("offset", {"move_offset_m": (0.5, 0.25, -1)}, (0.5, -1, 0.25)),
        ("pan", {"move_distance_m": 1.5}, (1.5, 0, 0)),
    ],
)
def test_presets_end_where_they_should(
    camera: bpy.types.Object, preset: str, changes: dict[str, object], offset: tuple[float, ...]
) -> None:
    settings = bpy.context.scene.sonic4d
    settings.move = preset
    for name, value in changes.items():
        setattr(settings, name, value)
    bpy.ops.sonic4d.apply_move()
    np.testing.assert_allclose(world_matrix(camera, 48)[:3, 3], offset, atol=1e-6)


@pytest.mark.parametrize(("preset", "sign"), [("push-in", -1), ("pull-out", 1)])
def test_push_and_pull_change_the_distance(
    camera: bpy.types.Object, preset: str, sign: int
) -> None:
    settings = bpy.context.scene.sonic4d
    settings.move, settings.move_distance_m = preset, 2
    bpy.ops.sonic4d.apply_move()
    distances = [np.linalg.norm(world_matrix(camera, frame)[:3, 3] - PIVOT) for frame in (1, 48)]
    assert distances[1] - distances[0] == pytest.approx(2 * sign, abs=1e-4)


def test_arc_swings_around_the_source(camera: bpy.types.Object) -> None:
    settings = bpy.context.scene.sonic4d
    settings.move, settings.move_angle = "orbit", math.radians(30)
    bpy.ops.sonic4d.apply_move()
    start, end = (angle_around_pivot(world_matrix(camera, frame)) for frame in (1, 48))
    assert (start, end) == (pytest.approx(-15, abs=0.01), pytest.approx(15, abs=0.01))
    radius = [np.linalg.norm((world_matrix(camera, f)[:3, 3] - PIVOT)[:2]) for f in range(1, 49)]
    assert np.ptp(radius) < 0.005 * np.mean(radius)


@pytest.mark.parametrize(
    ("text", "right_deg"), [("orbit:90", 20), ("offset: phi-60", -20), ("phi+12", 12)]
)
def test_the_scene_limits_the_move(
    camera: bpy.types.Object, capfd: pytest.CaptureFixture[str], text: str, right_deg: float
) -> None:
    move(text)
    assert angle_around_pivot(world_matrix(camera, 48)) == pytest.approx(right_deg, abs=0.01)
    assert ("reduced to 20 degrees" in capfd.readouterr().out) == (abs(right_deg) == 20)


def test_a_new_move_replaces_the_old_one_and_nothing_else(camera: bpy.types.Object) -> None:
    move("orbit:20")
    constraint = camera.constraints.new("LIMIT_LOCATION")
    constraint.influence = 0.0
    constraint.keyframe_insert("influence", frame=1)
    action = camera.animation_data.action
    move("pan:1")
    curves = compat.channelbag(camera).fcurves
    assert camera.animation_data.action == action
    assert len(curves) == 7
    assert curves.find('constraints["Limit Location"].influence') is not None
    move("static")
    assert {(curve.data_path, len(curve.keyframe_points)) for curve in curves} >= {("location", 1)}
    np.testing.assert_allclose(world_matrix(camera, 30), make_bundle.NORTH, atol=1e-6)


def test_keyframes_can_be_edited(camera: bpy.types.Object) -> None:
    move("pan:2")
    before = world_matrix(camera, 24)[2, 3]
    camera.location.z = 4
    camera.keyframe_insert("location", index=2, frame=24)
    assert before == pytest.approx(0, abs=1e-6)
    assert world_matrix(camera, 24)[2, 3] == pytest.approx(4)
    assert world_matrix(camera, 48)[2, 3] == pytest.approx(0, abs=1e-6)


def test_moves_are_in_metres(camera: bpy.types.Object) -> None:
    scene = bpy.context.scene
    scene.unit_settings.scale_length = 0.5
    scene.sonic4d.bundle.sonic4d.scene_scale = 2
    move("pan:1.5")
    np.testing.assert_allclose(world_matrix(camera, 48)[:3, 3], [3, 0, 0], atol=1e-5)
    scene.sonic4d.bundle.sonic4d.scene_scale = 4  # the camera goes with the scene
    np.testing.assert_allclose(world_matrix(camera, 48)[:3, 3], [6, 0, 0], atol=1e-5)


def test_a_move_that_is_not_understood(camera: bpy.types.Object) -> None:
    scene = bpy.context.scene
    scene.sonic4d.move, scene.sonic4d.move_text = "text", "fly away"
    with pytest.raises(RuntimeError, match='"fly away" is not understood'):
        bpy.ops.sonic4d.apply_move()
    assert camera.animation_data is None


def test_the_buttons_wait_for_what_they_need(root: bpy.types.Object) -> None:
    assert bpy.ops.sonic4d.make_shot_camera.poll()
    assert not bpy.ops.sonic4d.apply_move.poll()
    bpy.ops.sonic4d.remove_bundle()
    assert not bpy.ops.sonic4d.make_shot_camera.poll()


def test_what_is_no_camera_is_none_to_start_from(camera: bpy.types.Object) -> None:
    """A script may name any object."""
    bpy.context.scene.sonic4d.bundle.sonic4d.source_camera = bpy.data.objects["bird"]
    assert not bpy.ops.sonic4d.make_shot_camera.poll()
    assert not bpy.ops.sonic4d.apply_move.poll()


def test_a_limit_below_nothing_is_none(root: bpy.types.Object) -> None:
    root.sonic4d.move_limit_deg = -3
    bpy.context.scene.sonic4d.move = "static"
    assert bpy.ops.sonic4d.make_shot_camera() == {"FINISHED"}
    assert bpy.ops.sonic4d.apply_move() == {"FINISHED"}
