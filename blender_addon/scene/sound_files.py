"""The files behind sounds: packed ones are unpacked, and all are put beside the shot."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import bpy

from ...backend.sonic4d.protocol import Sonic4DError
from .paths import absolute


def sound_file(sound: bpy.types.Sound, user: str) -> Path:
    """A file with the contents of a sound; a packed one is written to Blender's temporary folder.

    Raises `Sonic4DError` where there is none.
    """
    path = absolute(sound.filepath, sound.library)
    if sound.packed_file is not None:
        unpacked = f"sonic4d_{sound.session_uid}_{sound.packed_file.size}{path.suffix}"
        target = Path(bpy.app.tempdir) / unpacked
        if not target.is_file():
            try:
                target.write_bytes(sound.packed_file.data)
            except OSError as error:
                target.unlink(missing_ok=True)
                raise Sonic4DError(
                    "not_written",
                    f"The packed sound of {user} can't be put into {target.parent}: {error.strerror}.",
                    "Make room on the disk, or unpack the sound.",
                ) from None
        return target
    if not path.is_file():
        raise Sonic4DError(
            "no_audio", f"The sound of {user} is missing: {path}.", "Choose its sound again."
        )
    return path


def stage_audio(path: Path, folder: Path) -> str:
    """Make a sound reachable from `folder`, as a hard link where that works and as a copy elsewhere; its path relative to
    that folder, with forward slashes."""
    if path.resolve().is_relative_to(folder.resolve()):
        return path.resolve().relative_to(folder.resolve()).as_posix()
    target = folder / "audio" / path.name
    number = 1
    while target.exists() and not target.samefile(path) and not _is_copy(target, path):
        number += 1
        target = target.with_name(f"{path.stem}_{number}{path.suffix}")
    if not target.exists():
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path, target)
            except OSError:
                shutil.copy2(path, target)
        except OSError as error:
            target.unlink(missing_ok=True)
            raise Sonic4DError(
                "not_written",
                f"{path.name} can't be put into {folder}: {error.strerror}.",
                "Make room on the disk, or save the .blend file elsewhere.",
            ) from None
    return target.relative_to(folder).as_posix()


def _is_copy(target: Path, path: Path) -> bool:
    """Whether `target` is a copy made of `path`, which hasn't changed since."""
    copy, original = target.stat(), path.stat()
    return (copy.st_size, copy.st_mtime_ns) == (original.st_size, original.st_mtime_ns)
