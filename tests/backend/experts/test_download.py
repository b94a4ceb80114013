"""Downloading, from a hub on this machine: licence, room, progress, resuming, checksums, cancel. No torch."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_hub import COMMIT, Hub, hub
from sonic4d.experts import download, registry, store
from sonic4d.experts.model import Licence, Model, Part
from sonic4d.monitor import SILENT, Cancelled, Monitor
from sonic4d.protocol import Sonic4DError

SIZE = 200_000
LARGE = 24 << 20  # the hub's library writes pieces of 10 MiB


def weights(seed: int = 0, size: int = SIZE) -> bytes:
    payload = bytes([seed]) * size
    entry = {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}
    header = json.dumps({"t": entry}).encode()
    return len(header).to_bytes(8, "little") + header + payload


FILES = {
    "config.json": b'{"model_type": "small"}',
    "model.safetensors": weights(),
    "training/huge.bin": b"not asked for",
}


@pytest.fixture
def server(user_caches: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub(FILES) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setattr(download, "USER_IS_OFFLINE", False)
        yield server


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    """A small model, whose commit the registry doesn't know."""
    part = Part(
        repo="owner/small",
        commit=None,
        files=("config.json", "*.safetensors"),
        size_bytes=SIZE,
        licence=Licence("Some-1.0", "https://example.org/licence", commercial=False),
        components={"": "small"},
        sha256={"model.safetensors": hashlib.sha256(weights()).hexdigest()},
    )
    model = Model("small", "depth", "for tests", (part,), 1.0)
    monkeypatch.setitem(registry.MODELS, "small", model)
    return model


@pytest.fixture
def large(server: Hub, model: Model, monkeypatch: pytest.MonkeyPatch) -> Model:
    """The same, too large to come in one piece."""
    server.files = {**FILES, "model.safetensors": weights(size=LARGE)}
    part = dataclasses.replace(model.parts[0], sha256={})
    model = dataclasses.replace(model, parts=(part,))
    monkeypatch.setitem(registry.MODELS, "small", model)
    return model


def failure(model: Model, accept: bool = True) -> Sonic4DError:
    with pytest.raises(Sonic4DError) as caught:
        download.download(model, accept, SILENT)
    return caught.value


def test_download_pins_the_commit_and_takes_only_what_is_needed(server: Hub, model: Model) -> None:
    events: list[dict[str, Any]] = []
    folder = download.download(model, True, Monitor(events.append, lambda: False))
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    ready = store.locate("small")
    assert (ready.folder, ready.commit) == (folder, COMMIT)
    done = [event for event in events if event["stage"] == "download" and event["total"] > 1]
    assert done[-1]["total"] == len(FILES["config.json"]) + len(FILES["model.safetensors"])
    assert all(event["done"] <= event["total"] for event in done)
    asked = len(server.requests)
    assert download.download(model, False, SILENT) == folder
    assert len(server.requests) == asked, "what is here needs neither network nor licence"


def test_licence_has_to_be_accepted(server: Hub, model: Model) -> None:
    error = failure(model, accept=False)
    assert error.code == "licence_not_accepted"
    assert "Some-1.0: https://example.org/licence" in error.message
    assert "does not allow commercial use" in error.message
    assert error.hint.endswith("sonic4d models download small --accept-licence")
    assert not server.requests


def test_download_goes_on_where_it_broke_off(server: Hub, large: Model) -> None:
    server.cut_at["model.safetensors"] = 15 << 20
    # The hub's library tries again by itself, from the same byte.
    folder = download.download(large, True, SILENT)
    assert (folder / "model.safetensors").read_bytes() == server.files["model.safetensors"]
    spans = [span for method, path, span in server.requests if span and method == "GET"]
    assert spans
    assert int(spans[-1].removeprefix("bytes=").split("-")[0]) > 0


def test_cancel_within_two_seconds_and_resume(server: Hub, large: Model) -> None:
    server.cut_at["model.safetensors"] = 22 << 20
    server.pause = threading.Event()
    stop = threading.Event()
    asked_at: list[float] = []

    def report(event: dict[str, Any]) -> None:
        if event["done"] > 5 << 20 and not stop.is_set():
            asked_at.append(time.monotonic())
            stop.set()

    with pytest.raises(Cancelled):
        download.download(large, True, Monitor(report, stop.is_set))
    assert time.monotonic() - asked_at[0] < 2
    assert not store.is_cached(large)
    server.pause.set()
    server.requests.clear()
    download.download(large, True, SILENT)
    assert store.is_cached(large)
    spans = [span for method, _, span in server.requests if span and method == "GET"]
    assert spans, "it began anew"


def test_wrong_file_is_deleted(server: Hub, model: Model) -> None:
    server.files = {**FILES, "model.safetensors": weights(seed=1)}
    error = failure(model)
    assert error.code == "bad_checksum"
    assert not store.is_cached(model)
    server.files = FILES
    download.download(model, True, SILENT)
    assert store.is_cached(model)


def test_disk_without_room(server: Hub, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1 << 30))
    error = failure(model)
    assert error.code == "disk_full"
    assert not [
        path for method, path, _ in server.requests if method == "GET" and "resolve" in path
    ]


def test_offline(server: Hub, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "USER_IS_OFFLINE", True)
    assert failure(model).code == "offline"
    assert not server.requests


def test_what_the_hub_refuses(server: Hub, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    server.gated = True
    error = failure(model)
    assert error.code == "gated"
    assert "HF_TOKEN" in error.hint
    server.gated = False
    server.files = {"README.md": b""}
    assert failure(model).code == "not_found"
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    error = failure(model)
    assert error.code == "no_network"
    assert "goes on where it broke off" in error.hint


def test_damaged_model_is_downloaded_again(server: Hub, model: Model) -> None:
    folder = download.download(model, True, SILENT)
    blob = (folder / "model.safetensors").resolve()
    blob.write_bytes(blob.read_bytes()[:-1])
    assert not store.is_cached(model)
    download.download(model, True, SILENT)
    assert store.is_cached(model)


def test_pickle_without_torch_is_refused_before_any_byte(
    server: Hub, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sonic4d.experts.model import Checkpoint

    monkeypatch.setattr(download, "has_torch", lambda: False)
    (part,) = model.parts
    part = dataclasses.replace(part, checkpoint=Checkpoint("a.pth", None, "x:y"))
    model = dataclasses.replace(model, parts=(part,))
    assert failure(model).code == "no_torch"
    assert not server.requests


def test_removed(server: Hub, model: Model) -> None:
    download.download(model, True, SILENT)
    assert store.remove(model)
    assert not store.is_cached(model)
    assert store.remove(model) == []
