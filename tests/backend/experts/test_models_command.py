"""`sonic4d models`."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sonic4d.cli import main
from sonic4d.experts import registry, store
from sonic4d.experts.model import Part

Capture = pytest.CaptureFixture[str]
Hollow = Callable[[Part, Path], None]
IntoCache = Callable[[Part, Callable[[Path], object]], Path]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())


def test_list(capsys: Capture, into_cache: IntoCache, hollow: Hollow) -> None:
    name = "depth-anything-v2-small"
    (part,) = registry.find(name).parts
    into_cache(part, lambda folder: hollow(part, folder))
    assert main(["models", "list", "--json"]) == 0
    entries = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert set(entries) == set(registry.MODELS)
    assert entries[name]["cached"]
    assert entries[name]["commits"] == {part.repo: part.commit}
    assert entries[name]["commercial"] is True
    assert entries["depthcrafter"]["cached"] is False
    assert entries["depthcrafter"]["licence_urls"]
    assert entries["depthcrafter"]["size_bytes"] > 4e9
    assert entries["depthcrafter"]["fits"] is False
    assert main(["models", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(registry.MODELS) + 1
    (line,) = (line for line in lines if line.startswith(name + " "))
    assert part.commit[:12] in line
    assert "Apache-2.0" in line
    assert "99 MB" in line


def test_show(capsys: Capture, user_caches: Path) -> None:
    assert main(["models", "show", "video-depth-anything-small"]) == 0
    said = capsys.readouterr().out
    assert "256875362cff76724b920335dfb4b29dd611f66e" in said
    assert "sha256:13379300" in said
    assert "https://www.apache.org/licenses/LICENSE-2.0" in said
    assert main(["models", "show", "depthcrafter"]) == 0
    assert "pinned by the download" in capsys.readouterr().out
    assert main(["models", "show", "trajectorycrafter"]) == 0
    said = capsys.readouterr().out
    assert "GPU 34.9 GB, computer 22.2 GB: --memory full" in said
    assert "GPU  4.8 GB, computer 22.2 GB: --memory sequential" in said
    assert main(["models", "show", "nothing"]) == 1
    assert 'no model "nothing"' in capsys.readouterr().err


def test_show_tells_the_memory_of_each_way_to_run_it(capsys: Capture, user_caches: Path) -> None:
    assert main(["models", "show", "mmaudio-small-44k"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "memory          GPU  3.2 GB, computer  3.2 GB: GPU, 16 bit"
    assert lines[2] == "                no GPU     , computer  5.1 GB: CPU, 32 bit"
    assert lines[3].startswith("commercial use  no")


@pytest.mark.usefixtures("nobody", "user_caches")
def test_download_asks_for_the_licence(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["models", "download", "depthcrafter"]) == 1
    said = capsys.readouterr().err
    assert "does not allow commercial use" in said
    assert "--accept-licence" in said
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    assert main(["models", "download", "depthcrafter"]) == 2
    said = capsys.readouterr().err
    assert "https://github.com/Tencent/DepthCrafter/blob/main/LICENSE" in said
    assert "[y/N]" in said


def test_remove_asks_first(
    capsys: Capture,
    into_cache: IntoCache,
    hollow: Hollow,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = registry.find("depth-anything-v2-small")
    into_cache(model.parts[0], lambda folder: hollow(model.parts[0], folder))
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert main(["models", "remove", model.name]) == 2
    monkeypatch.setattr("sys.stdin", Terminal("no\n"))
    assert main(["models", "remove", model.name]) == 2
    assert store.is_cached(model)
    assert main(["models", "remove", model.name, "--yes"]) == 0
    assert not store.is_cached(model)
