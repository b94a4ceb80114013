"""A bundle becomes Blender objects that show at every frame what the bundle says."""

from __future__ import annotations

import json
import math
from pathlib import Path

import bpy
import make_bundle
import numpy as np
import pytest
from bpy_extras.object_utils import world_to_camera_view
from evaluated import child, points, world_matrix
from mathutils import Vector
from sonic4d_extension.blender_addon import compat
from sonic4d_extension.blender_addon.scene.point_cloud import cloud_modifier
from sonic4d_extension.blender_addon.scene.units import frame_rate


def import_again(folder: Path, **options: bool) -> bpy.types.Object:
    assert bpy.ops.sonic4d.import_bundle(filepath=str(folder), **options) == {"FINISHED"}
    return bpy.context.scene.sonic4d.bundle


def to_linear(rgb: np.ndarray) -> np.ndarray:
    s = rgb / 255
    return np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)


def set_input(item: bpy.types.Object, name: str, value: float | bool) -> None:
    compat.set_modifier_input(cloud_modifier(item), name, value)


@pytest.mark.parametrize("first_frame", [0, 1, 101])
def test_every_frame_shows_its_points(bundle: Path, first_frame: int) -> None:
    bpy.context.scene.frame_start = first_frame
    cloud = child(import_again(bundle), " cloud")
    for index, count in enumerate(make_bundle.COUNTS):
        want = make_bundle.frame_points(index, count)
        got = points(cloud, first_frame + index)
        assert len(got["position"]) == count
        xyz = np.stack([want[axis] for axis in "xyz"], axis=1)
        np.testing.assert_allclose(got["position"], xyz, atol=1e-6)
        rgb = np.stack([want[colour] for colour in ("red", "green", "blue")], axis=1)
        np.testing.assert_allclose(got["Col"][:, :3], to_linear(rgb), atol=1e-3)
        np.testing.assert_allclose(got["radius"][:, 0], 1.5 * want["radius"], rtol=1e-6)


def test_before_and_after_the_clip_its_ends_are_shown(root: bpy.types.Object) -> None:
    cloud = child(root, " cloud")
    first, last = points(cloud, -20), points(cloud, 400)
    assert first["position"][0, 1] == 5
    assert last["position"][0, 1] == 5 + len(make_bundle.COUNTS) - 1


def test_background_stands_still(root: bpy.types.Object) -> None:
    background = child(root, " background")
    assert [len(points(background, frame)["position"]) for frame in (-5, 1, 3, 9)] == [6] * 4


def test_artist_inputs(root: bpy.types.Object) -> None:
    cloud = child(root, " cloud")
    set_input(cloud, "Point size", 3.0)
    np.testing.assert_allclose(points(cloud, 1)["radius"], 0.15, rtol=1e-6)
    set_input(cloud, "Confidence cut", 0.5)
    assert len(points(cloud, 1)["position"]) == 3  # of 0.1, 0.325, 0.55, 0.775, 1
    set_input(cloud, "Hide synthetic", True)
    np.testing.assert_allclose(points(cloud, 1)["position"][:, 0], [0.0, 0.2], atol=1e-6)
    set_input(cloud, "Density", 0.0)
    assert len(points(cloud, 1)["position"]) == 0


def test_density_thins_evenly(tmp_path: Path, video: Path) -> None:
    folder = make_bundle.write_bundle(tmp_path / "many.sonic4d", video, counts=(4000,))
    cloud = child(import_again(folder), " cloud")
    set_input(cloud, "Density", 0.25)
    kept = points(cloud, 1)["position"][:, 0]
    assert abs(len(kept) - 1000) < 100
    assert abs(np.median(kept) - (-0.2 + 200)) < 20  # not only the first ones


