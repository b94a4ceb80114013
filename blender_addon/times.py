"""How long generating took on this machine, so that it can be said how long it will take."""

from __future__ import annotations

import json
from pathlib import Path

from ..backend.sonic4d.files import write_json
from ..backend.sonic4d.protocol import Sonic4DError, user_folder

_read: dict[str, float] = {}


def _file() -> Path:
    return user_folder("state") / "times.json"


def seconds_a_frame(depth: str) -> float | None:
    """Of the last generation with this choice of depth; None if there was none."""
    if not _read:
        try:
            times = json.loads(_file().read_text(encoding="utf-8"))
            _read.update({str(name): float(value) for name, value in times.items()})
        except (OSError, ValueError, TypeError, AttributeError):
            _read[""] = 0.0  # nothing is known, and the file isn't read again
    return _read.get(depth)


def remember(depth: str, seconds: float, frames: int) -> None:
    """Note how long a generation of so many frames took. Not being able to is no failure."""
    seconds_a_frame(depth)
    _read[depth] = seconds / max(frames, 1)
    try:
        _file().parent.mkdir(parents=True, exist_ok=True)
        write_json(_file(), {name: value for name, value in _read.items() if name})
    except (OSError, Sonic4DError):
        return
