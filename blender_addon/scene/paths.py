"""File paths in a .blend file: relative to it once it is saved, and still right after "save as" elsewhere.

Blender remaps its own paths when a file is saved in another folder, but not those of add-ons and modifiers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import bpy
from bpy.app.handlers import persistent

from .. import compat
from .point_cloud import FILES, cloud_modifier


def stored(path: Path, blend: str | None = None) -> str:
    """How to write a path into the .blend file `blend` (default: the open one): "//…" where that is possible."""
    blend = bpy.data.filepath if blend is None else blend
    if not blend:
        return str(path)
    try:
        return bpy.path.relpath(str(path), start=os.path.dirname(blend))
    except ValueError:  # another drive
        return str(path)


def absolute(text: str, library: bpy.types.Library | None = None) -> Path:
    return Path(os.path.normpath(bpy.path.abspath(text, library=library)))


_Setter = Callable[[str], None]


def _paths() -> Iterator[tuple[_Setter, str]]:
    """Every path that Blender doesn't look after: how to set it, and its text."""
    for item in bpy.data.objects:
        if item.library is not None:
            continue
        for name in ("audio_path", "bundle_path"):
            yield partial(setattr, item.sonic4d, name), getattr(item.sonic4d, name)
        modifier = cloud_modifier(item)
        if modifier is not None:
            set_files = partial(compat.set_modifier_input, modifier, FILES)
            yield set_files, compat.get_modifier_input(modifier, FILES)
    for scene in bpy.data.scenes:
        yield partial(setattr, scene.sonic4d, "take_path"), scene.sonic4d.take_path
        for take in scene.sonic4d.takes:
            yield partial(setattr, take, "filepath"), take.filepath
        export = scene.sonic4d.export
        yield partial(setattr, export, "picture_path"), export.picture_path


# Set before saving, for the file that is written; put back after it, since "save a copy" leaves the open file as it is.
_remapped: list[tuple[_Setter, Path]] = []


@persistent
def _before_save(blend: str, *_: object) -> None:
    """A new file gets relative paths; in a file that moves the relative ones are adapted."""
    saved = bool(bpy.data.filepath)
    _remapped[:] = [
        (set_path, absolute(text))
        for set_path, text in _paths()
        if text and text.startswith("//") == saved
    ]
    for set_path, path in _remapped:
        set_path(stored(path, blend))


@persistent
def _after_save(*_: object) -> None:
    for set_path, path in _remapped:
        set_path(stored(path))
    _remapped.clear()


_HANDLERS = (
    ("save_pre", _before_save),
    ("save_post", _after_save),
    ("save_post_fail", _after_save),
)


def register() -> None:
    for name, handler in _HANDLERS:
        getattr(bpy.app.handlers, name).append(handler)


def unregister() -> None:
    for name, handler in _HANDLERS:
        getattr(bpy.app.handlers, name).remove(handler)
