"""Other programs at the reference task: room impulse responses of some of its segments, at two microphones."""

from __future__ import annotations

import importlib.util

import numpy as np
from sonic4d.acoustics.image_source import SPEED_OF_SOUND, sabine_reflection
from sonic4d.acoustics.paper import microphone_positions
from sonic4d.shot import Shot

from .task import RATE_HZ, RT60_S, SIZE_M


def has_torchrir() -> bool:
    return importlib.util.find_spec("torchrir") is not None


def _segments(shot: Shot, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Source (3,) and microphones (2, 3) of so many segments, evenly chosen."""
    microphones = microphone_positions(
        shot.listener_poses, shot.render.mic_spacing_m, shot.frame_count
    )
    chosen = np.linspace(0, shot.frame_count - 1, count).astype(int)
    return [(shot.sources[0].positions[i], microphones[:, i]) for i in chosen]


def pyroomacoustics_rirs(shot: Shot, count: int) -> None:
    import pyroomacoustics

    absorption, order = pyroomacoustics.inverse_sabine(RT60_S, SIZE_M)
    for source, microphones in _segments(shot, count):
        material = pyroomacoustics.Material(absorption)
        box = pyroomacoustics.ShoeBox(SIZE_M, RATE_HZ, materials=material, max_order=order)
        box.add_source(source)
        box.add_microphone_array(microphones.T)
        box.compute_rir()


def rir_generator_rirs(shot: Shot, count: int) -> None:
    import rir_generator

    for source, microphones in _segments(shot, count):
        rir_generator.generate(
            c=SPEED_OF_SOUND,
            fs=RATE_HZ,
            r=microphones,
            s=source,
            L=SIZE_M,
            reverberation_time=RT60_S,
            nsample=round(RT60_S * RATE_HZ),
            order=-1,
            hp_filter=False,
        )


def torchrir_rirs(shot: Shot, count: int) -> None:
    import torchrir
    from torchrir.config import SimulationConfig
    from torchrir.sim import simulate

    beta = float(sabine_reflection(np.array(SIZE_M), RT60_S)[0])
    images = np.ceil(RT60_S * SPEED_OF_SOUND / np.array(SIZE_M)).astype(int)
    for source, microphones in _segments(shot, count):
        room = torchrir.Room.shoebox(size=list(SIZE_M), fs=RATE_HZ, beta=[beta] * 6)
        scene = torchrir.StaticScene(
            room=room,
            sources=torchrir.Source.from_positions([source.tolist()]),
            mics=torchrir.MicrophoneArray.from_positions(microphones.tolist()),
        )
        config = SimulationConfig(nb_img=tuple(int(n) for n in images), tmax=RT60_S, device="cpu")
        simulate(scene, config)
