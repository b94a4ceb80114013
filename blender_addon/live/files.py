"""The files of live updates: a new one each time, in one folder a session; superseded ones are removed.

Blender keeps a sound's file open, undo goes back to earlier ones, and a saved .blend file names one: those stay.
"""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Iterable
from pathlib import Path

import bpy

from ..scene.paths import absolute
from ..sequencer import takes

_KEPT = 12


class _Files:
    folder: Path | None = None
    made: deque[Path] = deque()
    number = 0
    saved: set[Path] = set()


def folder(name: str) -> Path:
    """Where live updates of this session go, for the open .blend file. Raises `Sonic4DError` where it can't be written."""
    root = takes.project_folder() / takes.FOLDER
    if _Files.folder is None or _Files.folder.parent != root or not _Files.folder.is_dir():
        _Files.folder = takes.new_folder(name, "live")
        _Files.number = 0
    return _Files.folder


def new_file(folder: Path) -> Path:
    """A file name that has never been used."""
    _Files.number += 1
    wav = folder / f"live_{_Files.number:04}.wav"
    _Files.made.append(wav)
    return wav


def superseded() -> list[Path]:
    """Forget all but the newest files and those in use, and tell them: to `remove`, which may take a while."""
    needed = _in_use() | _Files.saved | set(list(_Files.made)[-_KEPT:])
    old = [wav for wav in _Files.made if wav not in needed]
    for wav in old:
        _Files.made.remove(wav)
    return old


def remove(wavs: Iterable[Path]) -> None:
    """Remove files and what lies beside them under their names."""
    for wav in wavs:
        for path in wav.parent.glob(f"{wav.stem}.*"):
            path.unlink(missing_ok=True)


def note_saved() -> None:
    """The .blend file on disk names the files that are in use now."""
    _Files.saved = _in_use()


def end(keep_used: bool) -> None:
    """End the session: keep only what the saved .blend file names and, with `keep_used`, what is in use."""
    needed = _Files.saved | (_in_use() if keep_used else set())
    folders = {wav.parent for wav in _Files.made}
    remove(wav for wav in _Files.made if wav not in needed)
    for place in folders | ({_Files.folder} if _Files.folder else set()):
        if not any(place.glob("live_*.wav")):
            shutil.rmtree(place, ignore_errors=True)
    _Files.folder, _Files.number, _Files.saved = None, 0, set()
    _Files.made.clear()


def _in_use() -> set[Path]:
    return {absolute(sound.filepath, sound.library) for sound in bpy.data.sounds}
