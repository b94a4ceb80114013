"""Tests of the pretrained experts: with torch, on tiny random weights, never online."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny networks run several times faster so
os.environ["HF_HUB_OFFLINE"] = "1"
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture
def video(tmp_path: Path) -> Callable[..., Path]:
    """video(frames, rate) -> the path of a short clip with a tone."""

    def write(frames: np.ndarray, rate: int = 10) -> Path:
        from sonic4d.media.audio import write_wav
        from sonic4d.media.video import write_video
        from sonic4d.monitor import SILENT

        count = round(48000 * len(frames) / rate)
        tone = (0.1 * np.sin(np.arange(count) * 0.05)).astype(np.float32)
        write_wav(tmp_path / "tone.wav", tone, 48000)
        path = tmp_path / "clip.mp4"
        write_video(path, frames, Fraction(rate), tmp_path / "tone.wav", SILENT, len(frames))
        return path

    return write
