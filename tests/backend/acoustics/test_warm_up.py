"""What installation compiles is all that a user's shots need: their first click waits for nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from sonic4d.directivity import Directivity
from sonic4d.shot import Shot

SCRIPT = """
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numba.core.dispatcher import Dispatcher
from sonic4d.acoustics.render import render_to_file
from sonic4d.acoustics.warm_up import warm_up
from sonic4d.shot import read_shot


def compiled():
    return {
        (name, attribute): tuple(value.signatures)
        for name, module in list(sys.modules.items())
        if name.startswith("sonic4d.acoustics")
        for attribute, value in vars(module).items()
        if isinstance(value, Dispatcher)
    }


warm_up()
before = compiled()
shot = read_shot(Path("shot.json"))
for settings in (
    {}, {"format": "stereo"}, {"format": "ambix3"}, {"format": "7.1.4"}, {"reflection_order": 0},
    {"sample_rate": 44100}, {"mode": "paper"}, {"mode": "fast"}, {"stems": True},
):
    render_to_file(replace(shot, render=replace(shot.render, **settings)), Path("out.wav"))
for room in ("free_field", "half_space"):
    render_to_file(replace(shot, room=replace(shot.room, kind=room)), Path("out.wav"))
after = compiled()
new = {key: after[key] for key in after if after[key] != before.get(key)}
assert not new, new
assert len(before) > 10
"""


def test_rendering_compiles_nothing_that_the_warm_up_did_not(
    make_shot: Callable[..., Shot], tmp_path: Path
) -> None:
    """Two sources, one near and moving, one directive that jumps; a moving camera."""
    frames = np.arange(12)
    near = np.stack((0.3 + 0.05 * frames, 0.4 + 0 * frames, 0 * frames), axis=1)
    jumping = near + np.where(frames[:, None] > 6, 1.5, 0)
    poses = np.tile(np.eye(4), (12, 1, 1))
    poses[:, 0, 3] = 0.02 * frames
    shot = make_shot(mode="hifi", sample_rate=48_000, positions=near, poses=poses)
    other = replace(
        shot.sources[0],
        name="voice",
        positions=jumping,
        directivity=Directivity("voice"),
        loop=True,
    )
    shot = replace(shot, sources=(shot.sources[0], other))
    (tmp_path / "shot.json").write_text(json.dumps(shot.to_json()))
    sound = np.random.default_rng(0).uniform(-1, 1, 9000)
    soundfile.write(tmp_path / "bell.wav", sound, 32_000)
    subprocess.run([sys.executable, "-I", "-c", SCRIPT], cwd=tmp_path, check=True)
