"""Folders that look like models and hold nothing."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from sonic4d.experts.model import Part


def safetensors(path: Path, payload: bytes = b"\0" * 16) -> None:
    """The smallest file that has the form."""
    entry = {"dtype": "F32", "shape": [len(payload) // 4], "data_offsets": [0, len(payload)]}
    header = json.dumps({"t": entry}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + payload)


@pytest.fixture
def hollow() -> Callable[[Part, Path], None]:
    """hollow(part, folder): the files of a part, of the right form."""

    def write(part: Part, folder: Path) -> None:
        for component, kind in part.components.items():
            place = folder / component
            place.mkdir(parents=True, exist_ok=True)
            name = kind.replace("*", "")
            (place / "config.json").write_text(json.dumps({"model_type": name}))
            safetensors(place / "model.safetensors")
        for name in part.needs:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("{}")

    return write
