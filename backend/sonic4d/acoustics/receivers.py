"""Receivers: what stands in the listener's place, and how sound from each direction becomes channels.

All of them turn with the camera and hear the same delay lines; they differ in three tables and a filter bank. A head
has two ears with filters; microphones in one place and loudspeakers are gains that depend on the direction alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..protocol import Sonic4DError
from ..shot import RenderSettings
from . import sphere_table
from .ambisonics import ORDERS, spherical_harmonics
from .hrtf import LONGEST_ITD_S, Hrtf, load_hrtf
from .image_source import SPEED_OF_SOUND
from .loudspeakers import LAYOUTS, panning_gains

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Receiver:
    """One or two points ("ears") that hear at their own time, each with its own share of the buses.

    onsets_s: a `sphere_table` of a value per ear, how much later than at the listener's place sound from a direction
    reaches it, at most `LONGEST_ITD_S` apart.
    weights: a `sphere_table` of a gain per bus: the first ear's, then the second ear's.
    basis (buses per ear, taps): the filters whose sum an ear's channel is; None where every bus is a channel.
    diffuse: frequencies (bins,) -> (channels, channels, bins), how independent noises of unit power add up to what
    the channels hear of a diffuse sound field of unit power.
    """

    onsets_s: Array
    weights: Float32
    basis: Float32 | None
    diffuse: Callable[[Array], Array]

    @property
    def ears(self) -> int:
        return self.onsets_s.shape[2]

    @property
    def buses(self) -> int:
        return self.weights.shape[2]

    @property
    def channels(self) -> int:
        return self.buses if self.basis is None else self.ears

    @property
    def taps(self) -> int:
        return 0 if self.basis is None else self.basis.shape[1]


def make_receiver(render: RenderSettings, folder: Path) -> Receiver:
    """The receiver of a format: "binaural", "stereo", "ambix1" to "ambix3", "5.1" or "7.1.4".

    Ambisonics is AmbiX: ACN order, SN3D, +X the camera's forward, +Y its left, +Z its up; W is the sound pressure.
    A SOFA file's path is relative to `folder`. Raises `Sonic4DError`.
    """
    if render.format == "binaural":
        return _head(load_hrtf(render.hrtf, render.sample_rate, folder))
    if render.format == "stereo":
        return _microphone_pair(render.mic_spacing_m)
    return _coincident(render.format)


def _head(hrtf: Hrtf) -> Receiver:
    def diffuse(frequencies_hz: Array) -> Array:
        known_hz = hrtf.frequencies_hz
        coherence = np.interp(frequencies_hz, known_hz, hrtf.diffuse_coherence)
        power = [np.interp(frequencies_hz, known_hz, ear) for ear in hrtf.diffuse_power]
        return _pair_of_noises(coherence) * np.sqrt(power)[:, None]

    return Receiver(hrtf.onsets_s, hrtf.weights, hrtf.basis, diffuse)


def _microphone_pair(spacing_m: float) -> Receiver:
    """The paper's two omnidirectional microphones, left and right of the listener's place.

    Plane waves are assumed: both hear the same level. In a diffuse field they cohere as sinc(2 f spacing / c) (Cook et
    al., JASA 27, 1955).
    """
    latest_s = spacing_m / 2 / SPEED_OF_SOUND
    if 2 * latest_s > LONGEST_ITD_S:
        raise Sonic4DError(
            "bad_option",
            f"Two microphones {spacing_m:g} m apart are too far from each other for the hifi mode.",
            f"Set mic_spacing_m to at most {SPEED_OF_SOUND * LONGEST_ITD_S:.2f}.",
        )
    left = sphere_table.grid_directions()[:, 1]
    onsets_s = np.stack((-latest_s * left, latest_s * left), axis=1)

    def diffuse(frequencies_hz: Array) -> Array:
        return _pair_of_noises(np.sinc(4 * latest_s * frequencies_hz))

    return Receiver(
        sphere_table.make_table(onsets_s),
        sphere_table.make_table(np.ones_like(onsets_s)).astype(np.float32),
        None,
        diffuse,
    )


def _pair_of_noises(coherence: Array) -> Array:
    """(2, 2, bins): two independent noises -> two of such a coherence (bins,), each of unit power."""
    angle = np.arccos(np.clip(coherence, -1, 1)) / 2
    common, opposed = np.cos(angle), np.sin(angle)
    return np.array([[common, opposed], [common, -opposed]])


@lru_cache
def _coincident(name: str) -> Receiver:
    """Channels that hear everything at the same time, as loud as its direction demands."""
    directions = sphere_table.grid_directions()
    if name in ORDERS:
        gains = spherical_harmonics(ORDERS[name], directions)
    else:
        gains = panning_gains(LAYOUTS[name], directions)
    weights = sphere_table.make_table(gains).astype(np.float32)
    power = np.einsum("n,ni,nj->ij", sphere_table.grid_areas(), gains, gains, optimize=True)
    values, vectors = np.linalg.eigh(power)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    root[np.abs(root) < 1e-9] = 0  # what is silent stays exactly silent

    def diffuse(frequencies_hz: Array) -> Array:
        return np.repeat(root[..., None], len(frequencies_hz), axis=-1)

    onsets_s = sphere_table.make_table(np.zeros((len(gains), 1)))
    return Receiver(onsets_s, weights, None, diffuse)
