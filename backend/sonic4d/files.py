"""Writing files and folders so that nobody ever sees half of one."""

from __future__ import annotations

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


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A temporary folder beside `target` that becomes `target` when the block ends well, and is removed otherwise.

    Raises `Sonic4DError` where `target` exists already or can't be written.
    """
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
    finally:
        shutil.rmtree(work, ignore_errors=True)


def write_json(target: Path, data: Any) -> None:
    """Write a JSON file (no NaN). Raises `Sonic4DError` if it can't be written."""
    with new_file(target) as path:
        path.write_text(json.dumps(data, allow_nan=False), encoding="utf-8")


def _not_written(target: Path, error: OSError) -> Sonic4DError:
    return Sonic4DError(
        "not_written",
        f"{target} can't be written: {error.strerror or error}.",
        "Make room on the disk or choose another folder.",
    )
