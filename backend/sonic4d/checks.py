"""Validation of JSON that came from outside. Every failure names the place and what was expected."""

from __future__ import annotations

import math
import sys
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from .protocol import Sonic4DError


def fail(where: str, message: str) -> Sonic4DError:
    return Sonic4DError("bad_file", f"{where}: {message}.", "Correct it and try again.")


def _short(value: Any) -> str:
    """A value as an error message shows it, however large it is."""
    if isinstance(value, int) and abs(value) > 10**30:
        return "a number of many digits"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def fields(
    data: Any, where: str, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> dict[str, Any]:
    """A JSON object with exactly the keys named."""
    if not isinstance(data, dict):
        raise fail(where, "an object is expected here")
    for key in required:
        if key not in data:
            raise fail(where, f'the key "{key}" is missing')
    for key in data:
        if key not in required and key not in optional:
            known = ", ".join((*required, *optional))
            raise fail(where, f'unknown key "{key}" (known: {known})')
    return data


def number(value: Any, where: str, low: float = -math.inf, high: float = math.inf) -> float:
    plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not plain or not -sys.float_info.max <= value <= sys.float_info.max:
        raise fail(where, f"a finite number is expected, not {_short(value)}")
    if not low <= value <= high:
        raise fail(where, f"{value} is outside {low:g} to {high:g}")
    return float(value)


def integer(value: Any, where: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise fail(where, f"a whole number is expected, not {_short(value)}")
    if not low <= value <= high:
        raise fail(where, f"{_short(value)} is outside {low} to {high}")
    return value


def boolean(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise fail(where, f"true or false is expected, not {_short(value)}")
    return value


def text(
    value: Any, where: str, choices: tuple[str, ...] | None = None, *, allow_empty: bool = False
) -> str:
    if not isinstance(value, str) or not (value or allow_empty):
        raise fail(where, f"a text is expected, not {_short(value)}")
    if choices is not None and value not in choices:
        raise fail(where, f'"{value[:60]}" is not one of {", ".join(choices)}')
    return value


def texts(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise fail(where, f"a list of texts is expected, not {_short(value)}")
    return tuple(text(entry, where) for entry in value)


def frame_rate(value: Any, where: str) -> Fraction:
    """An exact rate written as a text: "24", "24000/1001"."""
    try:
        # Short and without exponent: "1e999999999" would take forever.
        plain = isinstance(value, str) and len(value) <= 40 and "e" not in value.lower()
        rate = Fraction(value) if plain else None
    except (ValueError, ZeroDivisionError):
        rate = None
    if rate is None or not 0 < rate <= 1000:
        raise fail(
            where, f'a frame rate such as "24" or "24000/1001" is expected, not {_short(value)}'
        )
    return rate


def array(
    value: Any, where: str, shape: tuple[int, ...], *, gaps: bool = False
) -> npt.NDArray[np.float64]:
    """A nested list of finite numbers of the given shape; with `gaps`, null stands for a row of NaN."""
    if gaps and isinstance(value, list):
        hole = np.full(shape[1:], np.nan).tolist()
        value = [hole if row is None else row for row in value]
    try:
        result = np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise fail(where, f"numbers of shape {shape} are expected") from None
    if result.shape != shape:
        raise fail(where, f"numbers of shape {shape} are expected, not {result.shape}")
    rows = result.reshape(len(result), -1) if result.size else result
    bad = ~np.isfinite(rows)
    if gaps and rows.ndim == 2:
        bad &= ~np.isnan(rows).all(axis=1, keepdims=True)
    if bad.any():
        raise fail(where, "a value is not a finite number")
    return result


def pose(value: npt.NDArray[np.float64], where: str) -> npt.NDArray[np.float64]:
    """(n, 4, 4) camera-to-world matrices: rigid, right-handed. Returns them."""
    rotation = value[:, :3, :3]
    identity_error = np.abs(rotation @ rotation.transpose(0, 2, 1) - np.eye(3)).max(initial=0)
    if identity_error > 1e-3 or (np.linalg.det(rotation) < 0).any():
        raise fail(where, "a pose must be a rotation and a position, without scale or mirroring")
    if np.abs(value[:, 3] - [0, 0, 0, 1]).max(initial=0) > 1e-6:
        raise fail(where, "the last row of a pose must be 0 0 0 1")
    return value


def inside(folder: Path, relative: str, where: str) -> Path:
    """The file `relative` of `folder`; refuses absolute paths, "..", and links that lead out."""
    pure = PurePosixPath(relative.replace("\\", "/"))
    if not pure.parts or "\0" in relative:
        raise fail(where, f"a file name is expected, not {_short(relative)}")
    path = (folder / pure).resolve()
    leaves = pure.is_absolute() or ".." in pure.parts or ":" in pure.parts[0]
    if leaves or not path.is_relative_to(folder.resolve()):
        raise fail(where, f'the path "{relative}" leaves the folder')
    return path
