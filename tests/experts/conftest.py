"""Tests of the pretrained experts: with torch, on tiny random weights, never online."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

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


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, user_caches: Path) -> None:
    """Nothing is looked up: there is no network, and no cache but the test's own."""

    def no_network(*_: Any) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)


@pytest.fixture
def model_into_cache(into_cache: Callable[..., Path]) -> Callable[[str, Path], list[str]]:
    """model_into_cache(name, folder) copies a model's folder into the caches; returns the commits of its parts."""

    def place(name: str, folder: Path) -> list[str]:
        from sonic4d.experts import registry, store

        parts = registry.find(name).parts
        for part in parts:
            source = folder / part.name
            into_cache(
                part, lambda to, source=source: shutil.copytree(source, to, dirs_exist_ok=True)
            )
        return [store.commit_of(part) for part in parts]

    return place
