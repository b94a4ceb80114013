"""`sonic4d generate` with every model that finds or follows: offline, from a folder and from the caches, pinned by commit."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sonic4d.bundle import Bundle, read_bundle
from sonic4d.cli import main
from sonic4d.experts import registry

COUNT, RATE = 8, Fraction(25)
WORDS = ("--sound-source", "a red square", "--tracker", "csrt")
ASKED = {
    "grounding-dino-tiny": ("--grounding", "grounding-dino", *WORDS),
    "qwen-vl-2b": ("--grounding", "qwen-vl", *WORDS),
    "grounding-gpt": ("--grounding", "grounding-gpt", *WORDS),
    "sam2-tiny": ("--tracker", "sam2", "--point", "64,48"),
}


@pytest.fixture(scope="module")
def clips(media: Path, frames: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The clip, and what it is backwards: what a model has learnt by heart has its box at the other side."""
    from sonic4d.media.video import write_video

    backwards = tmp_path_factory.mktemp("backwards") / "clip.mp4"
    write_video(backwards, frames[::-1], RATE, media / "tone.wav")
    return [media / "clip.mp4", backwards]


def test_all_are_here() -> None:
    """But EdgeTAM, which needs what the extra doesn't bring."""
    models = (*registry.of_job("grounding"), *registry.of_job("tracking"))
    assert set(ASKED) == {model.name for model in models} - {"edgetam"}


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", ASKED)
def test_from_a_folder_and_from_the_cache(
    name: str,
    tmp_path: Path,
    media: Path,
    clips: list[Path],
    folder_of: Callable[[str], Path],
    learnt: Callable[[str], tuple[Any, Path]],
    model_into_cache: Callable[[str, Path], list[str]],
) -> None:
    """Models that answer in words have learnt two answers, since random words hold no box."""
    kind = name.removesuffix("-tiny").removesuffix("-2b").replace("-", "_")
    folder = folder_of(kind) if name.endswith("-tiny") else learnt(kind)[1]
    model = registry.find(name)

    def generate(video: Path, made: str, *options: str) -> Bundle:
        target, depth = tmp_path / made, str(media / "depth.npz")
        command = ["generate", str(video), "-o", str(target), "--depth", depth, *ASKED[name]]
        assert main([*command, *options]) == 0
        return read_bundle(target)

    first = generate(clips[0], "first.sonic4d", "--model", f"{name}={folder}")
    commits = model_into_cache(name, folder)
    second = generate(clips[1], "second.sonic4d")
    stage = "tracking" if model.job == "tracking" else "source"
    for scene, versions in ((first, [str(folder)]), (second, commits)):
        (expert,) = (entry for entry in scene.provenance if entry.stage == stage)
        assert (expert.name, expert.licence) == (name, model.licence_text)
        assert all(version in expert.version for version in versions)
        assert (scene.frame_rate, scene.frame_count) == (RATE, COUNT)
        (track,) = scene.sources
        seen = np.isfinite(track.boxes).all(axis=1)
        assert track.boxes.shape == (COUNT, 4)
        assert seen.any()
        assert ((track.boxes[seen] >= 0) & (track.boxes[seen] <= 1)).all()
        assert (track.boxes[seen, 2:] > track.boxes[seen, :2]).all()
        assert np.isfinite(track.positions).all()
    boxes, other = (scene.sources[0].boxes for scene in (first, second))
    assert not np.allclose(boxes, other, atol=1e-3, equal_nan=True)
