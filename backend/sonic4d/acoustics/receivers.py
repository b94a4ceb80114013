"""Receivers: what stands in the listener's place, and how sound from each direction becomes channels.

All of them turn with the camera and hear the same delay lines; they differ in three tables and a filter bank. A head
has two ears with filters; microphones in one place and loudspeakers are gains that depend on the direction alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import fft

from ..protocol import Sonic4DError
from ..shot import RenderSettings
from . import sphere_table
from .ambisonics import MAX_ORDER, ORDERS, orthonormal, spherical_harmonics
from .hrtf import LONGEST_ITD_S, Hrtf, load_hrtf
from .image_source import SPEED_OF_SOUND
from .loudspeakers import LAYOUTS, panning_gains

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

_STEP_DEG = sphere_table.MEASURED_STEP_DEG
_LATE_FILTER_S = 0.005  # of the filters' length, in powers of two
_PHASE_HZ = (700.0, 1800.0)  # fades out


@dataclass(frozen=True)
class Receiver:
    """One or two points ("ears") that hear at their own time, each with its own share of the buses.

    onsets_s: a `sphere_table` of a value per ear, how much later than at the listener's place sound from a direction
    reaches it, at most `LONGEST_ITD_S` apart.
    weights: a `sphere_table` of a gain per bus: the first ear's, then the second ear's.
    basis (buses per ear, taps): the filters whose sum an ear's channel is; None where every bus is a channel.
    late (channels, (late_order + 1)^2, taps): filters, symmetric about taps // 2, from the Ambisonic channels (N3D,
    forward, left, up) of a diffuse sound field to what the channels hear of it: with the field's exact levels and
    coherence and, within that, as directional as the receiver is.
    spacing_m: if not 0, the ears are points so far apart, left and right, and hear each path from there (`near_field`).
    """

    onsets_s: Array
    weights: Float32
    basis: Float32 | None
    late_order: int
    late: Float32
    spacing_m: float = 0.0

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

    @property
    def memory(self) -> int:
        """How many samples its filters keep, of early and of late sound."""
        late_taps = self.late.shape[2]
        return max(self.taps, late_taps if late_taps > 1 else 0)


def make_receiver(render: RenderSettings, folder: Path) -> Receiver:
    """The receiver of a format: "binaural", "stereo", "ambix1" to "ambix3", "5.1" or "7.1.4".

    Ambisonics is AmbiX: ACN order, SN3D, +X the camera's forward, +Y its left, +Z its up; W is the sound pressure.
    A SOFA file's path is relative to `folder`. Raises `Sonic4DError`.
    """
    if render.format == "binaural":
        return _head(load_hrtf(render.hrtf, render.sample_rate, folder))
    if render.format == "stereo":
        return _microphone_pair(render.mic_spacing_m, render.sample_rate)
    return _coincident(render.format)


@lru_cache(maxsize=4)
def _head(hrtf: Hrtf) -> Receiver:
    bins = len(hrtf.frequencies_hz)
    directions = sphere_table.grid_directions(_STEP_DEG)
    responses = sphere_table.read_table(hrtf.weights, directions).reshape(len(directions), 2, -1)
    spectra = np.abs(fft.rfft(responses @ hrtf.basis, 2 * (bins - 1)))
    onsets_s = sphere_table.read_table(hrtf.onsets_s, directions)
    power = np.sqrt(hrtf.diffuse_power)
    covariance = np.empty((bins, 2, 2))
    covariance[:, 0, 0], covariance[:, 1, 1] = power**2
    covariance[:, 0, 1] = covariance[:, 1, 0] = hrtf.diffuse_coherence * power[0] * power[1]
    late = _late_ears(spectra, onsets_s, covariance, hrtf.frequencies_hz)
    return Receiver(hrtf.onsets_s, hrtf.weights, hrtf.basis, 1, late)


@lru_cache(maxsize=4)
def _microphone_pair(spacing_m: float, rate_hz: int) -> Receiver:
    """The paper's two omnidirectional microphones, left and right of the listener's place.

    In a diffuse field they cohere as sinc(2 f spacing / c) (Cook et al., JASA 27, 1955).
    """
    latest_s = spacing_m / 2 / SPEED_OF_SOUND
    if 2 * latest_s > LONGEST_ITD_S:
        raise Sonic4DError(
            "bad_option",
            f"Two microphones {spacing_m:g} m apart are too far from each other for the hifi mode.",
            f"Set mic_spacing_m to at most {SPEED_OF_SOUND * LONGEST_ITD_S:.2f}.",
        )
    left = sphere_table.grid_directions(_STEP_DEG)[:, 1]
    onsets_s = np.stack((-latest_s * left, latest_s * left), axis=1)
    nothing = np.zeros((len(sphere_table.grid_directions()), 2))
    frequencies_hz = fft.rfftfreq(1 << int(np.ceil(np.log2(rate_hz / 94))), 1 / rate_hz)
    covariance = np.empty((len(frequencies_hz), 2, 2))
    covariance[:, [0, 1], [0, 1]] = 1
    covariance[:, [0, 1], [1, 0]] = np.sinc(4 * latest_s * frequencies_hz)[:, None]
    # What is farther apart than a wave tells left from right by time alone; a little of a dipole decides who is who.
    spectra = np.repeat((1 + 0.3 * np.stack((left, -left), 1))[..., None], len(frequencies_hz), 2)
    return Receiver(
        sphere_table.make_table(nothing),
        sphere_table.make_table(nothing + 1).astype(np.float32),
        None,
        1,
        _late_ears(spectra, onsets_s, covariance, frequencies_hz),
        spacing_m,
    )


def _late_ears(
    magnitudes: Array, onsets_s: Array, covariance: Array, frequencies_hz: Array
) -> Float32:
    """`Receiver.late` of two ears: magnitudes (directions, 2, bins) and onsets (directions, 2) at the grid's directions,
    covariance (bins, 2, 2) in a diffuse field.

    The decoder that matches the covariance and is otherwise nearest to the least-squares one: an orthogonal Procrustes
    problem (Vilkamo, Bäckström and Kuntz, JAES 61, 2013). Above `_PHASE_HZ`, where first-order Ambisonics can't carry
    time differences, the least-squares decoder is one of magnitudes.
    """
    directions = sphere_table.grid_directions(_STEP_DEG)
    channels = spherical_harmonics(1, directions) * orthonormal(1)
    weighted = sphere_table.grid_areas(_STEP_DEG)[:, None] * channels
    phase = np.exp(-2j * np.pi * onsets_s[..., None] * frequencies_hz)
    timed = np.einsum("nc,nef->fec", weighted, magnitudes * phase, optimize=True)
    untimed = np.einsum("nc,nef->fec", weighted, magnitudes, optimize=True)
    low, high = _PHASE_HZ
    share = np.clip(np.log2(np.maximum(frequencies_hz, 1) / low) / np.log2(high / low), 0, 1)
    wanted = (1 - share)[:, None, None] * timed + share[:, None, None] * untimed
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))[:, None]) @ vectors.transpose(0, 2, 1)
    left, _, right = np.linalg.svd(root @ wanted, full_matrices=False)
    decoder = root @ left @ right
    decoder[[0, -1]] = decoder[[0, -1]].real
    size = 2 * (len(frequencies_hz) - 1)
    half = 1 << int(np.ceil(np.log2(frequencies_hz[-1] * _LATE_FILTER_S)))
    late = np.roll(fft.irfft(decoder, size, axis=0), half, axis=0)[: 2 * half]
    late *= np.hanning(2 * half + 1)[:-1, None, None] ** 0.25  # only the ends fade
    return np.ascontiguousarray(late.transpose(1, 2, 0)).astype(np.float32)


def pressure_receiver() -> Receiver:
    """One channel that hears every direction alike."""
    return _coincident("pressure")


@lru_cache
def _coincident(name: str) -> Receiver:
    """Channels that hear everything at the same time, as loud as its direction demands."""
    directions = sphere_table.grid_directions()
    order = (ORDERS | {"pressure": 0}).get(name, MAX_ORDER)
    if name not in LAYOUTS:
        gains = spherical_harmonics(order, directions)
    else:
        gains = panning_gains(LAYOUTS[name], directions)
    weights = sphere_table.make_table(gains).astype(np.float32)
    late = _late_gains(gains) if name in LAYOUTS else np.diag(1 / orthonormal(order))
    onsets_s = sphere_table.make_table(np.zeros((len(gains), 1)))
    return Receiver(onsets_s, weights, None, order, late[..., None].astype(np.float32))


def _late_gains(gains: Array) -> Array:
    """`Receiver.late` without time, of channels with these gains (directions, channels) at the grid's directions; the same
    as `_late_ears`, for the highest order."""
    areas = sphere_table.grid_areas()[:, None]
    channels = spherical_harmonics(MAX_ORDER, sphere_table.grid_directions())
    values, vectors = np.linalg.eigh(gains.T @ (areas * gains))
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    wanted = gains.T @ (areas * channels * orthonormal(MAX_ORDER))
    left, _, right = np.linalg.svd(root @ wanted, full_matrices=False)
    late = root @ left @ right
    late[~gains.any(axis=0)] = 0  # what is silent stays exactly silent
    return late
