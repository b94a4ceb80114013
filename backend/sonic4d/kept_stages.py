"""The long stages of a generation, kept in files until it is finished: one that was interrupted goes on from there."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import __version__
from .files import new_file
from .monitor import Monitor
from .protocol import Sonic4DError

# Arrays by their names, and what can be written as JSON.
Contents = tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]
_INFO = "info"


def kept_stage(
    folder: Path, stage: str, key: Sequence[Any], make: Callable[[], Contents], monitor: Monitor
) -> Contents:
    """What `make` gave for this `key` when it was interrupted later on; else what it gives, kept in `folder`.

    key: all that the result follows from: arrays, and what has a `repr` that says all.
    """
    path = folder / f"{stage}_{_digest(key)}.npz"
    with suppress(OSError, ValueError, KeyError, zipfile.BadZipFile):
        contents = _read(path)
        monitor.log(f"The {stage} is taken over from the generation that was interrupted.")
        return contents
    contents = make()
    with suppress(OSError, Sonic4DError):  # a full disk is no reason to stop
        _write(path, *contents)
    return contents


def _digest(key: Sequence[Any]) -> str:
    digest = hashlib.sha256(__version__.encode())
    for part in key:
        plain = np.ascontiguousarray(part) if isinstance(part, np.ndarray) else None
        digest.update(repr(part).encode() if plain is None else repr(plain.shape).encode())
        if plain is not None:
            digest.update(plain.data)
    return digest.hexdigest()[:32]


def _read(path: Path) -> Contents:
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    return arrays, json.loads(str(arrays.pop(_INFO)))


def _write(path: Path, arrays: dict[str, npt.NDArray[Any]], info: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with new_file(path) as work:
        np.savez(work, **arrays, **{_INFO: np.array(json.dumps(info))})
