"""`sonic4d generate` with every depth model: offline, from a folder and from the caches, pinned by commit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny
from sonic4d.bundle import Bundle, Expert, read_bundle
from sonic4d.cli import main
from sonic4d.experts import registry
from sonic4d.experts.depth import depth_anything

COUNT, HEIGHT, WIDTH, RATE = 5, 64, 96, 10
MARKED = ("--point", "18,32", "--max-points", "2000")
METRIC = ("depth-anything-v2-metric-indoor", "depth-anything-v2-metric-outdoor", "depth-pro")


def metric(folder: Path) -> Path:
    return tiny.depth_anything(folder, metric=True)


MAKERS: dict[str, Callable[[Path], Path]] = {
    "depth-anything-v2-small": tiny.depth_anything,
    "depth-anything-v2-metric-indoor": metric,
    "depth-anything-v2-metric-outdoor": metric,
    "video-depth-anything-small": tiny.video_depth_anything,
    "depthcrafter": tiny.depthcrafter,
    "depth-pro": tiny.depth_pro,
}


def clip(seed: int) -> np.ndarray:
    """A light square that crosses a textured wall."""
    wall = np.random.default_rng(seed).integers(40, 160, (8, 12, 3), np.uint8)
    frames = np.stack([wall.repeat(8, 0).repeat(8, 1)] * COUNT)
    for t in range(COUNT):
        frames[t, 20:44, 6 + 10 * t : 30 + 10 * t] = (230, 200, 60)
    return frames


def depth_of(scene: Bundle) -> np.ndarray:
    with np.load(scene.folder / "depth.npz") as data:
        return data["depth_m"].astype(np.float32)


def depth_expert(scene: Bundle) -> Expert:
    (expert,) = (expert for expert in scene.provenance if expert.stage == "depth")
    return expert


def test_all_are_here() -> None:
    assert set(MAKERS) == {model.name for model in registry.of_job("depth")}


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", MAKERS)
def test_from_a_folder_and_from_the_cache(
    name: str,
    tmp_path: Path,
    video: Callable[..., Path],
    model_into_cache: Callable[[str, Path], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(depth_anything, "SHORT_SIDE_CPU", 154)
    clips = [video(clip(seed), RATE).rename(tmp_path / f"{seed}.mp4") for seed in (1, 2)]
    option = registry.find(name).option

    def generate(video: Path, *options: str) -> Bundle:
        target = video.with_suffix(".sonic4d")
        command = ["generate", str(video), "-o", str(target), *MARKED, "--depth", option]
        assert main([*command, *options]) == 0
        return read_bundle(target)

    folder = MAKERS[name](tmp_path / "model")
    first = generate(clips[0], "--model", f"{name}={folder}")
    commits = model_into_cache(name, folder)
    second = generate(clips[1])
    for scene, versions in ((first, [f"folder {folder}"]), (second, commits)):
        expert, depth_m = depth_expert(scene), depth_of(scene)
        assert (expert.name, expert.licence) == (name, registry.find(name).licence_text)
        assert all(version in expert.version for version in versions)
        assert scene.metric == (name in METRIC)
        assert (scene.frame_rate, scene.frame_count) == (RATE, COUNT)
        assert depth_m.shape == (COUNT, HEIGHT, WIDTH)
        assert np.isfinite(depth_m).all()
        assert 0 < depth_m.min() < depth_m.max()
    spread = np.log(depth_of(first)).std()
    assert np.abs(np.log(depth_of(second) / depth_of(first))).mean() > 0.1 * spread