@pytest.mark.parametrize(
    ("offset", "speed", "frame", "index"),
    [(1, 1, 2, 0), (1, 1, 5, 3), (0, 0.5, 3, 1), (0, 3, 2, 3)],
)
def test_time_inputs(
    root: bpy.types.Object, offset: float, speed: float, frame: int, index: int
) -> None:
    cloud = child(root, " cloud")
    set_input(cloud, "Time offset", offset)
    set_input(cloud, "Speed", speed)
    assert points(cloud, frame)["position"][0, 1] == 5 + index


def test_scene_takes_over_the_clip(bundle: Path, tmp_path: Path, video: Path) -> None:
    folder = make_bundle.write_bundle(tmp_path / "ntsc.sonic4d", video, frame_rate="30000/1001")
    root = import_again(folder)
    scene = bpy.context.scene
    assert str(frame_rate(scene)) == "30000/1001"
    assert (scene.frame_start, scene.frame_end, scene.frame_current) == (1, 4, 1)
    assert (scene.render.resolution_x, scene.render.resolution_y) == (320, 180)
    assert scene.view_settings.view_transform == "Standard"
    assert scene.camera == root.sonic4d.source_camera
    assert scene.sonic4d.room_kind == "shoebox"
    assert scene.sonic4d.rt60_s == 0.5
    assert root.sonic4d.approximate
    assert root.sonic4d.move_limit_deg == 20


