"""The room: fitted, of materials; and what stands in it."""

from __future__ import annotations

import math
from pathlib import Path

import bpy
import numpy as np
import pytest
import sound
from shots import add_camera, add_speaker, read_shot
from sonic4d_extension.backend.sonic4d.materials import WALLS
from sonic4d_extension.blender_addon.scene import obstacles as obstacles_module
from sonic4d_extension.blender_addon.scene.obstacles import filled_cells
from sonic4d_extension.blender_addon.scene.room import reverberation_s, wall_materials
from sonic4d_extension.blender_addon.ui import overlay


@pytest.fixture
def scene(tmp_path: Path) -> bpy.types.Scene:
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 1, 2
    scene.camera = add_camera()
    add_speaker(sound.impulse(tmp_path / "i.wav"), (0, 3, 0))
    return scene


def add_to_obstacles(scene: bpy.types.Scene, item: bpy.types.Object) -> None:
    collection = bpy.data.collections.new("Obstacles")
    scene.collection.children.link(collection)
    collection.objects.link(item)
    scene.sonic4d.occluders = collection


def test_fitted_to_selected_meshes(scene: bpy.types.Scene, tmp_path: Path) -> None:
    bpy.ops.mesh.primitive_cube_add(size=1, location=(1, 2, 3), rotation=(0, 0, math.radians(45)))
    bpy.context.object.scale = (4, 4, 2)
    assert bpy.ops.sonic4d.fit_room(to="SELECTED") == {"FINISHED"}
    room = read_shot(tmp_path).room
    side = 4 * math.sqrt(2) * 1.04
    np.testing.assert_allclose(room.size, [side, side, 2.08], rtol=1e-4)
    np.testing.assert_allclose(room.center, [1, 2, 3], atol=1e-5)
    first = scene.sonic4d.room
    bpy.context.object.location.x = 5
    bpy.ops.sonic4d.fit_room(to="SELECTED")
    assert scene.sonic4d.room == first
    np.testing.assert_allclose(read_shot(tmp_path).room.center, [5, 2, 3], atol=1e-5)


def test_nothing_to_fit_to_is_told(scene: bpy.types.Scene) -> None:
    for item in scene.objects:
        item.select_set(False)
    with pytest.raises(RuntimeError, match="No mesh is selected"):
        bpy.ops.sonic4d.fit_room(to="SELECTED")
    with pytest.raises(RuntimeError, match="No points are shown"):
        bpy.ops.sonic4d.fit_room(to="CLOUD")


def test_fitted_to_the_cloud(root: bpy.types.Object, tmp_path: Path) -> None:
    scene = bpy.context.scene
    root.sonic4d.scene_scale = 2.0
    scene.frame_set(1)
    imported = scene.sonic4d.room
    assert bpy.ops.sonic4d.fit_room(to="CLOUD") == {"FINISHED"}
    assert scene.sonic4d.room == imported
    room = read_shot(tmp_path).room
    # Its points lie from 5 m (cloud) to 14 m (background) away, twice as far in the scaled scene.
    assert 15 < room.size[1] <= 18
    assert room.yaw_deg == 0


def test_materials_make_the_reverberation(scene: bpy.types.Scene, tmp_path: Path) -> None:
    settings = scene.sonic4d
    assert reverberation_s(scene) == settings.rt60_s
    assert read_shot(tmp_path).room.materials is None
    assert bpy.ops.sonic4d.set_walls(material="concrete") == {"FINISHED"}
    settings.walls.floor = "thick_carpet"
    room = read_shot(tmp_path).room
    assert (room.rt60_s, room.materials["left"], room.materials["floor"]) == (
        None,
        "concrete",
        "thick_carpet",
    )
    carpeted_s = reverberation_s(scene)
    settings.walls.floor = "concrete"
    assert reverberation_s(scene) > 3 * carpeted_s
    settings.room_kind = "half_space"
    assert read_shot(tmp_path).room.materials == {"floor": "concrete"}
    assert reverberation_s(scene) is None
    settings.room_kind = "free_field"
    assert read_shot(tmp_path).room.materials is None


def test_every_wall_has_a_setting(scene: bpy.types.Scene) -> None:
    assert all(wall in scene.sonic4d.walls.bl_rna.properties for wall in WALLS)


def test_evaluated_meshes_are_obstacles(scene: bpy.types.Scene, tmp_path: Path) -> None:
    bpy.ops.mesh.primitive_plane_add(size=2, location=(0, 1.5, 0), rotation=(math.pi / 2, 0, 0))
    wall = bpy.context.object
    wall.modifiers.new("Thick", "SOLIDIFY").thickness = 0.2
    add_to_obstacles(scene, wall)
    wall.sonic4d.obstacle_material = "concrete"
    scene.unit_settings.scale_length = 2.0
    [obstacle] = read_shot(tmp_path).occluders
    assert (obstacle.name, obstacle.kind, obstacle.material) == ("Plane", "triangles", "concrete")
    vertices = obstacle.arrays["vertices"]
    np.testing.assert_allclose(np.ptp(vertices, axis=0), [4, 0.4, 4], atol=1e-4)
    assert len(obstacle.arrays["faces"]) == 12


