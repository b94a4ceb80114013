"""Obstacles in shot.json: there and back, from files, and everything wrong refused by name."""

from __future__ import annotations

import io
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sonic4d.materials import MATERIALS
from sonic4d.occluders import occluders_from_json
from sonic4d.protocol import Sonic4DError

WALL: dict[str, Any] = {
    "name": "wall",
    "kind": "triangles",
    "material": "concrete",
    "vertices": [[-2, 3, 0], [2, 3, 0], [2, 3, 3], [-2, 3, 3]],
    "faces": [[0, 1, 2], [0, 2, 3]],
}
CRATE: dict[str, Any] = {
    "name": "crate",
    "kind": "voxels",
    "transmission_loss_db": [1, 2, 3, 4, 5, 6, 7],
    "origin": [0, 2, 0],
    "cell_m": 0.25,
    "cells": [[0, 0, 0], [-1, 0, 5]],
}
HEDGE: dict[str, Any] = {
    "name": "hedge",
    "kind": "points",
    "material": "curtain",
    "cell_m": 0.1,
    "points": [[0.5, 1, 2], [3, 4, 5], [1e-3, -7, 0]],
}


def read(folder: Path, *entries: Any) -> Any:
    return occluders_from_json(list(entries), folder, "occluders")


def test_there_and_back(tmp_path: Path) -> None:
    first = read(tmp_path, WALL, CRATE, HEDGE)
    text = json.dumps([occluder.to_json() for occluder in first])
    second = read(tmp_path, *json.loads(text))
    assert json.dumps([occluder.to_json() for occluder in second]) == text
    assert [o.fingerprint() for o in first] == [o.fingerprint() for o in second]
    assert first[0].transmission_loss_db == MATERIALS["concrete"].transmission_loss_db
    assert first[1].transmission_loss_db == (1, 2, 3, 4, 5, 6, 7, 7)
    np.testing.assert_array_equal(first[1].arrays["cells"], CRATE["cells"])


def test_fingerprints_tell_obstacles_apart(tmp_path: Path) -> None:
    changed = [
        WALL,
        WALL | {"material": "glass"},
        WALL | {"faces": WALL["faces"][:1]},
        CRATE,
        CRATE | {"cell_m": 0.3},
        CRATE | {"origin": [0, 2, 1]},
    ]
    assert len({o.fingerprint() for o in read(tmp_path, *changed)}) == len(changed)
    renamed = WALL | {"name": "other"}
    assert len({o.fingerprint() for o in read(tmp_path, WALL, renamed)}) == 1


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_from_a_file(tmp_path: Path, save: Any) -> None:
    vertices = np.array(WALL["vertices"], np.float32)
    (tmp_path / "sub").mkdir()
    save(tmp_path / "sub" / "w.npz", vertices=vertices, faces=np.array(WALL["faces"], np.int32))
    entry = {k: v for k, v in WALL.items() if k not in ("vertices", "faces")}
    (found,) = read(tmp_path, entry | {"file": "sub/w.npz"})
    (inline,) = read(tmp_path, WALL)
    assert found.fingerprint() == inline.fingerprint()
    assert found.to_json() == entry | {"file": "sub/w.npz"}


def without(entry: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in keys}


