"""Late reverberation: everything that reaches the receiver after the first reflections, as one diffuse sound field.

The tail is a static filter per channel, Gaussian noise that fades as fast as walls and air demand, as strong and as
coherent between the channels as a diffuse field is there. Its energy is what the room's energy balance demands minus what the first reflections carry.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft
from scipy.ndimage import gaussian_filter1d

from .early_images import DECAY_60_DB, Walls
from .image_source import SPEED_OF_SOUND
from .receivers import Receiver
from .spectral_buses import PASSBAND

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

_REFERENCE_OCTAVE = 3  # 1 kHz
_BINS = 130
_HAND_OVER_PATHS = 17  # mean free paths until the first reflections are over
_SMOOTHING_BINS = 4
_POSITIONS = 24
_HOP_S = 0.005
_FRAMES_AT_ONCE = 256


def late_share(
    size_m: Array, order: int, walls: Walls, sources: Array, listeners: Array
) -> tuple[Array, Array]:
    """Expected share of the reflected energy that images beyond `order` carry: times in seconds and shares, (bins,).

    Averaged over some of the pairs of sources and listeners (n, 3) in the room's coordinates.
    """
    reach_m = _HAND_OVER_PATHS * walls.mean_free_path_m
    log_reflection = walls.mean_log_reflection[_REFERENCE_OCTAVE]
    every, early = np.full(_BINS, 1e-12), np.zeros(_BINS)
    chosen = np.unique(np.linspace(0, len(sources) - 1, _POSITIONS).astype(np.int64))
    for source, listener in zip(sources[chosen], listeners[chosen], strict=True):
        squared, reflections = np.zeros((1, 1, 1)), np.zeros((1, 1, 1))
        for axis in range(3):
            steps = math.ceil(reach_m / size_m[axis]) + 1
            cell = np.arange(-steps, steps + 1)
            odd = cell % 2
            place = (cell + odd) * size_m[axis] + (1 - 2 * odd) * source[axis]
            shape = [1, 1, 1]
            shape[axis] = -1
            squared = squared + ((place - listener[axis]) ** 2).reshape(shape)
            reflections = reflections + np.abs(cell).reshape(shape)
        near = squared < reach_m**2
        distance, reflections = np.sqrt(squared[near]), reflections[near]
        energy = np.exp(2 * log_reflection * reflections) / np.maximum(distance, 0.1) ** 2
        bins = (distance * (_BINS / reach_m)).astype(np.int64)
        every += np.bincount(bins, energy, _BINS)
        heard = reflections <= order
        early += np.bincount(bins[heard], energy[heard], _BINS)
    every, early = (gaussian_filter1d(e, _SMOOTHING_BINS, mode="constant") for e in (every, early))
    # The source itself counts as early, so that nothing is late before the first reflections.
    share = np.clip(1 - early / every, 0, 1)
    share[:_SMOOTHING_BINS] = 0
    share[-2 * _SMOOTHING_BINS :] = share[-2 * _SMOOTHING_BINS - 1]
    return (np.arange(_BINS) + 0.5) * (reach_m / _BINS / SPEED_OF_SOUND), share


def make_tail(
    size_m: Array,
    walls: Walls,
    times_s: Array,
    share: Array,
    receiver: Receiver,
    rate_hz: int,
    seed: int,
) -> Float32:
    """Impulse response of the late reverberation, (channels, samples); see `late_share` for times and share.

    A diffuse field's energy density after an impulse is c / (4 pi V) exp(-13.8 t / RT60) (Kuttruff, Room Acoustics,
    5.1), in the scale where the direct sound has the amplitude 1 / (4 pi d). Independent noises are cut into short
    overlapping frames, and every frame gets the spectrum that is left at its time.
    """
    hop = round(_HOP_S * rate_hz)
    size = fft.next_fast_len(4 * hop, real=True)
    frequencies = fft.rfftfreq(size, 1 / rate_hz)
    decay_per_s = walls.decay_per_s(frequencies)
    frames = math.ceil(DECAY_60_DB / decay_per_s.min() / _HOP_S)
    time = np.arange(1, frames + 1)[:, None] * (hop / rate_hz)
    density = SPEED_OF_SOUND / (4 * np.pi * np.prod(size_m)) / rate_hz
    level = np.sqrt(density * np.interp(time, times_s, share))
    spectrum = level * np.exp(-decay_per_s / 2 * time) * (frequencies < PASSBAND * rate_hz)

    channels = receiver.channels
    mixing = receiver.diffuse(frequencies)
    window = np.hanning(2 * hop + 1)[:-1]
    noise = np.random.default_rng(seed).standard_normal((channels, (frames + 1) * hop), np.float32)
    cut = sliding_window_view(noise, 2 * hop, axis=1)[:, ::hop]
    # The filters have zero phase: half of what they smear comes before a frame's beginning.
    early = (size - 2 * hop) // 2
    response = np.zeros((channels, early + frames * hop + size), np.float32)
    for start in range(0, frames, _FRAMES_AT_ONCE):
        chosen = slice(start, start + _FRAMES_AT_ONCE)
        noises = fft.rfft(cut[:, chosen] * window, size, workers=-1) * spectrum[chosen]
        mixed = np.einsum("ijf,jnf->inf", mixing, noises)
        shaped = np.roll(fft.irfft(mixed, size, workers=-1), early, axis=-1)
        for frame in range(shaped.shape[1]):
            place = (start + frame) * hop
            response[:, place : place + size] += shaped[:, frame]
    return response[:, early : early + (frames + 1) * hop]
