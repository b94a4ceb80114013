"""Pickled checkpoints: checked, converted once, never run."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from fake_hub import Hub, hub
from sonic4d.experts import download, registry, store
from sonic4d.experts.choose import load
from sonic4d.experts.depth import depth_anything, video_depth_anything
from sonic4d.experts.machine import Machine
from sonic4d.experts.model import Model
from sonic4d.monitor import SILENT
from sonic4d.protocol import Sonic4DError

FILE = "video_depth_anything_vits.pth"


@pytest.fixture
def served(
    user_caches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[object], tuple[Hub, Model]]]:
    """served(checkpoint) -> a hub that has it, and the model whose checksum is its."""
    monkeypatch.setattr(download, "USER_IS_OFFLINE", False)
    with hub({}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)

        def serve(checkpoint: object) -> tuple[Hub, Model]:
            path = tmp_path / FILE
            torch.save(checkpoint, path)
            server.files = {FILE: path.read_bytes()}
            model = registry.find("video-depth-anything-small")
            (part,) = model.parts
            digest = f"sha256:{hashlib.sha256(server.files[FILE]).hexdigest()}"
            assert part.checkpoint is not None
            checkpoint_ = dataclasses.replace(part.checkpoint, digest=digest)
            part = dataclasses.replace(part, checkpoint=checkpoint_)
            model = dataclasses.replace(model, parts=(part,))
            monkeypatch.setitem(registry.MODELS, model.name, model)
            return server, model

        yield serve


def test_checkpoint_is_converted_once(
    served: Callable[[object], tuple[Hub, Model]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state, config = tiny.upstream_video_depth_anything()
    monkeypatch.setattr(video_depth_anything, "SMALL", config)
    server, model = served(state)
    folder = download.download(model, True, SILENT)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    kept = [path for path in store.models_folder().rglob("*.pth") if path.is_file()]
    assert not kept, "the pickle was kept"
    asked = len(server.requests)
    assert download.download(model, True, SILENT) == folder
    assert len(server.requests) == asked
    machine = Machine("cpu", "", 8.0, 8.0)
    monkeypatch.setattr(depth_anything, "SHORT_SIDE_CPU", 154)
    expert = load(store.locate(model.name), machine)
    frames = np.random.default_rng(0).integers(0, 255, (2, 60, 80, 3), np.uint8)
    assert expert(frames, SILENT).values.std() > 0


def test_pickle_that_runs_code_is_refused(
    served: Callable[[object], tuple[Hub, Model]], tmp_path: Path
) -> None:
    class Harm:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "harm"),)

    _, model = served({"weight": Harm()})
    with pytest.raises(Sonic4DError) as caught:
        download.download(model, True, SILENT)
    assert "not a plain table of weights" in caught.value.message
    assert not (tmp_path / "harm").exists()
    assert not store.is_cached(model)


def test_checkpoint_of_another_make(served: Callable[[object], tuple[Hub, Model]]) -> None:
    _, model = served({"head.projects.0.weight": "not a tensor"})
    with pytest.raises(Sonic4DError) as caught:
        download.download(model, True, SILENT)
    assert caught.value.code == "bad_model"
    assert not store.is_cached(model)


def test_wrong_checksum(served: Callable[[object], tuple[Hub, Model]]) -> None:
    server, model = served({"a": torch.ones(3)})
    server.files = {FILE: server.files[FILE] + b"0"}
    with pytest.raises(Sonic4DError) as caught:
        download.download(model, True, SILENT)
    assert caught.value.code == "bad_checksum"