WRONG: list[tuple[Any, str]] = [
    (5, "kind"),
    ({}, "kind"),
    (WALL | {"kind": "sphere"}, "kind"),
    (without(WALL, "name"), '"name" is missing'),
    (without(WALL, "faces"), '"faces" is missing'),
    (without(WALL, "material"), "either"),
    (WALL | {"transmission_loss_db": [0] * 8}, "either"),
    (WALL | {"material": "acoustic_tile"}, "material"),
    (WALL | {"material": "kryptonite"}, "material"),
    (WALL | {"cell_m": 1}, 'unknown key "cell_m"'),
    (WALL | {"file": "w.npz"}, "stands in for"),
    (WALL | {"faces": [[0, 1, 4]]}, "vertex that doesn't exist"),
    (WALL | {"faces": [[0, 1, -1]]}, "vertex that doesn't exist"),
    (WALL | {"faces": [[0, 1, 2.5]]}, "whole numbers"),
    (WALL | {"faces": [[0, 1]]}, "faces"),
    (WALL | {"vertices": [[0, 1, math.nan]] * 4}, "not a finite number"),
    (WALL | {"vertices": [[0, 1, 1e9]] * 4}, "beyond"),
    (WALL | {"vertices": "many"}, "vertices"),
    (CRATE | {"cells": [[0, 0, 1 << 21]]}, "beyond"),
    (CRATE | {"cell_m": 0}, "cell_m"),
    (CRATE | {"origin": [math.inf, 0, 0]}, "origin"),
    (CRATE | {"origin": [1e300, 0, 0]}, "origin"),
    (CRATE | {"transmission_loss_db": [1, 2, 3]}, "8 numbers"),
    (CRATE | {"transmission_loss_db": [-1] * 8}, "transmission_loss_db"),
    (CRATE | {"transmission_loss_db": [math.nan] * 8}, "transmission_loss_db"),
    (HEDGE | {"cell_m": 0.001, "points": [[1e5, 0, 0]]}, "too small"),
    (without(HEDGE, "points") | {"file": "../h.npz"}, "leaves the folder"),
    (without(HEDGE, "points") | {"file": "absent.npz"}, "no file"),
]


@pytest.mark.parametrize(("entry", "named"), WRONG)
def test_what_is_wrong_is_named(tmp_path: Path, entry: Any, named: str) -> None:
    with pytest.raises(Sonic4DError, match=named) as caught:
        read(tmp_path, WALL, entry)
    assert "occluders[1]" in caught.value.message


def test_nothing_and_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(tmp_path) == ()
    for data in ({}, None, [WALL] * 1001):
        with pytest.raises(Sonic4DError, match="a list of at most 1000"):
            occluders_from_json(data, tmp_path, "occluders")
    monkeypatch.setattr("sonic4d.occluders.MAX_ROWS", 10)
    with pytest.raises(Sonic4DError, match="more than 10 vertices"):
        read(tmp_path, WALL, WALL)


def npy(array: np.ndarray, allow_pickle: bool = False) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=allow_pickle)
    return stream.getvalue()


BROKEN: dict[str, bytes | None] = {
    "no zip": None,
    "objects": npy(np.array([[{}] * 3]), allow_pickle=True),
    "complex": npy(np.zeros((2, 3), complex)),
    "a row": npy(np.zeros(3)),
    "four columns": npy(np.zeros((2, 4))),
    "not numbers": npy(np.full((2, 3), np.nan)),
    "infinite": npy(np.full((2, 3), np.inf, np.float32)),
    "giant": npy(np.zeros((2, 3))).replace(b"(2, 3), }           ", b"(900000000000, 3), }"),
    "more than there is": npy(np.zeros((2, 3))).replace(b"(2, 3), }     ", b"(300000, 3), }"),
    "cut": npy(np.zeros((2, 3)))[:-9],
    "no array": b"hello",
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_files_are_refused(tmp_path: Path, what: str) -> None:
    content = BROKEN[what]
    path = tmp_path / "h.npz"
    path.write_bytes(b"not a zip")
    if content is not None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("points.npy", content)
    with pytest.raises(Sonic4DError, match=r"occluders\[0\]"):
        read(tmp_path, without(HEDGE, "points") | {"file": "h.npz"})


def test_a_file_without_the_array(tmp_path: Path) -> None:
    np.savez(tmp_path / "h.npz", dots=np.zeros((2, 3)))
    with pytest.raises(Sonic4DError, match="has no array points"):
        read(tmp_path, without(HEDGE, "points") | {"file": "h.npz"})
