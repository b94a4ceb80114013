"""The generative experts from Blender's operators, in the real worker, offline, with tiny random weights."""

from __future__ import annotations

import io
import json
import os
import subprocess
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
import sound
from sonic4d_extension.backend.sonic4d.protocol import Sonic4DError
from sonic4d_extension.blender_addon import tasks
from sonic4d_extension.blender_addon.client.jobs import Job
from sonic4d_extension.blender_addon.operators.enhance_shot import enhance_shot

EXPERTS = "SONIC4D_EXPERTS_PYTHON"
MAKE = Path(__file__).with_name("make_tiny_models.py")
COUNT, RATE = 13, Fraction(24000, 1001)  # of the clip
PAINTERS = {"wan-vace": "wan-vace-1.3b", "trajectorycrafter": "trajectorycrafter"}
SHOT_FRAMES = 6

# Every picture of a movie as the decoder gives it.
_PICTURES = """
import io, sys, av, numpy
with av.open(sys.argv[1]) as file:
    pictures = numpy.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])
whole = io.BytesIO()
numpy.save(whole, pictures)
sys.stdout.buffer.write(whole.getvalue())
"""


@pytest.fixture(scope="session")
def python() -> str:
    """The Python with torch."""
    path = os.environ.get(EXPERTS)
    assert path, f"Set {EXPERTS} to a Python with the experts' libraries, as scripts/test.py does."
    return path


@pytest.fixture(scope="session")
def tiny(python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the models and of the clip."""
    folder = tmp_path_factory.mktemp("tiny")
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([python, str(MAKE), str(folder)], check=True, env=environ)
    return folder


@pytest.fixture
def worker(
    python: str, tiny: Path, user_caches: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """worker(**values): operators ask the worker with the experts' libraries, and for these values too: what makes a model
    tiny is nothing that they offer."""
    monkeypatch.setenv(sound.OVERRIDE, python)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    real = tasks.job

    def also(**values: Any) -> None:
        def job(request: dict[str, Any], activity: tasks.Activity) -> tasks.Steps[Job]:
            return real({**request, **values}, activity)

        monkeypatch.setattr(tasks, "job", job)

    return also


def painting(tiny: Path, expert: str, steps: int = 1) -> dict[str, Any]:
    model = f"{PAINTERS[expert]}={tiny / PAINTERS[expert]}"
    return {"model": [model], "steps": steps, "working_size": "64x48"}


@pytest.fixture
def shot(tmp_path: Path, bundle: Path) -> bpy.types.Scene:
    """The bundle imported into a saved file."""
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    assert bpy.ops.sonic4d.import_bundle(filepath=str(bundle)) == {"FINISHED"}
    scene = bpy.context.scene
    scene.frame_end = SHOT_FRAMES
    return scene


def pictures(scene: bpy.types.Scene) -> np.ndarray:
    """Those of the export's picture: (frames, height, width, 3)."""
    movie = bpy.path.abspath(scene.sonic4d.export.picture_path)
    return np.load(io.BytesIO(sound.backend("-c", _PICTURES, movie)))


def test_enhance_shot(
    shot: bpy.types.Scene, tiny: Path, tmp_path: Path, worker: Callable[..., None]
) -> None:
    """Each painter in turn, in one worker, as starting one takes longest."""
    for expert in PAINTERS:
        worker(**painting(tiny, expert))
        check_enhanced(shot, expert)
        worker(**painting(tiny, expert, steps=900))
        check_cancelled(shot, expert, tmp_path / "sonic4d_takes")


def check_enhanced(shot: bpy.types.Scene, expert: str) -> None:
    """As many frames as the shot, at its rate, in its size; the seed decides."""
    painted = []
    for seed in (3, 3, 4):
        done = bpy.ops.sonic4d.enhance_shot(expert=expert, prompt="a wall", seed=seed)
        assert done == {"FINISHED"}
        painted.append(pictures(shot).astype(int))
    first, again, other = painted
    assert first.shape == (SHOT_FRAMES, 180, 320, 3)
    movie = Path(bpy.path.abspath(shot.sonic4d.export.picture_path))
    script = "import av, sys; v = av.open(sys.argv[1]).streams.video[0];"
    script += " print(v.average_rate, v.duration * v.time_base)"
    assert sound.backend("-c", script, str(movie)).decode().split() == ["24", "1/4"]
    # The encoder isn't the same every time to the last bit.
    assert np.abs(first - again).mean() < 0.1 * np.abs(first - other).mean()
    report = json.loads(movie.with_name(f"{movie.stem}.report.json").read_text())["picture"]
    assert (report["name"], report["seed"]) == (PAINTERS[expert], 4)


def check_cancelled(shot: bpy.types.Scene, expert: str, takes: Path) -> None:
    """In the middle of the sampler's many steps. The worker itself obeys: it is not killed, but there for more."""
    before = sorted(takes.iterdir())
    activity = tasks.Activity()
    seen: list[str] = []
    activity.notify = lambda stage, _progress: seen.append(stage)
    steps = enhance_shot(shot, activity, {"expert": expert, "prompt": "a wall"})
    while "paint" not in seen:
        next(steps)
        time.sleep(tasks.WAIT_S)
    client = tasks._state.client
    running = client._worker
    activity.cancelled = True
    with pytest.raises(Sonic4DError, match="Cancelled"):
        tasks.wait(steps)
    while client.busy:
        client.poll(0.1)
    assert client._worker is running
    assert running.running
    assert sorted(takes.iterdir()) == before


def generated(tiny: Path, **options: Any) -> tuple[np.ndarray, dict[str, Any]]:
    """The source's sound, (channels, samples), and what the bundle says."""
    clip = str(tiny / "clip.mp4")
    depth, point = str(tiny / "depth.npz"), "18,48"
    done = bpy.ops.sonic4d.generate(
        filepath=clip, audio="mmaudio", depth=depth, point=point, **options
    )
    assert done == {"FINISHED"}
    folder = Path(bpy.path.abspath(bpy.context.scene.sonic4d.bundle.sonic4d.bundle_path))
    data = json.loads((folder / "bundle.json").read_text())
    return sound.read_audio(folder / data["sources"][0]["audio"]), data


def test_generate_with_a_made_sound(
    tiny: Path, tmp_path: Path, worker: Callable[..., None]
) -> None:
    """As long as the clip to the sample; prompt and seed decide."""
    worker(model=[f"audio={tiny / 'mmaudio'}"])
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    sounds = []
    for seed in (7, 7, 8):
        samples, data = generated(tiny, audio_prompt="a car", seed=seed)
        sounds.append(samples)
    first, again, other = sounds
    assert first.shape == (1, round(COUNT / RATE * 48000))
    assert first.std() > 0.01
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert (data["frame_count"], Fraction(data["frame_rate"])) == (COUNT, RATE)
    (audio,) = [entry for entry in data["provenance"] if entry["stage"] == "audio"]
    assert 'prompt "a car"' in audio["reason"]
    assert "seed 8" in audio["reason"]
