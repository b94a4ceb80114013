"""What two microphones at the camera hear of a scene, by an independent program: pyroomacoustics (Scheibler et al., ICASSP 2018)."""

from __future__ import annotations

import importlib.util

import numpy as np
import numpy.typing as npt
from scipy import signal

from ...monitor import Monitor
from .truth import Truth

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

MAX_ORDER = 17  # of reflections; what is later than that is 20 dB weaker than the direct sound in the set's room


def available() -> bool:
    return importlib.util.find_spec("pyroomacoustics") is not None


def render_reference(
    truth: Truth, sounds: list[Float32], rate_hz: int, spacing_m: float, monitor: Monitor
) -> Float32:
    """(2, samples): omnidirectional microphones `spacing_m` apart on the camera's sides, left first.

    A response per frame, and what it makes of the sound crossfaded from frame to frame, so that motion has no Doppler shift. A
    room's walls take in equally, as its reverberation time asks for by Sabine's formula; the ground outdoors is left out.
    `sounds`: of each source, from the scene's start. Needs pyroomacoustics (`available`).
    """
    samples = round(truth.frame_count / truth.frame_rate * rate_hz)
    step = rate_hz / float(truth.frame_rate)
    heard = np.zeros((2, samples))
    for frame in range(truth.frame_count):
        monitor.check()
        middle = frame * step
        weights = np.maximum(0, 1 - abs(np.arange(samples) - middle) / step)
        if frame == truth.frame_count - 1:
            weights[round(middle) :] = 1
        first, end = np.flatnonzero(weights)[[0, -1]] + [0, 1]
        for source, sound in zip(truth.sources, sounds, strict=True):
            responses = _responses(truth, source.positions[frame], frame, rate_hz, spacing_m)
            reach = max(0, first - responses.shape[1])
            excerpt = np.pad(sound, (0, max(0, end - len(sound))))[reach:end]
            for ear in range(2):
                part = signal.fftconvolve(excerpt, responses[ear])[first - reach : end - reach]
                heard[ear, first:end] += part * weights[first:end]
    return heard.astype(np.float32)


def _responses(truth: Truth, source: Array, frame: int, rate_hz: int, spacing_m: float) -> Array:
    """(2, taps) from a source to the microphones, with the gain 1 / (4 pi d)."""
    import pyroomacoustics

    pyroomacoustics.constants.set("rir_hpf_enable", False)
    pose = truth.cameras[frame]
    sides = np.array([-0.5, 0.5])[:, None] * spacing_m * pose[:3, 0]
    places = np.stack([*(pose[:3, 3] + sides), source])
    if truth.room.kind == "shoebox":
        places = truth.room.to_local(places)
        absorption, order = pyroomacoustics.inverse_sabine(truth.room.rt60_s, truth.room.size)
        room = pyroomacoustics.ShoeBox(
            truth.room.size,
            fs=rate_hz,
            materials=pyroomacoustics.Material(absorption),
            max_order=min(order, MAX_ORDER),
        )
    else:
        room = pyroomacoustics.AnechoicRoom(3, fs=rate_hz)
    room.add_source(places[2])
    room.add_microphone_array(places[:2].T)
    room.compute_rir()
    found = [room.rir[ear][0] for ear in range(2)]
    late = pyroomacoustics.constants.get("frac_delay_length") // 2  # of its fractional delays
    taps = max(len(response) for response in found) - late
    return np.stack([np.pad(r[late:], (0, taps + late - len(r))) for r in found]) / (4 * np.pi)
