"""`sonic4d generate` with grounding models: from folders, from the hub's cache, offline; and all that can be wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sonic4d import unfinished
from sonic4d.bundle import Bundle, read_bundle
from sonic4d.cli import main
from sonic4d.experts.grounding import answers
from sonic4d.experts.grounding.grounding_dino import GroundingDino
from sonic4d.experts.registry import find
from sonic4d.jobs import run_job
from tiny_grounding import LAST, LEFT, RIGHT

Generate = Callable[..., int]

pytestmark = pytest.mark.usefixtures("offline")


@pytest.fixture
def generate(media: Path, tmp_path: Path) -> Generate:
    """generate(options) -> exit status; the bundle lies in tmp_path/out.sonic4d."""

    def run(*options: str) -> int:
        video, depth = str(media / "clip.mp4"), str(media / "depth.npz")
        output = str(tmp_path / "out.sonic4d")
        return main(["generate", video, "-o", output, "--depth", depth, *options])

    return run


def bundle(tmp_path: Path) -> Bundle:
    return read_bundle(tmp_path / "out.sonic4d")


def source_entry(made: Bundle) -> Any:
    return next(entry for entry in made.provenance if entry.stage == "source")


@pytest.mark.parametrize(
    ("kind", "option", "name"),
    [
        ("qwen_vl", "qwen-vl", "qwen-vl-2b"),
        ("grounding_gpt", "grounding-gpt", "grounding-gpt"),
    ],
)
def test_from_a_folder(
    learnt: Callable,
    generate: Generate,
    tmp_path: Path,
    truth: np.ndarray,
    kind: str,
    option: str,
    name: str,
) -> None:
    words = ("--sound-source", "a red square")
    assert generate(*words, "--grounding", option, "--model", f"{name}={learnt(kind)[1]}") == 0
    made = bundle(tmp_path)
    (source,) = made.sources
    assert (source.name, source.found_by) == ("a red square", "words")
    assert source.boxes[[0, LAST]] == pytest.approx(np.array([LEFT, RIGHT]), abs=0.01)
    middle = (source.boxes[:, 0] + source.boxes[:, 2]) / 2
    expected = (truth[:, 0] + truth[:, 2]) / 2
    seen = np.isfinite(middle)
    assert seen.mean() > 0.8
    assert np.abs(middle - expected)[seen].max() < 0.06
    assert (source.confidence[seen] > 0.3).all()
    entry = source_entry(made)
    assert entry.name == name
    assert entry.licence == find(name).licence_text
    assert "Asked for. found on 2 of 2 frames" in entry.reason


def test_random_weights_from_the_cache_pinned_by_commit(
    folder_of: Callable[[str], Path], into_cache: Callable, generate: Generate, tmp_path: Path
) -> None:
    (part,) = find("grounding-dino-tiny").parts
    source = folder_of("grounding_dino")
    into_cache(part, lambda place: shutil.copytree(source, place, dirs_exist_ok=True))
    assert generate("--sound-source", "a dog; red square", "--keyframe-step", "4") == 0
    made = bundle(tmp_path)
    assert [track.found_by for track in made.sources] == ["words"] * 2
    assert [track.name for track in made.sources] == ["a dog", "red square"]
    for track in made.sources:
        seen = np.isfinite(track.boxes).all(axis=1)
        assert seen.any()
        assert ((track.boxes[seen] >= 0) & (track.boxes[seen] <= 1)).all()
        assert (track.confidence[~seen] == 0).all()
        assert np.isfinite(track.positions).all()
    first, second = (track.boxes for track in made.sources)
    assert not np.array_equal(first, second, equal_nan=True)
    assert source_entry(made).version == part.commit
    assert "grounding-dino-tiny is the first choice" in source_entry(made).reason
    assert any("one sound for several sources" in warning for warning in made.warnings)


def test_followed_by_a_tracking_model(
    folder_of: Callable[[str], Path], generate: Generate, tmp_path: Path
) -> None:
    options = ("--tracker", "sam2", "--model", f"sam2-tiny={folder_of('sam2')}")
    assert generate("--point", "40,48", *options) == 0
    made = bundle(tmp_path)
    assert np.isfinite(made.sources[0].boxes).all()
    assert [(e.stage, e.name) for e in made.provenance][-1] == ("tracking", "sam2-tiny")


def test_auto_without_models_says_what_it_does(generate: Generate, tmp_path: Path) -> None:
    assert generate("--sound-source", "a red square") == 0
    made = bundle(tmp_path)
    assert made.sources[0].found_by in ("motion", "sound")
    (warning,) = (text for text in made.warnings if '"a red square"' in text)
    assert "sonic4d models download grounding-dino-tiny" in warning


def test_nothing_found(
    learnt: Callable,
    generate: Generate,
    tmp_path: Path,
    capsys: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it was asked by name is an error; what `auto` asked leads on to what moves."""
    options = ("--sound-source", "?", "--model", f"qwen-vl-2b={learnt('qwen_vl')[1]}")
    monkeypatch.setattr(answers, "MAX_NEW_TOKENS", 3)
    assert generate(*options, "--grounding", "qwen-vl") == 1
    assert "doesn't find" in capsys.readouterr().err
    assert not (tmp_path / "out.sonic4d").exists()
    assert generate(*options) == 0
    made = bundle(tmp_path)
    assert made.sources[0].found_by in ("motion", "sound")
    assert any("doesn't find" in warning for warning in made.warnings)


