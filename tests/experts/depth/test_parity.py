"""What the authors' code computed on the same weights and pictures (docs/parity.md), kept as numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tiny
from frozen_inputs import frames
from sonic4d.experts import store
from sonic4d.experts.depth import depthcrafter, video_depth_anything
from sonic4d.experts.machine import Machine
from sonic4d.monitor import SILENT

NUMBERS = json.loads((Path(__file__).parent / "data" / "upstream_numbers.json").read_text())
CPU = Machine("cpu", "", 16.0, 16.0)


def test_video_depth_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its checkpoint converted; 75 frames: 4 windows that are stitched."""
    state, config = tiny.upstream_video_depth_anything()
    monkeypatch.setattr(video_depth_anything, "SMALL", config)
    monkeypatch.setattr(video_depth_anything, "short_sides", lambda machine: [70])
    video_depth_anything.convert(iter([state]), tmp_path, tmp_path)
    name = "video-depth-anything-small"
    expert = video_depth_anything.load(store.locate(name, {name: tmp_path}), CPU)
    values = expert(frames(75, 54, 96), SILENT).values[::5, 5::11, 7::13]
    expected = np.reshape(NUMBERS["video-depth-anything"], values.shape)
    assert np.abs(values - expected).max() < 2e-5
    assert expected.std() > 0.5


def test_depthcrafter(tmp_path: Path) -> None:
    """14 frames: 3 windows of 6 that share 2."""
    tiny.depthcrafter(tmp_path)
    expert = depthcrafter.load(store.locate("depthcrafter", {"depthcrafter": tmp_path}), CPU)
    expert.window, expert.overlap = 6, 2
    values = expert(frames(14, 64, 64), SILENT).values[::3, 5::11, 7::13]
    expected = np.reshape(NUMBERS["depthcrafter"], values.shape)
    assert np.abs(values - expected).max() < 2e-5
    assert expected.std() > 0.1
