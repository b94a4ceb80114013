"""The same scene gives the same WAV, bit for bit, by the operator in every Blender and by the command line.

That Blender 4.5 and 5.2 agree follows from the frozen shot: what the backend makes of one doesn't hang on who wrote it.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import fixed_scene
import pytest
import sound

BLENDER = os.environ.get("BLENDER", "")
# What shot.json of the fixed scene says, in bpy 4.5 and 5.2 and in a real Blender 5.2 alike.
SHOT = "7f4ab12179a105e12198b7c60abcd126f874a10ae8a504c3569862ab0ddb1fb4"
TIMEOUT_S = 120


def test_every_blender_writes_this_shot_and_the_command_line_renders_it_alike(
    tmp_path: Path,
) -> None:
    shot, wav = fixed_scene.render(tmp_path)
    said, _ = fixed_scene.digests(shot, wav)
    assert said == SHOT
    again = tmp_path / "again.wav"
    sound.backend("-m", "sonic4d", "render", str(shot), "-o", str(again))
    assert again.read_bytes() == wav.read_bytes()


@pytest.mark.skipif(not BLENDER, reason="no Blender is named by $BLENDER")
def test_a_real_blender_sounds_the_same(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir(), there.mkdir()
    script = [BLENDER, "-b", "--factory-startup", "--python", fixed_scene.__file__]
    done = subprocess.run(
        [*script, "--", str(there)], capture_output=True, text=True, timeout=TIMEOUT_S
    )
    digests = fixed_scene.digests(*fixed_scene.render(here))
    assert " ".join(digests) in done.stdout, done.stdout[-2000:] + done.stderr[-2000:]
