"""One number brings everything of an imported scene to scale."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from evaluated import child
from shots import read_shot
from sonic4d_extension.blender_addon.operators import measure_scale


def test_a_known_distance_scales_cloud_source_room_and_camera(
    root: bpy.types.Object, tmp_path: Path
) -> None:
    scene = bpy.context.scene
    before = read_shot(tmp_path)
    assert bpy.ops.sonic4d.mark_points() == {"FINISHED"}
    assert not bpy.ops.sonic4d.mark_points.poll()
    first, second = measure_scale.marks(scene)
    first.location, second.location = (0, 0, 0), (0, 4, 3)
    bpy.context.view_layer.update()
    assert measure_scale.distance_m(scene) == pytest.approx(5)
    assert bpy.ops.sonic4d.scale_by_distance(distance_m=12.5) == {"FINISHED"}
    assert root.sonic4d.scene_scale == pytest.approx(2.5)
    assert measure_scale.marks(scene) == []
    after = read_shot(tmp_path)
    np.testing.assert_allclose(
        after.sources[0].positions, 2.5 * before.sources[0].positions, atol=2e-5
    )
    np.testing.assert_allclose(after.room.size, 2.5 * np.array(before.room.size), rtol=1e-5)
    np.testing.assert_allclose(
        after.listener_poses[:, :3, 3], 2.5 * before.listener_poses[:, :3, 3], atol=1e-5
    )
    bpy.context.view_layer.update()
    assert child(root, f"{root.name} cloud").matrix_world[0][0] == pytest.approx(2.5)


def test_in_another_unit_the_distance_is_in_metres(root: bpy.types.Object) -> None:
    scene = bpy.context.scene
    scene.unit_settings.scale_length = 0.01
    bpy.ops.sonic4d.mark_points()
    bpy.context.view_layer.update()
    assert measure_scale.distance_m(scene) == pytest.approx(1)


def test_marks_at_one_place_are_told(root: bpy.types.Object) -> None:
    bpy.ops.sonic4d.mark_points()
    for item in measure_scale.marks(bpy.context.scene):
        item.location = (1, 1, 1)
    with pytest.raises(RuntimeError, match="at the same place"):
        bpy.ops.sonic4d.scale_by_distance(distance_m=1)
    assert root.sonic4d.scene_scale == pytest.approx(1)
