"""Who listens: cameras whatever their scale, other objects, the head beside them."""

from __future__ import annotations

import math
from pathlib import Path

import bpy
import numpy as np
import pytest
import sound
from shots import add_camera, add_speaker, read_shot
from sonic4d_extension.backend.sonic4d.protocol import Sonic4DError

NORTH = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]


@pytest.fixture
def scene(tmp_path: Path) -> bpy.types.Scene:
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 4
    add_speaker(sound.impulse(tmp_path / "i.wav"), (0, 5, 0))
    return scene


def test_any_object_can_listen_and_faces_along_its_y(
    scene: bpy.types.Scene, tmp_path: Path
) -> None:
    item = bpy.data.objects.new("Head", None)
    item.location = (1, 2, 3)
    item.rotation_euler.z = math.radians(90)
    item.scale = (1, 2, 3)
    scene.collection.objects.link(item)
    scene.sonic4d.listener = item
    pose = read_shot(tmp_path).listener_poses[0]
    np.testing.assert_allclose(pose[:3, 3], (1, 2, 3), atol=1e-6)
    np.testing.assert_allclose(-pose[:3, 2], (-1, 0, 0), atol=1e-6)
    np.testing.assert_allclose(pose[:3, 1], (0, 0, 1), atol=1e-6)


def test_the_head_is_beside_the_camera_by_the_offset(
    scene: bpy.types.Scene, tmp_path: Path
) -> None:
    scene.camera = add_camera()
    scene.camera.rotation_euler = (math.radians(90), 0, math.radians(-90))  # looks along +X
    scene.camera.scale = (3, 3, 3)
    scene.unit_settings.scale_length = 0.01
    scene.camera.location = (100, 0, 0)
    scene.sonic4d.head_offset_m = (0.1, 0.2, 0.3)  # right, up, forward
    pose = read_shot(tmp_path).listener_poses[0]
    np.testing.assert_allclose(pose[:3, 3], (1.3, -0.1, 0.2), atol=1e-6)


def test_a_skewed_camera_keeps_its_view_and_horizon(scene: bpy.types.Scene, tmp_path: Path) -> None:
    parent = bpy.data.objects.new("Parent", None)
    scene.collection.objects.link(parent)
    parent.scale = (1, 3, 0.5)
    camera = add_camera()
    camera.parent = parent
    camera.rotation_euler = (math.radians(60), 0, math.radians(30))
    scene.camera = camera
    layer = bpy.context.view_layer
    layer.update()
    matrix = np.array(camera.matrix_world)
    pose = read_shot(tmp_path).listener_poses[0]  # refused if it weren't a rotation
    view = -matrix[:3, 2] / np.linalg.norm(matrix[:3, 2])
    np.testing.assert_allclose(-pose[:3, 2], view, atol=1e-5)
    assert abs(pose[:3, 0] @ matrix[:3, 1]) < 1e-5


def test_a_flat_camera_is_told(scene: bpy.types.Scene, tmp_path: Path) -> None:
    scene.camera = add_camera()
    scene.camera.scale = (1, 0, 1)
    with pytest.raises(Sonic4DError, match="scaled to nothing or flat"):
        read_shot(tmp_path)


def test_negative_frames_and_a_frame_step(scene: bpy.types.Scene, tmp_path: Path) -> None:
    """A shot begins at frame 0 at the earliest; what moves and sounds may have begun before."""
    scene.camera = add_camera()
    scene.frame_start, scene.frame_end, scene.frame_step = 0, 9, 5
    for frame, x in ((-10, -10.0), (10, 10.0)):
        scene.camera.location.x = x
        scene.camera.keyframe_insert("location", frame=frame)
    bpy.data.objects["Speaker"].sonic4d.audio_frame = -12
    shot = read_shot(tmp_path)
    assert (shot.frame_start, shot.frame_count) == (0, 10)  # the sound of every frame
    x = shot.listener_poses[:, 0, 3]
    assert x[0] == pytest.approx(0, abs=1e-6)
    assert (np.diff(x) > 0).all()
    assert shot.sources[0].start_s == pytest.approx(-12 / 24)
