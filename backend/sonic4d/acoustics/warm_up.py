"""Compile what rendering needs and prepare the packaged head, so that the first render doesn't have to."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from ..directivity import Directivity
from ..monitor import SILENT
from ..occluders import Occluder
from ..room import Room
from ..shot import RenderSettings, Shot, ShotSource
from .hifi import render_hifi
from .paper import render_paper


def warm_up() -> None:
    """Render a moment of noise in each of the ways that are compiled differently. Takes about 20 s the first time ever,
    then a moment; what was compiled is kept on disk by numba. Raises whatever rendering raises."""
    frames = 6
    positions = np.tile([0.5, 1.5, 0.0], (frames, 1)) + np.arange(frames)[:, None] * 0.01
    poses = np.tile(np.eye(4), (frames, 1, 1))
    source = ShotSource("noise", "noise.wav", positions)
    shot = Shot(
        name="warm-up",
        frame_rate=Fraction(24),
        frame_start=1,
        frame_end=frames,
        listener_poses=poses,
        sources=(source,),
        room=Room("shoebox", (0.0, 0.0, 0.0), (5.0, 4.0, 3.0), 0.0, 0.2),
        render=RenderSettings(),
        folder=Path(),
    )
    sound = np.random.default_rng(0).standard_normal(shot.sample_count).astype(np.float32)
    render_paper(shot, [sound], SILENT)
    obstacle = Occluder("dust", "points", {"points": positions[:1]}, (1.0,) * 8, cell_m=0.01)
    for audio_format, directivity, occluders in (
        ("binaural", Directivity(), ()),
        ("ambix1", Directivity("voice"), (obstacle,)),
    ):
        render_hifi(
            replace(
                shot,
                render=RenderSettings(format=audio_format),
                sources=(replace(source, directivity=directivity),),
                occluders=occluders,
            ),
            [sound],
            SILENT,
        )
