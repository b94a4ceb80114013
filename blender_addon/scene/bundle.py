"""Reads a scene bundle's bundle.json and checks that its files are whole. No Blender in here.

The format is defined by `bundle.py` of the backend, which can't be imported: it needs the backend's libraries.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ...backend.sonic4d.protocol import Sonic4DError

BUNDLE_VERSION = 1
BUNDLE_JSON = "bundle.json"
CLIP = "source.mp4"
BACKGROUND = "background.ply"
CLOUD_FILES = "cloud/f_####.ply"  # #### is the number of the frame, from 0001 on

ROOM_KINDS = ("shoebox", "half_space", "free_field")
MAX_PICTURE = 65536

_HEADER_BYTES = 4096
_PLY_SIZES = {"float": 4, "uchar": 1}
_PLY_NAMES = {"x", "y", "z", "red", "green", "blue", "confidence", "radius", "synthetic"}


@dataclass(frozen=True)
class Source:
    """A sounding object: positions (n_frames, 3) in metres, confidence (n_frames,) in 0..1."""

    name: str
    audio: Path
    positions: np.ndarray
    confidence: np.ndarray
    found_by: str


@dataclass(frozen=True)
class Bundle:
    """What Blender needs of a bundle. cameras (n_frames, 4, 4): camera-to-world; intrinsics and sizes in pixels."""

    folder: Path
    name: str
    frame_rate: Fraction
    intrinsics: dict[str, float]
    cameras: np.ndarray
    approximate: bool
    move_limit_deg: float | None
    has_background: bool
    sources: tuple[Source, ...]
    room: dict[str, Any]
    warnings: tuple[str, ...]
    credits: str

    @property
    def frame_count(self) -> int:
        return len(self.cameras)


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle folder. Raises `Sonic4DError` where it isn't one, or is incomplete or damaged."""
    data = _read_json(folder)
    try:
        bundle = _from_json(data, folder)
    except (KeyError, TypeError, ValueError, OverflowError, ZeroDivisionError) as error:
        problem = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise _damaged(f"{BUNDLE_JSON} in {folder.name}: {problem}") from None
    for i in range(bundle.frame_count):
        _check_ply(folder / CLOUD_FILES.replace("####", f"{i + 1:04}"))
    if bundle.has_background:
        _check_ply(folder / BACKGROUND)
    for path in (folder / CLIP, *[source.audio for source in bundle.sources]):
        if not path.is_file():
            raise _damaged(f"{path.name} is missing in {folder.name}")
    return bundle


def _damaged(problem: str) -> Sonic4DError:
    return Sonic4DError(
        "bad_bundle", f"{problem}.", "Copy the whole folder again, or generate the scene again."
    )


def _read_json(folder: Path) -> Any:
    path = folder / BUNDLE_JSON
    if not path.is_file():
        raise Sonic4DError(
            "missing_bundle",
            f"{folder} is not a scene bundle: it has no {BUNDLE_JSON}.",
            "Choose a folder that ends in .sonic4d.",
        )
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _damaged(f"{path} can't be read: {error.strerror}") from None
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise _damaged(f"{path} is damaged") from None
    version = data.get("sonic4d_bundle") if isinstance(data, dict) else None
    if version != BUNDLE_VERSION:
        raise Sonic4DError(
            "bad_bundle",
            f"{folder.name} has the bundle version {version}; this add-on reads {BUNDLE_VERSION}.",
            "Update the add-on, or generate the scene again.",
        )
    return data


def _from_json(data: dict[str, Any], folder: Path) -> Bundle:
    cameras = _numbers(data["cameras"], "cameras", (-1, 4, 4))
    n = len(cameras)
    if n == 0 or n != data["frame_count"]:
        raise ValueError("the number of cameras is not the number of frames")
    rate = Fraction(data["frame_rate"])
    if not 0 < rate <= 1000:
        raise ValueError(f"the frame rate is {rate}")
    k = {
        key: _number(data["intrinsics"][key], key)
        for key in ("width", "height", "fx", "fy", "cx", "cy")
    }
    if min(k["width"], k["height"]) < 1 or min(k["fx"], k["fy"]) <= 0:
        raise ValueError("the camera's focal length or picture size is not positive")
    if max(k["width"], k["height"]) > MAX_PICTURE:
        raise ValueError(f"the picture is larger than {MAX_PICTURE} pixels")
    limit = data["depth"]["move_limit_deg"]
    room = data["room"]
    if room["kind"] not in ROOM_KINDS:
        raise ValueError(f"the room is of the unknown kind {room['kind']}")
    return Bundle(
        folder=folder,
        name=str(data["name"]),
        frame_rate=rate,
        intrinsics=k,
        cameras=cameras,
        approximate=bool(data["depth"]["approximate"]),
        move_limit_deg=None if limit is None else _number(limit, "move_limit_deg"),
        has_background=bool(data["has_background"]),
        sources=tuple(_source(source, n, folder) for source in data["sources"]),
        room={
            "kind": room["kind"],
            "center": _numbers(room["center"], "room.center", (3,)),
            "size": _numbers(room["size"], "room.size", (3,)),
            "yaw_deg": _number(room["yaw_deg"], "room.yaw_deg"),
            "rt60_s": _number(room["rt60_s"], "room.rt60_s"),
        },
        warnings=tuple(map(str, data["warnings"])),
        credits=str(data["credits"]),
    )


def _source(data: dict[str, Any], n: int, folder: Path) -> Source:
    audio = (folder / str(data["audio"])).resolve()
    if not audio.is_relative_to(folder.resolve()):
        raise ValueError(f"the sound {data['audio']} lies outside of the folder")
    return Source(
        name=str(data["name"]),
        audio=audio,
        positions=_numbers(data["positions"], "positions", (n, 3)),
        confidence=_numbers(data["confidence"], "confidence", (n,)),
        found_by=str(data["found_by"]),
    )


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{name} is not a number")
    return value


def _numbers(value: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} is not a table of numbers") from None
    expected = tuple(
        size if want == -1 else want for want, size in zip(shape, array.shape, strict=False)
    )
    if array.ndim != len(shape) or array.shape != expected or not np.isfinite(array).all():
        raise ValueError(f"{name} is incomplete or not finite")
    return array


def _check_ply(path: Path) -> None:
    """A point file is binary, has the attributes of a bundle, and is as long as its header says."""
    if not path.is_file():
        raise _damaged(f"The points {path.name} are missing in {path.parent}")
    with path.open("rb") as file:
        head = file.read(_HEADER_BYTES)
    header, end, _ = head.partition(b"end_header\n")
    text = header.decode("ascii", "replace")
    count = re.search(r"^element vertex (\d+)$", text, re.MULTILINE)
    properties = re.findall(r"^property (\w+) (\w+)$", text, re.MULTILINE)
    known = all(kind in _PLY_SIZES for kind, _ in properties)
    names = {name for _, name in properties}
    if not end or "format binary_little_endian 1.0" not in text or not count or not known:
        raise _damaged(f"{path.name} is not a point file of a scene bundle")
    if not names >= _PLY_NAMES:
        lacking = ", ".join(sorted(_PLY_NAMES - names))
        raise _damaged(f"The points {path.name} lack {lacking}")
    stride = sum(_PLY_SIZES[kind] for kind, _ in properties)
    if path.stat().st_size != len(header) + len(end) + int(count[1]) * stride:
        raise _damaged(f"The points {path.name} are cut off or damaged")
