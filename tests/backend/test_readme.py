"""What the README shows in Python runs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

README = Path(__file__).parents[2] / "README.md"


def test_the_python_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    soundfile.write(tmp_path / "bell.wav", np.sin(np.arange(24_000) / 20), 48_000)
    shot = {
        "sonic4d_shot": 1,
        "name": "example",
        "frame_rate": "24",
        "frame_start": 1,
        "frame_end": 12,
        "listener": {"poses": np.tile(np.eye(4), (12, 1, 1)).tolist()},
        "sources": [
            {"name": "bell", "audio": "bell.wav", "positions": [[0.0, 0.0, -2.0]] * 12},
        ],
        "room": {
            "kind": "shoebox",
            "center": [0, 0, 0],
            "size": [5, 4, 3],
            "yaw_deg": 0,
            "rt60_s": None,
            "materials": {"all": "plastered_brick", "floor": "thick_carpet"},
        },
        "render": {},
    }
    (tmp_path / "shot.json").write_text(json.dumps(shot))
    monkeypatch.chdir(tmp_path)
    exec(example, {})
    assert soundfile.info(tmp_path / "ambix3.wav").channels == 16
