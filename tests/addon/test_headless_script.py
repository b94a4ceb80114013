"""scripts/render_shot.py in a Python of its own, from a repository and in folders with odd names."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
import sound
from sonic4d_extension.blender_addon.sequencer import strips, timing

TIMEOUT_S = 120
RESULTS = ["binaural.wav", "shot.blend", "shot.mp4"]


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The script in a copy of the repository whose path has a space."""
    repository = tmp_path / "my repository"
    unneeded = shutil.ignore_patterns("__pycache__", "*.npz")
    for name in ("blender_addon", "backend"):
        shutil.copytree(sound.ROOT / name, repository / name, ignore=unneeded)
    for name in ("__init__.py", "scripts/render_shot.py"):
        (repository / name).parent.mkdir(exist_ok=True)
        shutil.copy(sound.ROOT / name, repository / name)
    return repository / "scripts/render_shot.py"


@pytest.fixture
def folder(bundle: Path) -> Path:
    """A folder with a bundle that sounds, and whatever else; the finished shot goes there as well."""
    sound.noise(bundle / "audio/bird.wav", 0.2)
    return bundle.parent


def command(script: Path, folder: Path, bundle: Path, *options: str) -> list[str]:
    given = ["--bundle", str(bundle), "--output", str(folder), "--resolution", "64x36"]
    return [sys.executable, str(script), *given, "--samples", "1", *options]


def run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments, capture_output=True, text=True, encoding="utf-8", timeout=TIMEOUT_S
    )


def events(output: str) -> list[dict[str, Any]]:
    """The lines of JSON; Blender may say something of its own before the first and after the last."""
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def test_from_bundle_to_shot(script: Path, folder: Path, bundle: Path) -> None:
    options = ("--move", "orbit:10", "--frame-start", "101", "--progress", "jsonl")
    done = run(command(script, folder, bundle, *options))
    assert done.returncode == 0, done.stderr
    told = events(done.stdout)
    paths = [event["path"] for event in told if event["event"] == "artifact"]
    assert sorted(paths) == [str(folder / name) for name in RESULTS]
    stages = [event["stage"] for event in told if event["event"] == "progress"]
    assert list(dict.fromkeys(stages))[-2:] == ["picture", "mux"]
    assert all(0 <= e["done"] <= e["total"] for e in told if e["event"] == "progress")

    about = sound.describe(folder / "shot.mp4")
    assert about[:7] == ["24", "4", "64", "36", "48000", "2", "aac"]
    wav = sound.read_audio(folder / "binaural.wav")
    assert wav.shape == (2, 8000)
    heard = sound.read_audio(folder / "shot.mp4")[:, :8000]
    assert min(np.corrcoef(heard[i], wav[i])[0, 1] for i in (0, 1)) > 0.95

    moved = folder.with_name("moved")
    shutil.move(folder, moved)  # paths in the file are relative
    bpy.ops.wm.open_mainfile(filepath=str(moved / "shot.blend"))
    scene = bpy.context.scene
    assert (scene.frame_start, scene.frame_end) == (101, 104)
    [strip] = strips.take_strips(scene)
    assert timing.span(strip) == (101, 105)
    assert (
        Path(bpy.path.abspath(strip.sound.filepath)).read_bytes()
        == (moved / "binaural.wav").read_bytes()
    )
    assert scene.sonic4d.shot_camera.animation_data.action is not None
    assert scene.sonic4d.bundle.sonic4d.bundle_path == f"//{bundle.name}"


def test_what_is_there_is_kept(script: Path, folder: Path, bundle: Path) -> None:
    (folder / "shot.mp4").write_bytes(b"dear")
    failed = run(command(script, folder, bundle, "--progress", "jsonl"))
    assert failed.returncode == 1
    [error] = events(failed.stdout)
    assert (error["event"], error["code"]) == ("error", "exists")
    assert (folder / "shot.mp4").read_bytes() == b"dear"
    assert not (folder / "shot.blend").exists()


def test_errors_are_a_sentence_and_a_hint(script: Path, folder: Path, bundle: Path) -> None:
    python = folder / "no python"
    failed = run(command(script, folder, bundle, "--backend-python", str(python)))
    assert failed.returncode == 1
    assert f"{python} is not a Python. Correct the path." in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not any((folder / name).exists() for name in RESULTS)
    assert run(command(script, folder, bundle, "--samples", "many")).returncode == 2


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for other processes")
def test_ctrl_c_while_the_picture_is_rendered(script: Path, folder: Path, bundle: Path) -> None:
    slow = ("--samples", "64", "--resolution", "320x180", "--progress", "jsonl")
    process = subprocess.Popen(
        command(script, folder, bundle, *slow),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if any(event.get("stage") == "picture" for event in events(line)):
                break
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_S) == 130
    finally:
        process.kill()
        process.wait()
    left = {path.name for path in folder.iterdir()} - {"video", "my repository"}
    assert left == {bundle.name, "shot.blend", "binaural.wav", "sonic4d_takes"}