def _another_model(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_type": "bert"}))


def _cut_short(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _only_a_pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _no_tokenizer(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()


def _other_sizes(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "d_model": 64}))


@pytest.mark.parametrize(
    "damage",
    [shutil.rmtree, _another_model, _cut_short, _only_a_pickle, _no_tokenizer, _other_sizes],
)
def test_a_bad_folder_is_refused_with_a_sentence(
    folder_of: Callable[[str], Path],
    generate: Generate,
    tmp_path: Path,
    capsys: Any,
    damage: Callable[[Path], None],
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(folder_of("grounding_dino"), folder)
    damage(folder)
    options = ("--grounding", "grounding-dino", "--model", f"grounding-dino-tiny={folder}")
    assert generate("--sound-source", "a dog", *options) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line]
    assert "Traceback" not in "".join(lines)
    assert any(str(folder) in line for line in lines), lines
    assert "sonic4d models download grounding-dino-tiny" in lines[-1]
    assert not (tmp_path / "out.sonic4d").exists()


def test_a_model_that_is_not_here(generate: Generate, capsys: Any) -> None:
    assert generate("--grounding", "grounding-gpt") == 1
    error = capsys.readouterr().err
    assert "not for commercial use" in error
    assert "sonic4d models download grounding-gpt" in error


def test_too_little_memory_for_whole_pictures(
    folder_of: Callable[[str], Path],
    generate: Generate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    widths = []
    answer = GroundingDino.__call__

    def short_of_memory(self: GroundingDino, picture: np.ndarray, *rest: Any) -> Any:
        widths.append(picture.shape[1])
        if picture.shape[1] > 100:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: 1 byte")
        return answer(self, picture, *rest)

    monkeypatch.setattr(GroundingDino, "__call__", short_of_memory)
    model = ("--model", f"grounding-dino-tiny={folder_of('grounding_dino')}")
    assert generate("--sound-source", "a dog", *model) == 0
    assert widths == [128, 90, 90]
    assert "going on with pictures of 70% of their size" in capsys.readouterr().err
    assert bundle(tmp_path).sources[0].found_by == "words"


def test_cancelled_while_it_answers(learnt: Callable, media: Path, tmp_path: Path) -> None:
    job = {
        "kind": "generate",
        "video": str(media / "clip.mp4"),
        "output": str(tmp_path / "out.sonic4d"),
        "depth": str(media / "depth.npz"),
        "sound_source": "a red square",
        "grounding": "qwen-vl",
        "model": [f"qwen-vl-2b={learnt('qwen_vl')[1]}"],
    }
    events: list[dict[str, Any]] = []

    def polls() -> Iterator[bool]:
        while not any(event.get("stage") == "grounding" for event in events):
            yield False
        yield from (False, False)  # two tokens later
        while True:
            yield True

    stop = polls()
    run_job(job, events.append, lambda: next(stop))
    assert events[-1] == {"event": "cancelled"}
    assert [event["done"] for event in events if event.get("stage") == "grounding"] == [0]
    # Nothing of the scene, and what the next generation goes on from.
    assert [path.name for path in tmp_path.iterdir()] == ["caches"]
    [kept] = unfinished.folder_of(media / "clip.mp4").iterdir()
    assert kept.name.startswith("motion_")


def test_in_a_process_of_its_own(
    folder_of: Callable[[str], Path], media: Path, tmp_path: Path
) -> None:
    """As a user runs it; the environment forbids the hub nothing, the program does."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_HUB_OFFLINE")}
    command = [sys.executable, "-m", "sonic4d", "generate", str(media / "clip.mp4")]
    options = {
        "-o": tmp_path / "out.sonic4d",
        "--depth": media / "depth.npz",
        "--sound-source": "a dog",
        "--grounding": "grounding-dino",
        "--model": f"grounding={folder_of('grounding_dino')}",
    }
    arguments = [str(part) for pair in options.items() for part in pair]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert bundle(tmp_path).sources[0].found_by == "words"
    assert "Loading weights" not in done.stderr
