"""Removing an import takes everything that it made, and nothing else."""

from __future__ import annotations

from pathlib import Path

import bpy
import pytest
from evaluated import child


def everything() -> set[tuple[str, str]]:
    """All datablocks of the file."""
    return {
        (kind.identifier, datablock.name_full)
        for kind in bpy.data.bl_rna.properties
        if kind.type == "COLLECTION"
        for datablock in getattr(bpy.data, kind.identifier)
    }


def import_again(folder: Path) -> bpy.types.Object:
    bpy.ops.sonic4d.import_bundle(filepath=str(folder))
    return bpy.context.scene.sonic4d.bundle


def test_nothing_is_left_behind(bundle: Path) -> None:
    before = everything()
    import_again(bundle)
    assert len(everything()) > len(before) + 10
    bpy.ops.sonic4d.remove_bundle()
    assert everything() == before
    assert bpy.context.scene.sonic4d.bundle is None


def test_import_after_removal_is_as_the_first(bundle: Path) -> None:
    import_again(bundle)
    first = everything()
    bpy.ops.sonic4d.remove_bundle()
    import_again(bundle)
    assert everything() == first


def test_objects_deleted_by_hand_leave_nothing_after_the_next_import(
    root: bpy.types.Object, bundle: Path
) -> None:
    first = everything()
    bpy.data.batch_remove([root, *root.children])
    assert {("collections", bundle.stem), ("actions", "bird")} <= everything()
    import_again(bundle)
    assert everything() == first


def test_another_import_is_not_touched(root: bpy.types.Object, bundle: Path) -> None:
    before = everything()
    second = import_again(bundle)
    assert second != root
    bpy.ops.sonic4d.remove_bundle()
    assert everything() == before
    assert bpy.context.scene.sonic4d.bundle == root


def test_the_artists_own_things_stay(root: bpy.types.Object) -> None:
    scene = bpy.context.scene
    collection = root.users_collection[0]
    lamp = bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "POINT"))
    collection.objects.link(lamp)
    lamp.parent = child(root, "bird")
    bpy.ops.sonic4d.make_shot_camera()
    bpy.ops.sonic4d.apply_move()
    camera = scene.sonic4d.shot_camera
    bpy.ops.sonic4d.remove_bundle()
    assert set(scene.objects) == {lamp, camera}
    assert scene.camera == camera
    assert lamp.parent is None
    assert camera.animation_data.action is not None


def test_without_a_scene_there_is_nothing_to_remove() -> None:
    with pytest.raises(RuntimeError, match="poll"):
        bpy.ops.sonic4d.remove_bundle()