def test_clip_plays_in_real_time_in_a_scene_of_another_rate(tmp_path: Path, video: Path) -> None:
    folder = make_bundle.write_bundle(
        tmp_path / "slow.sonic4d", video, counts=(1, 2, 3, 4), frame_rate="10"
    )
    scene = bpy.context.scene
    scene.render.fps = 25
    root = import_again(folder, match_scene=False)
    assert frame_rate(scene) == 25
    assert scene.frame_end == 250
    cloud, source = child(root, " cloud"), child(root, "bird")
    for frame in range(1, 11):
        index = min((frame - 1) * 10 // 25, 3)
        assert len(points(cloud, frame)["position"]) == index + 1
    assert world_matrix(source, 6)[0, 3] == pytest.approx(
        np.interp(2, range(4), [-1, -1 / 3, 1 / 3, 1])
    )


def test_source_is_where_the_bundle_says(root: bpy.types.Object) -> None:
    source = child(root, "bird")
    want = make_bundle.source_positions(4)
    got = [world_matrix(source, frame)[:3, 3] for frame in range(1, 5)]
    np.testing.assert_allclose(got, want, atol=1e-6)
    settings = source.sonic4d
    assert settings.is_source
    assert Path(settings.audio_path).name == "bird.wav"
    assert settings.audio_frame == 1
    assert settings.found_by == "by motion, not by sound"
    bpy.context.scene.frame_set(1)
    assert settings.confidence == pytest.approx(0.5)
    path = child(root, "bird path").data.splines[0]
    np.testing.assert_allclose([point.co[:3] for point in path.points], want, atol=1e-6)


def test_each_of_several_sources_is_an_object(bundle: Path) -> None:
    """Two sources that share one sound, as a clip with one track gives them."""
    path = bundle / "bundle.json"
    data = json.loads(path.read_text())
    bird = data["sources"][0]
    away = [[x + 1, y, z] for x, y, z in bird["positions"]]
    data["sources"].append({**bird, "name": "bird 2", "positions": away, "found_by": "words"})
    path.write_text(json.dumps(data))
    root = import_again(bundle)
    sources = [item for item in root.children if item.sonic4d.is_source]
    assert [item.name for item in sources] == ["bird", "bird 2"]
    assert [item.sonic4d.found_by for item in sources][1] == "by its description"
    assert len({item.sonic4d.audio_path for item in sources}) == 1
    first, second = (world_matrix(item, 2)[:3, 3] for item in sources)
    assert np.linalg.norm(second - first) == pytest.approx(1, abs=1e-5)


def test_keyframes_can_be_edited(root: bpy.types.Object) -> None:
    source = child(root, "bird")
    curve = compat.channelbag(source).fcurves.find("location", index=0)
    assert [key.interpolation for key in curve.keyframe_points] == ["LINEAR"] * 4
    curve.keyframe_points[1].co.y = 7.0
    assert world_matrix(source, 2)[0, 3] == pytest.approx(7.0)


def test_camera_sees_what_the_intrinsics_say(root: bpy.types.Object) -> None:
    scene, k = bpy.context.scene, make_bundle.INTRINSICS
    bpy.context.view_layer.update()
    camera = root.sonic4d.source_camera
    for x, z_up, y_ahead in [(0, 0, 5), (1.2, 0.4, 4), (-2, -1, 7), (0.3, 0.9, 2)]:
        view = world_to_camera_view(scene, camera, Vector((x, y_ahead, z_up)))
        u = k["fx"] * x / y_ahead + k["cx"]
        v = -k["fy"] * z_up / y_ahead + k["cy"]
        assert view.x * k["width"] == pytest.approx(u, abs=0.01)
        assert (1 - view.y) * k["height"] == pytest.approx(v, abs=0.01)


def test_camera_that_stands_has_no_keyframes(root: bpy.types.Object) -> None:
    camera = root.sonic4d.source_camera
    assert camera.animation_data is None
    np.testing.assert_allclose(world_matrix(camera, 1), make_bundle.NORTH, atol=1e-6)


def test_camera_that_moves_is_keyed(tmp_path: Path, video: Path) -> None:
    poses = np.tile(make_bundle.NORTH, (4, 1, 1))
    for i, pose in enumerate(poses):
        c, s = math.cos(0.9 * i), math.sin(0.9 * i)
        pose[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ pose[:3, :3]
        pose[:3, 3] = i, -i, 0.1 * i
    folder = make_bundle.write_bundle(tmp_path / "moving.sonic4d", video, cameras=poses)
    camera = import_again(folder).sonic4d.source_camera
    for i, pose in enumerate(poses):
        np.testing.assert_allclose(world_matrix(camera, 1 + i), pose, atol=1e-5)


def test_what_stands_around_the_camera_is_named(
    bundle: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.mesh.primitive_cube_add(location=(5, 0, 0))
    import_again(bundle)
    said = capfd.readouterr().out
    assert "Cube is around the camera" in said
    assert "Cube.001" not in said


def test_clip_is_behind_the_camera(bundle: Path) -> None:
    bpy.context.scene.frame_start = 11
    camera = import_again(bundle).sonic4d.source_camera.data
    background = camera.background_images[0]
    assert camera.show_background_images
    assert background.clip.frame_start == 11
    assert tuple(background.clip.size) == (320, 180)


def test_one_number_rescales_everything(root: bpy.types.Object) -> None:
    root.sonic4d.scene_scale = 2.5
    source, camera = child(root, "bird"), root.sonic4d.source_camera
    np.testing.assert_allclose(
        world_matrix(source, 4)[:3, 3], 2.5 * make_bundle.source_positions(4)[3], rtol=1e-6
    )
    np.testing.assert_allclose(world_matrix(child(root, " room"), 1)[:3, 3], [0, 7.5, 3], rtol=1e-6)
    assert root.scale[:] == (2.5, 2.5, 2.5)
    assert camera.parent == root


def test_scene_in_centimetres(bundle: Path) -> None:
    bpy.context.scene.unit_settings.scale_length = 0.01
    source = child(import_again(bundle), "bird")
    np.testing.assert_allclose(
        world_matrix(source, 1)[:3, 3], 100 * make_bundle.source_positions(4)[0], rtol=1e-5
    )


def test_undo_takes_the_import_back(bundle: Path) -> None:
    bpy.ops.ed.undo_push(message="Before")
    import_again(bundle)
    bpy.ops.ed.undo_push(message="Import")
    bpy.ops.ed.undo()
    assert not bpy.data.objects
    assert bpy.context.scene.frame_end == 250
