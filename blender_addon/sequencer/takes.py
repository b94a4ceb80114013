"""Takes: one new folder for each audio render, NAME_take001, NAME_take002, … Nothing in them is ever overwritten."""

from __future__ import annotations

import re
from pathlib import Path

import bpy

from ...backend.sonic4d.protocol import Sonic4DError

FOLDER = "sonic4d_takes"
MAX_NAME_LENGTH = 60


def project_folder() -> Path:
    """Where files that belong to the scene go: beside the saved .blend; before, into the user's Blender data."""
    if bpy.data.filepath:
        return Path(bpy.path.abspath("//"))
    return Path(bpy.utils.user_resource("DATAFILES", path="sonic4d"))


def file_name(name: str) -> str:
    """`name` with only characters that every file system takes."""
    return re.sub(r"[^\w-]+", "_", name).strip("_")[:MAX_NAME_LENGTH] or "shot"


def new_take(name: str) -> Path:
    """Make the folder of the next render of the shot called `name`. Raises `Sonic4DError` where it can't be written."""
    return new_folder(name, "take")


def new_folder(name: str, kind: str) -> Path:
    """Make the next folder NAME_KIND001, NAME_KIND002, … for files of the shot called `name`.

    Two Blenders that render the same shot at once get different ones. Raises `Sonic4DError` where it can't be written.
    """
    root = project_folder() / FOLDER
    stem = f"{file_name(name)}_{kind}"
    pattern = re.compile(re.escape(stem) + r"(\d+)")
    try:
        root.mkdir(parents=True, exist_ok=True)
        found = (pattern.fullmatch(entry.name) for entry in root.iterdir())
        number = 1 + max((int(match[1]) for match in found if match), default=0)
        while True:
            folder = root / f"{stem}{number:03}"
            try:
                folder.mkdir()
            except FileExistsError:
                number += 1
            else:
                return folder
    except OSError as error:
        raise Sonic4DError(
            "not_written",
            f"No take can be stored in {root}: {error.strerror}.",
            "Save the .blend file in a folder that you can write to.",
        ) from None
