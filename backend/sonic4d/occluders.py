"""Obstacles that weaken the sound passing through them: surfaces of triangles, filled cells of a grid, or points.

In shot.json each is an object; docs/shot.md describes it. Its arrays are lists, or lie in a .npz file beside the shot.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import checks
from .materials import MATERIALS, OCTAVES_HZ
from .protocol import Sonic4DError

Array = npt.NDArray[Any]

MAX_OCCLUDERS = 1000
MAX_ROWS = 4_000_000  # of all arrays of a shot together
_MAX_CELL = 1 << 20  # in each direction
_FARTHEST_M = 1e6
# What each kind is made of: arrays (n, 3), whether they hold whole numbers, and how large those may be.
_ARRAYS = {
    "triangles": {"vertices": (False, _FARTHEST_M), "faces": (True, MAX_ROWS)},
    "voxels": {"cells": (True, _MAX_CELL)},
    "points": {"points": (False, _FARTHEST_M)},
}
KINDS = tuple(_ARRAYS)
_MOST_LOSS_DB = 200.0


@dataclass(frozen=True, eq=False)
class Occluder:
    """One obstacle, in world axes and metres, that stands still.

    kind "triangles": `arrays` vertices (n, 3) and faces (m, 3), indices of vertices. "voxels": cells (n, 3), whole
    numbers; cell (i, j, k) is the cube from origin + cell_m (i, j, k) to one cell further. "points": points (n, 3), each of
    which fills the cell of size `cell_m` that it lies in.
    transmission_loss_db (8,): what one pass through it takes, in `materials.OCTAVES_HZ`; `material` names where that
    comes from, `file` the .npz that the arrays come from, if they do.
    """

    name: str
    kind: str
    arrays: dict[str, Array]
    transmission_loss_db: tuple[float, ...]
    material: str | None = None
    cell_m: float | None = None
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    file: str | None = None

    def fingerprint(self) -> str:
        """Equal for obstacles that do the same to sound."""
        digest = hashlib.sha256(
            repr((self.kind, self.transmission_loss_db, self.cell_m, self.origin)).encode()
        )
        for array in self.arrays.values():
            digest.update(repr(array.shape).encode())
            digest.update(np.ascontiguousarray(array))
        return digest.hexdigest()

    def to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {"name": self.name, "kind": self.kind}
        if self.material is None:
            data["transmission_loss_db"] = list(self.transmission_loss_db)
        else:
            data["material"] = self.material
        if self.kind != "triangles":
            data["cell_m"] = self.cell_m
        if self.kind == "voxels":
            data["origin"] = list(self.origin)
        if self.file is not None:
            return data | {"file": self.file}
        return data | {name: array.tolist() for name, array in self.arrays.items()}


def occluders_from_json(data: Any, folder: Path, where: str) -> tuple[Occluder, ...]:
    """The obstacles of a shot; files are relative to `folder`. Raises `Sonic4DError` naming the key."""
    if not isinstance(data, list) or len(data) > MAX_OCCLUDERS:
        raise checks.fail(where, f"a list of at most {MAX_OCCLUDERS} obstacles is expected")
    occluders = []
    rows = 0
    for i, entry in enumerate(data):
        occluders.append(_from_json(entry, folder, f"{where}[{i}]"))
        rows += sum(len(array) for array in occluders[-1].arrays.values())
        if rows > MAX_ROWS:
            raise checks.fail(where, f"more than {MAX_ROWS} vertices, faces, cells and points")
    return tuple(occluders)


def _from_json(data: Any, folder: Path, where: str) -> Occluder:
    kind = checks.text(data.get("kind") if isinstance(data, dict) else None, f"{where}.kind", KINDS)
    arrays = _ARRAYS[kind]
    required = ("name", "kind") if kind == "triangles" else ("name", "kind", "cell_m")
    optional = ("material", "transmission_loss_db", "file", *arrays)
    data = checks.fields(
        data, where, required, (*optional, "origin") if kind == "voxels" else optional
    )
    cell_m = None
    if kind != "triangles":
        cell_m = checks.number(data["cell_m"], f"{where}.cell_m", 0.001, 100)
    material, loss_db = _loss_from_json(data, where)
    origin = checks.array(data.get("origin", [0, 0, 0]), f"{where}.origin", (3,))
    if (np.abs(origin) > _FARTHEST_M).any():
        raise checks.fail(f"{where}.origin", f"a value is beyond {_FARTHEST_M:g}")
    file = data.get("file")
    if file is None:
        missing = [name for name in arrays if name not in data]
        if missing:
            raise checks.fail(where, f'the key "{missing[0]}" is missing, or "file"')
        found = {name: _rows_from_json(data[name], f"{where}.{name}") for name in arrays}
    else:
        if any(name in data for name in arrays):
            raise checks.fail(where, f'"file" stands in for {", ".join(arrays)}; give one of them')
        path = checks.inside(folder, checks.text(file, f"{where}.file"), f"{where}.file")
        found = _rows_from_file(path, tuple(arrays), f"{where}.file")
    for name, (whole, limit) in arrays.items():
        found[name] = _checked(found[name], whole, limit, f"{where}.{name}")
    if kind == "triangles":
        faces = found["faces"]
        if faces.size and not 0 <= faces.min() <= faces.max() < len(found["vertices"]):
            raise checks.fail(f"{where}.faces", "a face has a vertex that doesn't exist")
    elif kind == "points" and np.abs(found["points"]).max(initial=0) > cell_m * _MAX_CELL:
        raise checks.fail(f"{where}.cell_m", "the cells are too small for points so far apart")
    return Occluder(
        checks.text(data["name"], f"{where}.name"),
        kind,
        found,
        loss_db,
        material,
        cell_m,
        tuple(origin.tolist()),
        file,
    )


def _loss_from_json(data: dict[str, Any], where: str) -> tuple[str | None, tuple[float, ...]]:
    """Of a material, or 8 numbers; 7 where 16 kHz is as 8 kHz."""
    if ("material" in data) == ("transmission_loss_db" in data):
        raise checks.fail(where, 'either "material" or "transmission_loss_db" is expected')
    if "material" in data:
        known = tuple(name for name, m in MATERIALS.items() if m.transmission_loss_db is not None)
        material = checks.text(data["material"], f"{where}.material", known)
        return material, MATERIALS[material].transmission_loss_db or ()
    values = data["transmission_loss_db"]
    where = f"{where}.transmission_loss_db"
    bands = len(OCTAVES_HZ)
    if not isinstance(values, list) or len(values) not in (bands - 1, bands):
        raise checks.fail(where, f"{bands} numbers are expected, one for each octave from 125 Hz")
    values = [checks.number(value, where, 0, _MOST_LOSS_DB) for value in values]
    return None, tuple(values + values[-1:] * (bands - len(values)))


def _rows_from_json(data: Any, where: str) -> Array:
    if not isinstance(data, list) or len(data) > MAX_ROWS:
        raise checks.fail(where, f"a list of at most {MAX_ROWS} rows of 3 numbers is expected")
    return checks.array(data or np.zeros((0, 3)), where, (len(data), 3))


def _rows_from_file(path: Path, names: tuple[str, ...], where: str) -> dict[str, Array]:
    """Arrays (n, 3) of a .npz file: the size that each claims is checked before it is read; nothing in it is run."""
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in names:
                with archive.open(f"{name}.npy") as file:
                    version = np.lib.format.read_magic(file)
                    read = np.lib.format.read_array_header_2_0
                    if version == (1, 0):
                        read = np.lib.format.read_array_header_1_0
                    shape, _, dtype = read(file)
                plain = dtype.kind in "fiu" and len(shape) == 2 and shape[1] == 3
                if not plain or shape[0] > MAX_ROWS:
                    raise checks.fail(where, f'"{name}" is {dtype} of shape {shape}, not (n, 3)')
                with archive.open(f"{name}.npy") as file:
                    found[name] = np.lib.format.read_array(file, allow_pickle=False)
    except FileNotFoundError:
        raise Sonic4DError("missing_file", f"{where}: there is no file {path}.") from None
    except KeyError:
        raise checks.fail(where, f"{path.name} has no array {' and '.join(names)}") from None
    except (
        *(OSError, ValueError, EOFError, RuntimeError, NotImplementedError),
        *(zipfile.BadZipFile, zlib.error),
    ):
        raise checks.fail(where, f"{path.name} is damaged or no .npz file") from None
    return found


def _checked(values: Array, whole: bool, limit: float, where: str) -> Array:
    """Rows of finite numbers as float64, or of whole numbers as int64."""
    plain = values.astype(np.float64)
    if not np.isfinite(plain).all():
        raise checks.fail(where, "a value is not a finite number")
    if (np.abs(plain) > limit).any():
        raise checks.fail(where, f"a value is beyond {limit:g}")
    if whole and (plain != np.floor(plain)).any():
        raise checks.fail(where, "whole numbers are expected")
    return plain.astype(np.int64) if whole else plain
