"""Writing files and folders so that nobody ever sees half of one."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .protocol import Sonic4DError


@contextmanager
def new_file(target: Path) -> Iterator[Path]:
    """A temporary file name beside `target` (same suffix) that becomes `target` when the block ends well.

    Otherwise nothing is left behind. Raises `Sonic4DError` where the disk is full or the folder can't be written.
    """
    check_new_file(target)
    try:
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise _not_written(target, error) from None
    try:
        path = work / target.name
        yield path
        with path.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(path, target)
    except OSError as error:
        raise _not_written(target, error) from None
    finally:
        shutil.rmtree(work, ignore_errors=True)


def check_new_file(target: Path) -> None:
    """Raise the `Sonic4DError` that long work before `new_file` would end in."""
    folder = target.parent
    try:
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError
        if not folder.exists():
            raise Sonic4DError(
                "missing_folder", f"There is no folder {folder}.", "Create it first."
            )
        if target.is_dir():
            raise Sonic4DError("exists", f"{target} is a folder.", "Choose another file name.")
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, "its folder is write-protected")
    except OSError as error:
        raise _not_written(target, error) from None


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A temporary folder beside `target` that becomes `target` when the block ends well, and is removed otherwise.

    Raises `Sonic4DError` where `target` exists already or can't be written.
    """
    if not target.name:
        raise Sonic4DError("bad_option", f"{target} names no folder to make.", "Give it a name.")
    if os.path.lexists(target):
        raise Sonic4DError(
            "exists", f"{target} exists already.", "Choose another name, or remove it first."
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise _not_written(target, error) from None
    try:
        yield work
        work.chmod(0o755)
        os.replace(work, target)
    except OSError as error:
        raise _not_written(target, error) from None
    except Sonic4DError as error:  # of a file in it
        message = error.message.replace(str(work), str(target))
        raise Sonic4DError(error.code, message, error.hint) from None
    finally:
        shutil.rmtree(work, ignore_errors=True)


def write_json(target: Path, data: Any) -> None:
    """Write a JSON file (no NaN). Raises `Sonic4DError` if it can't be written."""
    with new_file(target) as path:
        path.write_text(json.dumps(data, allow_nan=False), encoding="utf-8")


def _not_written(target: Path, error: OSError) -> Sonic4DError:
    why = error.strerror or str(error)
    if isinstance(error, (FileExistsError, NotADirectoryError)):
        why = "a file stands where a folder should be"
    return Sonic4DError(
        "not_written",
        f"{target} can't be written: {why.rstrip('.')}.",
        "Make room on the disk or choose another folder.",
    )
