"""What the backend tells of pretrained models, as the add-on takes it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from extension.backend.sonic4d.protocol import Sonic4DError
from extension.blender_addon.client.models import list_models

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="stand-ins are shell scripts")

ENTRY: dict[str, Any] = {
    "name": "depth-anything-v2-small",
    "job": "depth",
    "title": "Depth Anything V2 Small",
    "option": "depth-anything",
    "commits": {"a/b": "0" * 40},
    "licence": "Apache-2.0",
    "licence_urls": ["https://example.org/licence"],
    "commercial": True,
    "size_bytes": 99_175_385,
    "memory_gb": 1.0,
    "needs_gpu": False,
    "cached": False,
    "fits": True,
    "why_not": "",
}


def says(folder: Path, text: str) -> Path:
    """A Python that says this."""
    python = folder / "python"
    (folder / "said").write_text(text)
    python.write_text(f'#!/bin/sh\ncat "{folder}/said"\n')
    python.chmod(0o755)
    return python


@posix_only
def test_models_are_listed(tmp_path: Path) -> None:
    large = {**ENTRY, "size_bytes": 9_300_000_000, "commercial": False, "needs_gpu": True}
    python = says(tmp_path, json.dumps([ENTRY, {**large, "cached": True, "why_not": "no GPU"}]))
    small, other = list_models(python)
    assert (small.name, small.size, small.licence_urls) == (
        "depth-anything-v2-small",
        "99 MB",
        ("https://example.org/licence",),
    )
    assert "also for commercial use" in small.about
    assert "Not downloaded yet" in small.about
    for words in ("9.3 GB", "not for commercial use", "hours", "Downloaded", "no GPU"):
        assert words in other.about


@posix_only
@pytest.mark.parametrize("text", ["", '{"a": 1}', "[1]", '[{"name": "x"}]', "usage: sonic4d"])
def test_a_backend_that_tells_nothing_useful(tmp_path: Path, text: str) -> None:
    with pytest.raises(Sonic4DError, match="can't say which models"):
        list_models(says(tmp_path, text))
