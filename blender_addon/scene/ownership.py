"""Which datablocks an import made, so that removing it leaves nothing behind."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TypeVar

import bpy

_KEY = "sonic4d_import"
_KINDS = (
    "objects",
    "collections",
    "meshes",
    "curves",
    "cameras",
    "materials",
    "node_groups",
    "actions",
    "movieclips",
)
Datablock = TypeVar("Datablock", bound=bpy.types.ID)


def new_owner() -> str:
    """An identifier for one import."""
    return uuid.uuid4().hex


def own(datablock: Datablock, owner: str) -> Datablock:
    """Note that the import `owner` made a datablock. Its present action is included."""
    datablock[_KEY] = owner
    animation = datablock.animation_data if hasattr(datablock, "animation_data") else None
    if animation is not None and animation.action is not None:
        animation.action[_KEY] = owner
    return datablock


def disown(datablock: bpy.types.ID) -> None:
    """A copy of an imported datablock becomes the artist's own."""
    datablock.pop(_KEY, None)


def owner_of(datablock: bpy.types.ID) -> str | None:
    return datablock.get(_KEY)


def remove(owner: str) -> None:
    """Remove all that an import made. What an artist put into its collection moves to the scene's."""
    doomed = [datablock for datablock in _owned() if owner_of(datablock) == owner]
    for collection in doomed:
        if isinstance(collection, bpy.types.Collection):
            _evacuate(collection, owner)
    bpy.data.batch_remove(doomed)


def remove_leftovers() -> None:
    """Remove what is left of imports whose objects are all deleted."""
    alive = {owner_of(item) for item in bpy.data.objects if item.users_scene}
    for owner in {owner_of(datablock) for datablock in _owned()} - alive:
        if owner is not None:
            remove(owner)


def _owned() -> Iterator[bpy.types.ID]:
    for kind in _KINDS:
        for datablock in getattr(bpy.data, kind):
            if datablock.library is None and owner_of(datablock) is not None:
                yield datablock


def _evacuate(collection: bpy.types.Collection, owner: str) -> None:
    scenes = [
        scene for scene in bpy.data.scenes if collection in scene.collection.children_recursive
    ]
    for scene in scenes:
        for item in collection.objects:
            if owner_of(item) != owner and item.name not in scene.collection.objects:
                scene.collection.objects.link(item)
        for child in collection.children:
            if owner_of(child) != owner and child.name not in scene.collection.children:
                scene.collection.children.link(child)
