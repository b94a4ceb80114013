"""Where the backend is: its source, its managed environment, and the Python that runs it."""

from __future__ import annotations

import os
from pathlib import Path

import bpy

from . import compat
from .client import environment

SOURCE = Path(__file__).resolve().parent.parent / "backend"


def preferences() -> bpy.types.AddonPreferences | None:
    """The add-on's preferences; None where it runs without being enabled as an add-on (scripts)."""
    addon = bpy.context.preferences.addons.get(compat.ADDON)
    return addon.preferences if addon else None


def managed_folder() -> Path:
    """Where the managed environment is made: where the preferences say, else in the extension's own folder, which outlives
    updates."""
    chosen = chosen_path("folder")
    if chosen:
        return chosen
    if compat.ADDON.startswith("bl_ext."):
        return Path(bpy.utils.extension_path_user(compat.ADDON, path="backend"))
    return Path(bpy.utils.user_resource("DATAFILES", path="sonic4d/backend"))


def python() -> Path:
    """The Python to run the backend with. Raises `Sonic4DError` where there is none."""
    return environment.resolve(managed_folder(), SOURCE, chosen_path("python"))


def override() -> str:
    """The Python that the environment variable names; empty where it doesn't."""
    return os.environ.get(environment.OVERRIDE, "")


def chosen_path(name: str) -> Path | None:
    """A path from the preferences; None where it is left empty."""
    text = getattr(preferences(), name, "")
    return Path(bpy.path.abspath(text)) if text else None
