"""Late reverberation: everything that reaches the listener after the first reflections, as one diffuse sound field.

The field is a set of independent noises, the room-fixed Ambisonic channels of a diffuse field, that fade as fast as
walls and air demand. Its energy is what the room's energy balance demands minus what the first reflections carry. It
depends on the room alone, not on who moves where (`late_field` turns it into the listener's axes).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft
from scipy.ndimage import gaussian_filter1d, uniform_filter1d
from scipy.stats import qmc

from ..materials import OCTAVES_HZ
from .early_images import DECAY_60_DB, Walls
from .image_source import SPEED_OF_SOUND
from .spectral_buses import PASSBAND

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

_REFERENCE_OCTAVE = 3  # 1 kHz
_BINS = 130
_HAND_OVER_PATHS = 17  # mean free paths until the first reflections are over
_SMOOTHING_BINS = 4
_PLACES = 24
_NEAREST_WALL = 0.1  # of the room's side
_HOP_S = 0.005
_FRAMES_AT_ONCE = 256
_EVEN_WAVES = 15.0  # periods of an octave's middle over which its noise is evened out
_LEAST_EVEN_S = 0.02


def late_share(size_m: Array, order: int, walls: Walls) -> tuple[Array, Array]:
    """Expected share of the reflected energy that images beyond `order` carry: times in seconds and shares, (bins,).

    The mean over sources and listeners all over the room (a Halton sequence).
    """
    reach_m = _HAND_OVER_PATHS * walls.mean_free_path_m
    log_reflection = walls.mean_log_reflection[_REFERENCE_OCTAVE]
    every, early = np.full(_BINS, 1e-12), np.zeros(_BINS)
    places = qmc.Halton(6, scramble=False).random(_PLACES + 1)[1:].reshape(-1, 2, 3)
    places = (_NEAREST_WALL + (1 - 2 * _NEAREST_WALL) * places) * size_m
    for source, listener in places:
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
    channels: int,
    rate_hz: int,
    seed: int,
) -> Float32:
    """Impulse response of the late reverberation, (channels, samples), all channels alike in power (N3D); see `late_share`
    for times and share.

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

    window = np.hanning(2 * hop + 1)[:-1]
    # The filters have zero phase: half of what they smear comes before a frame's beginning.
    early = (size - 2 * hop) // 2
    response = np.zeros((channels, early + frames * hop + size), np.float32)
    for channel, row in enumerate(response):
        noise = _even_noise((frames + 1) * hop, rate_hz, seed, channel)
        cut = sliding_window_view(noise, 2 * hop)[::hop]
        for start in range(0, frames, _FRAMES_AT_ONCE):
            chosen = slice(start, start + _FRAMES_AT_ONCE)
            noises = fft.rfft(cut[chosen] * window, size, workers=-1) * spectrum[chosen]
            shaped = np.roll(fft.irfft(noises, size, workers=-1), early, axis=-1)
            for frame, samples in enumerate(shaped):
                place = (start + frame) * hop
                row[place : place + size] += samples
    return response[:, early : early + (frames + 1) * hop]


@lru_cache(maxsize=32)
def _even_noise(count: int, rate_hz: int, seed: int, channel: int) -> Array:
    """Gaussian noise (count,) of unit power whose octaves are as strong at all times.

    A room's many reflections add up to an even decay; plain noise of the same length would make each octave's
    reverberation time off by several per cent.
    """
    noise = np.random.default_rng([seed, channel]).standard_normal(count)
    size = fft.next_fast_len(count + rate_hz // 10, real=True)
    spectrum = fft.rfft(noise, size)
    octave = np.log2(np.maximum(fft.rfftfreq(size, 1 / rate_hz), 1) / OCTAVES_HZ[0])
    octave = np.clip(octave, 0, len(OCTAVES_HZ) - 1)
    result = np.zeros(count)
    for band, middle_hz in enumerate(OCTAVES_HZ):
        share = np.cos(np.pi / 2 * np.clip(np.abs(octave - band), 0, 1)) ** 2
        if not share.any():
            continue
        part = fft.irfft(spectrum * share, size)[:count]
        width = round(max(_EVEN_WAVES / middle_hz, _LEAST_EVEN_S) * rate_hz)
        power = uniform_filter1d(uniform_filter1d(part**2, width), width)
        result += part * np.sqrt((share**2).mean() / np.maximum(power, 1e-9))
    return result / np.sqrt((result**2).mean())
