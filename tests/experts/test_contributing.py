"""The example of CONTRIBUTING.md does what it says."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sonic4d.bundle import read_bundle
from sonic4d.cli import main
from sonic4d.experts import registry
from sonic4d.experts.catalogue.licences import APACHE
from sonic4d.experts.model import Model, Part

TEXT = (Path(__file__).resolve().parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_an_expert_is_a_module_and_an_entry(
    tmp_path: Path,
    user_caches: Path,
    video: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, entry = re.findall("```python\n(.*?)```", TEXT, re.DOTALL)
    module = ModuleType("sonic4d.experts.depth.lower_is_nearer")
    exec(code, module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    model = eval(entry, {"Model": Model, "Part": Part, "APACHE": APACHE})
    monkeypatch.setitem(registry.MODELS, model.name, model)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "lower_is_nearer", "steepness": 2}')
    save_file({"nothing": torch.zeros(1)}, folder / "model.safetensors")

    frames = np.random.default_rng(0).integers(60, 90, (6, 64, 96, 3), np.uint8)
    for t in range(6):
        frames[t, 30:50, 8 + 10 * t : 28 + 10 * t] = 220
    target = tmp_path / "scene.sonic4d"
    command = ["generate", str(video(frames)), "-o", str(target), "--point", "18,40"]
    status = main([*command, "--depth", model.option, "--model", f"depth={folder}"])
    assert status == 0, capsys.readouterr().err
    assert any(expert.name == model.name for expert in read_bundle(target).provenance)
    with np.load(target / "depth.npz") as data:
        depth = data["depth_m"][0]
    assert depth[-1].max() < depth[len(depth) // 2].min() < depth[1].min()
    assert main(["models", "show", model.name]) == 0
    assert "owner/lower-is-nearer" in capsys.readouterr().out
