"""A lock that a process holds, in whatever way it ends: two Blenders must not install into one folder at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...backend.sonic4d.protocol import Sonic4DError


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file, which is made and stays. Raises `Sonic4DError` ("busy") if another process holds it."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise Sonic4DError(
            "not_writable",
            f"{path.parent} can't be written: {error.strerror}.",
            "Choose another folder.",
        ) from None
    try:
        try:
            _lock(handle)
        except OSError:
            raise Sonic4DError(
                "busy",
                "Another Blender is installing the backend just now.",
                "Wait until it is done, and try again.",
            ) from None
        yield
    finally:
        os.close(handle)  # gives the lock back


def _lock(handle: int) -> None:
    """Raises `OSError` if it is held."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