def test_a_fine_mesh_becomes_cells(
    scene: bpy.types.Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(obstacles_module, "_MOST_FACES", 100)
    bpy.ops.mesh.primitive_uv_sphere_add(radius=1, location=(5, 5, 5))
    add_to_obstacles(scene, bpy.context.object)
    [obstacle] = read_shot(tmp_path).occluders
    assert obstacle.kind == "voxels"
    assert obstacle.cell_m == pytest.approx(2 / 64, rel=1e-3)
    centers = (obstacle.arrays["cells"] + 0.5) * obstacle.cell_m + obstacle.origin
    distance = np.linalg.norm(centers - 5, axis=1)
    assert (abs(distance - 1) < 1.8 * obstacle.cell_m).all()
    assert len(centers) > 4 * math.pi / obstacle.cell_m**2


def test_cells_leave_no_hole() -> None:
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0.5]])
    cells = filled_cells(vertices, np.array([[0, 1, 2], [1, 3, 2]]), 0.1)
    assert {(x, y) for x, y, _ in cells} >= {(x, y) for x in range(10) for y in range(10)}


def test_an_obstacle_is_heard(scene: bpy.types.Scene) -> None:
    scene.frame_end = 6
    scene.sonic4d.room_kind, scene.sonic4d.normalize = "free_field", "none"
    bpy.ops.sonic4d.render_audio()
    free = np.abs(sound.read_audio(Path(bpy.path.abspath(scene.sonic4d.take_path)))).max()
    bpy.ops.mesh.primitive_cube_add(size=2, location=(0, 1.6, 0))
    add_to_obstacles(scene, bpy.context.object)
    bpy.ops.sonic4d.render_audio()
    behind = np.abs(sound.read_audio(Path(bpy.path.abspath(scene.sonic4d.take_path)))).max()
    assert behind < 0.3 * free


def test_the_overlay_shows_room_head_and_sources(scene: bpy.types.Scene) -> None:
    bpy.ops.mesh.primitive_cube_add(size=2)
    bpy.ops.sonic4d.fit_room(to="SELECTED")
    scene.camera.rotation_euler = (math.radians(90), 0, 0)  # looks along +Y
    scene.sonic4d.head_offset_m = (0, 0, 1)
    bpy.context.view_layer.update()
    (_, room), (_, head), (colour, ball) = overlay.lines(scene)
    assert len(room) == 12
    ends = np.array([end for line in room for end in line])
    np.testing.assert_allclose([ends.min(axis=0), ends.max(axis=0)], [[-1.04] * 3, [1.04] * 3])
    nose = np.array([end for line in head for end in line])
    assert nose[:, 1].max() == pytest.approx(1 + 1.4 * 0.09, abs=1e-5)
    assert np.abs(nose[:, 2]).max() < 1e-5
    middle = np.array([end for line in ball for end in line]).mean(axis=0)
    np.testing.assert_allclose(middle, (0, 3, 0), atol=0.02)
    bpy.data.objects["Speaker"].sonic4d.mute = True
    assert list(overlay.lines(scene))[2][0] != colour


def test_room_presets_are_shipped_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = bpy.context.scene
    settings = scene.sonic4d
    shipped = {
        path.stem: path
        for folder in bpy.utils.preset_paths("sonic4d/room")
        for path in Path(folder).glob("*.py")
    }
    menu = "SONIC4D_MT_room_presets"
    # Blender writes the chosen preset's name into the menu's label; the next test gets it back.
    monkeypatch.setattr(getattr(bpy.types, menu), "bl_label", getattr(bpy.types, menu).bl_label)
    apply = bpy.ops.script.execute_preset
    heard_s = {}
    for name in ("Studio", "Living_room", "Concert_hall", "Church"):
        apply(filepath=str(shipped[name]), menu_idname=menu)
        heard_s[name] = reverberation_s(scene)
    assert 0.1 < heard_s["Studio"] < 0.3 < heard_s["Living_room"] < 0.8
    assert 1.2 < heard_s["Concert_hall"] < 2.5 < heard_s["Church"] < 8
    apply(filepath=str(shipped["Meadow"]), menu_idname=menu)
    assert wall_materials(settings) == {"floor": "grass"}
    (tmp_path / "presets").mkdir()
    monkeypatch.setattr(bpy.utils, "user_resource", lambda *_, **__: str(tmp_path / "presets"))
    settings.walls.floor = "gravel"
    assert bpy.ops.sonic4d.room_preset(name="mine") == {"FINISHED"}
    [mine] = (tmp_path / "presets").rglob("mine.py")
    apply(filepath=str(shipped["Bathroom"]), menu_idname=menu)
    apply(filepath=str(mine), menu_idname=menu)
    assert (settings.room_kind, settings.walls.floor) == ("half_space", "gravel")
