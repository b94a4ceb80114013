"""A .blend file and its bundle move together; a file that is saved elsewhere still finds the bundle."""

from __future__ import annotations

from pathlib import Path

import bpy
import make_bundle
from evaluated import child, points
from sonic4d_extension.blender_addon import compat
from sonic4d_extension.blender_addon.scene.paths import absolute
from sonic4d_extension.blender_addon.scene.point_cloud import cloud_modifier


def paths() -> dict[str, str]:
    """What the .blend file stores."""
    root = bpy.context.scene.sonic4d.bundle
    return {
        "bundle": root.sonic4d.bundle_path,
        "sound": child(root, "bird").sonic4d.audio_path,
        "cloud": compat.get_modifier_input(cloud_modifier(child(root, " cloud")), "Files"),
        "background": compat.get_modifier_input(cloud_modifier(child(root, " background")), "Files"),
        "clip": root.sonic4d.source_camera.data.background_images[0].clip.filepath,
    }  # fmt: skip


def shown() -> list[int]:
    cloud = child(bpy.context.scene.sonic4d.bundle, " cloud")
    return [len(points(cloud, frame)["position"]) for frame in range(1, 5)]


def assert_found(folder: Path) -> None:
    for text in paths().values():
        path = absolute(text)
        assert path.is_relative_to(folder), text
        assert path.exists() or "####" in path.name
    assert shown() == list(make_bundle.COUNTS)


def save(path: Path, **options: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(path), **options)


def test_unsaved_file_has_absolute_paths(root: bpy.types.Object, bundle: Path) -> None:
    assert all(Path(text).is_absolute() for text in paths().values())
    assert_found(bundle)


def test_first_save_makes_paths_relative(
    root: bpy.types.Object, bundle: Path, tmp_path: Path
) -> None:
    save(tmp_path / "shot.blend")
    assert all(text.startswith("//") for text in paths().values())
    assert_found(bundle)


def test_import_into_a_saved_file_is_relative(bundle: Path, tmp_path: Path) -> None:
    save(tmp_path / "shots" / "shot.blend")
    bpy.ops.sonic4d.import_bundle(filepath=str(bundle))
    assert all(text.startswith("//") for text in paths().values())
    assert_found(bundle)


def test_project_folder_can_move(root: bpy.types.Object, bundle: Path, tmp_path: Path) -> None:
    save(tmp_path / "shot.blend")
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    moved = tmp_path.with_name(f"{tmp_path.name} moved")
    tmp_path.rename(moved)
    bpy.ops.wm.open_mainfile(filepath=str(moved / "shot.blend"))
    assert_found(moved / bundle.name)


def test_saved_as_in_another_folder(root: bpy.types.Object, bundle: Path, tmp_path: Path) -> None:
    save(tmp_path / "shot.blend")
    save(tmp_path / "elsewhere" / "deep" / "shot.blend")
    assert_found(bundle)
    bpy.ops.wm.open_mainfile(filepath=bpy.data.filepath)
    assert all(text.startswith("//") for text in paths().values())
    assert_found(bundle)


def test_saved_copy_leaves_the_open_file_alone(
    root: bpy.types.Object, bundle: Path, tmp_path: Path
) -> None:
    save(tmp_path / "shot.blend")
    before = paths()
    save(tmp_path / "backup" / "copy.blend", copy=True)
    assert paths() == before
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "backup" / "copy.blend"))
    assert_found(bundle)


def test_points_are_there_without_the_addon(
    addon: object, root: bpy.types.Object, bundle: Path, tmp_path: Path
) -> None:
    save(tmp_path / "shot.blend")
    name = child(root, " cloud").name
    addon.unregister()
    try:
        bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "shot.blend"))
        cloud = bpy.data.objects[name]
        assert [len(points(cloud, frame)["position"]) for frame in range(1, 5)] == list(
            make_bundle.COUNTS
        )
    finally:
        addon.register()
