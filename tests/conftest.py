"""Models on this machine, as the hub's cache would hold them. Standard library only: the add-on's suites read this too."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

# Whatever models the developer has, tests see none but their own.
for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
    os.environ.pop(name, None)
os.environ["HF_HOME"] = os.path.join(tempfile.gettempdir(), "sonic4d-tests-have-no-models")

SOME_COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def user_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty caches of the hub (hub/) and of Sonic4D; returns the folder they lie in."""
    root = tmp_path / "caches"
    monkeypatch.setenv("HF_HOME", str(root))
    monkeypatch.setenv("XDG_CACHE_HOME", str(root / "user"))
    monkeypatch.setenv("LOCALAPPDATA", str(root / "user"))
    return root


@pytest.fixture
def into_cache(user_caches: Path) -> Callable[[Any, Callable[[Path], Any]], Path]:
    """into_cache(part, fill): fill(folder) writes what the part of a model holds, as the cache has it after a download."""

    def place(part: Any, fill: Callable[[Path], Any]) -> Path:
        from sonic4d.experts import store

        commit = part.commit or SOME_COMMIT
        if part.commit is None:
            store.pin(part.repo, commit)
        if part.checkpoint is not None:
            folder = store.converted_folder(part, commit)
        else:
            folder = user_caches / "hub" / f"models--{part.repo.replace('/', '--')}"
            folder = folder / "snapshots" / commit
        folder.mkdir(parents=True, exist_ok=True)
        fill(folder)
        return folder

    return place
