"""Where a generation that didn't come to its end keeps what it had finished. Standard library only: Blender looks here, too."""

from __future__ import annotations

import hashlib
import shutil
import time
from contextlib import suppress
from pathlib import Path

from .protocol import user_folder

KEPT_DAYS = 7


def folder_of(video: Path) -> Path:
    """The folder for a video as it is now, which need not exist. Raises `OSError` where there is no such video."""
    state = video.stat()
    text = f"{video.resolve()} {state.st_size} {state.st_mtime_ns}"
    return _root() / hashlib.sha256(text.encode()).hexdigest()[:16]


def is_unfinished(video: Path) -> bool:
    """Whether a generation of this video can go on where it was interrupted."""
    with suppress(OSError):
        return any(folder_of(video).iterdir())
    return False


def forget(video: Path) -> None:
    """Remove what was kept of a video, as it is finished, and of others that nobody went on with for a week."""
    with suppress(OSError):
        shutil.rmtree(folder_of(video), ignore_errors=True)
        for folder in _root().iterdir():
            if time.time() - folder.stat().st_mtime > KEPT_DAYS * 86400:
                shutil.rmtree(folder, ignore_errors=True)


def _root() -> Path:
    return user_folder("cache") / "unfinished"
