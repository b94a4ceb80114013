"""Point sets as PLY (binary little-endian): the form in which Blender's Import PLY node reads them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ..files import new_file
from ..protocol import Sonic4DError
from ..scene.depth import Points

_VERTEX = np.dtype(
    [(axis, "<f4") for axis in ("x", "y", "z")]
    + [(channel, "u1") for channel in ("red", "green", "blue")]
    + [(name, "<f4") for name in ("confidence", "radius", "synthetic")]
)
_TYPES = {"<f4": "float", "|u1": "uchar"}
MAX_HEADER_BYTES = 4096


def _header(count: int) -> bytes:
    properties = [
        f"property {_TYPES[kind.str]} {name}" for name, (kind, _) in _VERTEX.fields.items()
    ]
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {count}", *properties]
    return "\n".join([*lines, "end_header", ""]).encode("ascii")


def write_ply(path: Path, points: Points) -> None:
    """Write x y z (metres), red green blue (0..255), confidence (0..1), radius (metres), synthetic (0 or 1).

    Raises `Sonic4DError` if it can't be written.
    """
    vertices = np.empty(len(points), _VERTEX)
    for axis, values in zip("xyz", points.xyz.T, strict=True):
        vertices[axis] = values
    for channel, values in zip(("red", "green", "blue"), points.rgb.T, strict=True):
        vertices[channel] = values
    vertices["confidence"] = points.confidence
    vertices["radius"] = points.radius_m
    vertices["synthetic"] = points.synthetic
    with new_file(path) as work, work.open("wb") as file:
        file.write(_header(len(points)))
        file.write(vertices.tobytes())


def read_ply(path: Path) -> Points:
    """Read what `write_ply` wrote. Raises `Sonic4DError` for anything else, truncated files and values that are not numbers."""
    count, start = check_ply(path)
    vertices = np.fromfile(path, _VERTEX, count, offset=start)
    if len(vertices) != count:
        raise _bad(path, "it is truncated")
    xyz = np.stack([vertices[axis] for axis in "xyz"], axis=1)
    points = Points(
        xyz,
        np.stack([vertices[channel] for channel in ("red", "green", "blue")], axis=1),
        vertices["confidence"].copy(),
        vertices["radius"].copy(),
        vertices["synthetic"] > 0.5,
    )
    finite = [np.isfinite(values).all() for values in (xyz, points.confidence, points.radius_m)]
    if not all(finite):
        raise _bad(path, "it holds values that are not numbers")
    return points


def check_ply(path: Path) -> tuple[int, int]:
    """Number of points and the byte at which they begin, from the header alone.

    Raises `Sonic4DError` unless the file was written by `write_ply` and has exactly the size that its header promises.
    """
    try:
        with path.open("rb") as file:
            head = file.read(MAX_HEADER_BYTES)
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        raise Sonic4DError("missing_file", f"There is no file {path}.", "Check the path.") from None
    except OSError as error:
        raise Sonic4DError("unreadable_file", f"{path} can't be read: {error.strerror}.") from None
    header, end, _ = head.partition(b"end_header\n")
    words = header.split()
    place = words.index(b"vertex") + 1 if b"vertex" in words else len(words)
    digits = words[place] if place < len(words) else b""
    count = int(digits) if digits.isdigit() and len(digits) < 12 else -1
    if count < 0 or header + end != _header(count):
        raise _bad(path, "it is not a point set as Sonic4D writes it")
    start = len(header + end)
    if size != start + count * _VERTEX.itemsize:
        raise _bad(path, f"its size doesn't fit {count} points; it is truncated or damaged")
    return count, start


def _bad(path: Path, why: str) -> Sonic4DError:
    return Sonic4DError(
        "bad_ply",
        f"{path} can't be used: {why}.",
        "Generate the scene again, or copy the whole folder.",
    )
