"""`sonic4d generate` with depth models: through the command line, offline, from a folder and from the hub's cache."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny
from sonic4d.bundle import Bundle, read_bundle
from sonic4d.cli import main
from sonic4d.experts import registry
from sonic4d.experts.depth import depth_anything
from sonic4d.experts.model import Part

IntoCache = Callable[[Part, Callable[[Path], object]], Path]
Generate = Callable[..., tuple[int, str]]


def mover(count: int = 8) -> np.ndarray:
    """A light square that crosses a textured wall."""
    random = np.random.default_rng(3)
    wall = random.integers(40, 120, (18, 32, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    frames = np.stack([wall] * count)
    for t in range(count):
        x = 10 + t * 24
        frames[t, 60:110, x : x + 40] = (230, 200, 60)
    return frames


@pytest.fixture
def command(tmp_path: Path, video: Callable[..., Path], user_caches: Path) -> list[str]:
    clip, target = video(mover()), tmp_path / "scene.sonic4d"
    return ["generate", str(clip), "-o", str(target), "--height", "96", "--max-points", "2000"]


@pytest.fixture
def generate(
    command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Generate:
    """generate(*options) runs the command; returns its status and what it said."""
    monkeypatch.setattr(depth_anything, "SHORT_SIDE_CPU", 154)

    def run(*options: str) -> tuple[int, str]:
        status = main([*command, *options])
        said = capsys.readouterr()
        return status, said.out + said.err

    return run


def bundle(tmp_path: Path) -> Bundle:
    return read_bundle(tmp_path / "scene.sonic4d")


def put(name: str, fill: Callable[[Path], object], into_cache: IntoCache) -> None:
    (part,) = registry.find(name).parts
    into_cache(part, fill)


def test_from_the_cache_with_metres(
    generate: Generate, tmp_path: Path, into_cache: IntoCache
) -> None:
    put("depth-anything-v2-small", tiny.depth_anything, into_cache)
    put(
        "depth-anything-v2-metric-indoor",
        lambda folder: tiny.depth_anything(folder, metric=True),
        into_cache,
    )
    status, said = generate()
    assert status == 0, said
    scene = bundle(tmp_path)
    experts = [expert for expert in scene.provenance if expert.stage == "depth"]
    assert [expert.name for expert in experts] == [
        "depth-anything-v2-small",
        "depth-anything-v2-metric-indoor",
    ]
    (part,) = registry.find("depth-anything-v2-small").parts
    assert experts[0].version == part.commit
    assert experts[0].licence == "Apache-2.0"
    assert scene.metric
    assert "first choice of those on this machine" in experts[0].reason
    with np.load(scene.folder / "depth.npz") as data:
        depth_m = data["depth_m"].astype(np.float32)
    assert depth_m.shape == (8, 96, 170)
    assert 0 < depth_m.min() < depth_m.max() < 40


def test_crafter_units(generate: Generate, tmp_path: Path) -> None:
    folder = tiny.depth_anything(tmp_path / "model")
    name = "depth-anything-v2-small"
    status, said = generate(
        "--depth", name, "--model", f"{name}={folder}", "--depth-units", "trajectorycrafter"
    )
    assert status == 0, said
    scene = bundle(tmp_path)
    assert scene.intrinsics.fx == pytest.approx(500 / 1024 * 170)
    assert not scene.metric
    with np.load(scene.folder / "depth.npz") as data:
        assert float(data["depth_m"].min()) == pytest.approx(10_000 / 3_900, rel=1e-3)


def test_as_a_process_of_its_own(command: list[str], tmp_path: Path) -> None:
    folder = tiny.depth_anything(tmp_path / "model")
    options = ["--depth", "depth-anything", "--model", f"depth={folder}"]
    environment = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
    done = subprocess.run(
        [sys.executable, "-I", "-m", "sonic4d", *command, *options],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert "Loading" not in done.stderr, "a library's own progress bar"


def test_models_that_disagree_give_no_metres(generate: Generate, tmp_path: Path) -> None:
    near = tiny.depth_anything(tmp_path / "near", metric=True, agreeing=False)
    far = tiny.depth_anything(tmp_path / "far")
    models = ("--model", f"depth={far}", "--model", f"depth-anything-v2-metric-indoor={near}")
    status, said = generate("--depth", "depth-anything", *models, "--depth-units", "metres")
    assert status == 1
    assert "don't agree" in said
    status, said = generate("--depth", "depth-anything", *models)
    assert status == 0, said
    scene = bundle(tmp_path)
    assert not scene.metric
    assert any("don't agree" in warning for warning in scene.warnings)


def test_auto_without_models_is_geometric(generate: Generate, tmp_path: Path) -> None:
    status, said = generate()
    assert status == 0, said
    (expert,) = (expert for expert in bundle(tmp_path).provenance if expert.stage == "depth")
    assert expert.name == "geometric"
    assert "No depth model is on this machine" in expert.reason


def test_auto_falls_back_where_a_model_does_not_fit(
    generate: Generate, tmp_path: Path, into_cache: IntoCache
) -> None:
    makers = {"unet": tiny.depthcrafter_unet, "svd": tiny.stable_video}
    for part in registry.find("depthcrafter").parts:
        into_cache(part, makers[part.name])
    status, said = generate()
    assert status == 0, said
    scene = bundle(tmp_path)
    assert any("depthcrafter can't be used: it needs a GPU" in text for text in scene.warnings)
    assert any(expert.name == "geometric" for expert in scene.provenance)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--depth", "depth-anything"), "sonic4d models download depth-anything-v2-small"),
        (("--depth", "depthcrafter"), "about 4.5 GB"),
        (("--model", "depth=nowhere"), "There is no folder nowhere"),
        (("--depth", "depth-anything", "--model", "depth"), "NAME=PATH"),
        (("--model", "dpeth=folder"), "dpeth"),
    ],
)
def test_bad_options(options: tuple[str, ...], expected: str, generate: Generate) -> None:
    status, said = generate(*options)
    assert status in (1, 2)
    assert expected in said
    assert "Traceback" not in said


def test_folder_with_another_models_weights(generate: Generate, tmp_path: Path) -> None:
    folder = tiny.depth_anything(tmp_path / "model")
    weights = folder / "model.safetensors"
    other = tiny.video_depth_anything(tmp_path / "other")
    weights.write_bytes((other / "model.safetensors").read_bytes())
    status, said = generate("--depth", "depth-anything", "--model", f"depth={folder}")
    assert status == 1
    assert "can't be loaded as depth-anything-v2-small" in said
