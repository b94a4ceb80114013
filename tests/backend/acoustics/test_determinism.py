"""The same shot and seed is the same file, whatever a machine's number of processors and its libraries' threads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from sonic4d.acoustics.formats import ADM, CHANNELS
from sonic4d.acoustics.render import render_shot, render_to_file
from sonic4d.shot import Normalize, Shot
from threadpoolctl import threadpool_limits

MakeShot = Callable[..., Shot]
RATE_HZ = 8000

ALONE = """
import os, sys
from pathlib import Path
os.cpu_count = lambda: 1
folder = Path(sys.argv[1])
from sonic4d.acoustics import hrtf
hrtf._cache_folder = lambda: folder
from sonic4d.acoustics.render import render_to_file
from sonic4d.shot import read_shot
for path in folder.glob("*.shot.json"):
    render_to_file(read_shot(path), folder / f"{path.name}.alone.wav")
"""


def test_every_mode_and_format_at_any_number_of_threads(
    make_shot: MakeShot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here with four of them, and with one in another process that makes the head anew."""
    folder = make_shot().folder
    rng = np.random.default_rng(0)
    soundfile.write(folder / "bell.wav", rng.uniform(-0.5, 0.5, RATE_HZ // 2), RATE_HZ)
    shots = {}
    hifi = [("hifi", name) for name in (*CHANNELS, ADM)]
    for mode, name in [("paper", "binaural"), ("fast", "binaural"), *hifi]:
        path = folder / f"{mode}-{name}.shot.json"
        shots[path] = make_shot(
            mode=mode,
            format=name,
            positions=np.linspace((-1, 1, 0.7), (1.2, 2, 0), 12),
            sample_rate=48_000 if name == ADM else RATE_HZ,
            sample_format="pcm24",
            normalize=Normalize("loudness"),
            tdiff_s=0.05 if mode == "paper" else None,
        )
        path.write_text(json.dumps(shots[path].to_json()))
    libraries = ("OPENBLAS", "OMP", "MKL", "VECLIB", "NUMBA")
    alone = subprocess.Popen(
        [sys.executable, "-c", ALONE, str(folder)],
        env=os.environ | {f"{library}_NUM_THREADS": "1" for library in libraries},
    )
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    with threadpool_limits(4):
        together = {
            path: render_to_file(shot, folder / f"{path.name}.wav") for path, shot in shots.items()
        }
    assert alone.wait(300) == 0
    for path, output in together.items():
        assert output.read_bytes() == (folder / f"{path.name}.alone.wav").read_bytes(), path.name


@pytest.mark.parametrize("name", ["binaural", "ambix1"])
def test_another_seed_is_another_reverberation(make_shot: MakeShot, name: str) -> None:
    shot = make_shot(mode="hifi", format=name)
    soundfile.write(shot.folder / "bell.wav", np.ones(100), RATE_HZ)
    other = replace(shot, render=replace(shot.render, seed=1))
    assert np.abs(render_shot(shot).audio - render_shot(other).audio).max() > 0
