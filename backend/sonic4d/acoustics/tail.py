"""Late reverberation: everything that reaches the ears after the first reflections, as one diffuse sound field.

The tail is a static pair of filters, Gaussian noise shaped in octave bands, as coherent between the ears as the head
makes a diffuse field. Its energy is what the room's energy balance demands minus what the first reflections carry.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import fft
from scipy.ndimage import gaussian_filter1d

from .early_images import DECAY_60_DB, Walls
from .hrtf import Hrtf
from .image_source import SPEED_OF_SOUND
from .spectral_buses import OCTAVES_HZ, PASSBAND

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

_BINS = 130
_HAND_OVER_PATHS = 17  # mean free paths until the first reflections are over
_SMOOTHING_BINS = 4
_POSITIONS = 24
_LENGTH = 1.15  # of the longest reverberation time
_FADE_S = 0.05


def late_share(
    size_m: Array, order: int, log_reflection: float, sources: Array, listeners: Array
) -> tuple[Array, Array]:
    """Expected share of the reflected energy that images beyond `order` carry: times in seconds and shares, (bins,).

    Averaged over some of the pairs of sources and listeners (n, 3) in the room's coordinates.
    """
    x, y, z = size_m
    reach_m = _HAND_OVER_PATHS * 2 * x * y * z / (x * y + y * z + z * x)
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
    size_m: Array, walls: Walls, times_s: Array, share: Array, hrtf: Hrtf, seed: int
) -> Float32:
    """Binaural impulse response of the late reverberation, (2, samples); see `late_share` for times and share.

    A diffuse field's energy density after an impulse is c / (4 pi V) exp(-13.8 t / RT60) (Kuttruff, Room Acoustics,
    5.1), in the scale where the direct sound has the amplitude 1 / (4 pi d).
    """
    rate_hz = hrtf.rate_hz
    count = math.ceil(_LENGTH * float(walls.rt60_s.max()) * rate_hz)
    size = fft.next_fast_len(2 * count, real=True)
    frequencies = fft.rfftfreq(size, 1 / rate_hz)
    octave = np.clip(np.log2(np.maximum(frequencies, 1) / OCTAVES_HZ[0]), 0, len(OCTAVES_HZ) - 1)
    noise = np.random.default_rng(seed).standard_normal((2, count), np.float32)
    spectra = fft.rfft(noise, size, workers=-1)
    time = np.arange(count) / rate_hz
    density = SPEED_OF_SOUND / (4 * np.pi * np.prod(size_m)) / rate_hz
    late = np.sqrt(density * np.interp(time, times_s, share))
    shaped = np.zeros((2, count), np.float32)
    for band, rt60_s in enumerate(walls.rt60_s):
        window = np.cos(np.pi / 2 * np.minimum(np.abs(octave - band), 1)) ** 2
        envelope = late * np.exp(-DECAY_60_DB / 2 * time / rt60_s)
        if window.any():
            narrow = fft.irfft(spectra * window.astype(np.float32), size, workers=-1)
            shaped += narrow[:, :count] * envelope.astype(np.float32)

    first, second = fft.rfft(shaped, size, workers=-1)
    coherence = np.interp(frequencies, hrtf.frequencies_hz, hrtf.diffuse_coherence)
    angle = np.arccos(np.clip(coherence, -1, 1)) / 2
    common, opposed = np.cos(angle) * first, np.sin(angle) * second
    power = [np.interp(frequencies, hrtf.frequencies_hz, ear) for ear in hrtf.diffuse_power]
    gain = np.sqrt(power) * (frequencies < PASSBAND * rate_hz)
    ears = np.stack((common + opposed, common - opposed)) * gain
    response = fft.irfft(ears.astype(np.complex64), size, workers=-1)[:, :count]
    fade = min(round(_FADE_S * rate_hz), count)
    response[:, -fade:] *= np.cos(np.linspace(0, np.pi / 2, fade)) ** 2
    return response.astype(np.float32)
