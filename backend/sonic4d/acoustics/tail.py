"""Late reverberation: everything that reaches the listener after the first reflections, as one diffuse sound field.

The field is a set of independent noises, the room-fixed Ambisonic channels of a diffuse field, that fade as fast as
walls and air demand. Its energy is what the room's energy balance demands minus what the first reflections carry
(`hand_over`). It depends on the room alone, not on who moves where (`late_field` turns it into the listener's axes).
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft
from scipy.ndimage import uniform_filter1d

from ..materials import OCTAVES_HZ
from .decay import advance_s, bandwidth_hz, decays_per_s, octave_energy
from .early_images import DECAY_60_DB, Walls
from .hand_over import HandOver
from .image_source import SPEED_OF_SOUND
from .parallel import thread_count
from .spectral_buses import PASSBAND

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

_HOP_S = 0.005
_FRAMES_AT_ONCE = 256
_CALIBRATED_HZ = OCTAVES_HZ[:6]  # above, the air alone makes the reverberation shorter
_CALIBRATIONS = 2  # the second is for what octaves take of their neighbours
_DECAY_STEPS = 160
_ITERATIONS, _RELAXATION, _NEAR_ENOUGH = 10, 0.7, 0.002
_MOST = 0.25  # of the decay: what may be added or taken away
_EVEN_WAVES = 15.0  # periods of an octave's middle over which its noise is evened out
_LEAST_EVEN_S = 0.02
_LONGEST_NOISE_S = 8.0  # then it is repeated, which nobody hears
_LENGTH_STEP_S = 0.25  # of what is kept for the next room: an edit seldom makes it longer


def make_tail(
    size_m: Array, walls: Walls, hand_over: HandOver, channels: int, rate_hz: int, seed: int
) -> Float32:
    """Impulse response of the late reverberation, (channels, samples), all channels alike in power (N3D).

    Independent noises are cut into short overlapping frames, and every frame gets the spectrum that is left at its time.
    Each channel's octaves are then made to fade a little faster or slower, so that with the first reflections' mean
    energy their reverberation time, measured as ISO 3382-1 wants it, is the walls'.
    """
    hop = round(_HOP_S * rate_hz)
    size = fft.next_fast_len(4 * hop, real=True)
    frequencies = fft.rfftfreq(size, 1 / rate_hz)
    octave = np.log2(np.maximum(frequencies, 1) / OCTAVES_HZ[0])
    hats = np.array([np.interp(octave, np.arange(8), hat) for hat in np.eye(8)])
    fading = walls.decay_per_s(frequencies)
    frames = math.ceil(DECAY_60_DB / fading.min() / _HOP_S)
    time = np.arange(1, frames + 1) * (hop / rate_hz)
    density = SPEED_OF_SOUND / (4 * np.pi * np.prod(size_m)) / rate_hz
    share = np.array([np.interp(time, hand_over.times_s, late) for late in hand_over.late.T]).T
    level = np.sqrt(density * (share @ hats)) * (frequencies < PASSBAND * rate_hz)
    spectrum = level * np.exp(-fading / 2 * time[:, None])
    count = (frames + 1) * hop
    steps_s = np.linspace(0, count / rate_hz, _DECAY_STEPS + 1)
    early = _early_energy(hand_over, steps_s) / rate_hz

    def make_channel(channel: int) -> Float32:
        different = min(_longer(count, rate_hz), round(_LONGEST_NOISE_S * rate_hz))
        noise = np.resize(_even_noise(different, rate_hz, seed, channel), count)
        row = _shaped(noise, spectrum, hop, size)
        faster_per_s = np.zeros(len(_CALIBRATED_HZ))
        for _ in range(_CALIBRATIONS):
            faster_per_s += _correction_per_s(row, early, walls, steps_s, rate_hz)
            tilt = np.exp(-(faster_per_s @ hats[: len(_CALIBRATED_HZ)]) / 2 * time[:, None])
            row = _shaped(noise, spectrum * tilt, hop, size)
        return row

    with ThreadPoolExecutor(thread_count()) as pool:
        return np.array([*pool.map(make_channel, range(channels))])


def _longer(count: int, rate_hz: int) -> int:
    """A number of samples that is the same for rooms whose late fields last about as long."""
    step = round(_LENGTH_STEP_S * rate_hz)
    return math.ceil(count / step) * step


def _shaped(noise: Float32, spectrum: Array, hop: int, size: int) -> Float32:
    """Noise (samples,) with the magnitudes spectrum (frames, bins) in frames of 2 `hop` samples, (samples,)."""
    spectrum = spectrum.astype(np.float32)
    window = np.hanning(2 * hop + 1)[:-1].astype(np.float32)
    cut = sliding_window_view(noise, 2 * hop)[::hop]
    # The filters have zero phase: half of what they smear comes before a frame's beginning.
    early = (size - 2 * hop) // 2
    result = np.zeros(early + len(spectrum) * hop + size, np.float32)
    for start in range(0, len(spectrum), _FRAMES_AT_ONCE):
        chosen = slice(start, start + _FRAMES_AT_ONCE)
        noises = fft.rfft(cut[chosen] * window, size) * spectrum[chosen]
        shaped = np.roll(fft.irfft(noises, size), early, axis=-1)
        for frame, samples in enumerate(shaped):
            place = (start + frame) * hop
            result[place : place + size] += samples
    return result[early : early + len(noise)]


def _early_energy(hand_over: HandOver, steps_s: Array) -> Array:
    """Energy of the first reflections in octaves (octaves, places, n) between steps_s (n + 1,), of an impulse of the energy
    1 / Hz."""
    edges_s = np.append(0, hand_over.times_s + hand_over.times_s[0])
    energy = np.empty((len(_CALIBRATED_HZ), len(hand_over.early), len(steps_s) - 1))
    for octave, middle_hz in enumerate(_CALIBRATED_HZ):
        heard_s = steps_s + advance_s(middle_hz)
        for place, each in enumerate(hand_over.early[:, :, octave]):
            passed = np.append(0, np.cumsum(each)) * 2 * bandwidth_hz(middle_hz)
            energy[octave, place] = np.diff(np.interp(heard_s, edges_s, passed))
    return energy


def _correction_per_s(
    response: Float32, early: Array, walls: Walls, steps_s: Array, rate_hz: int
) -> Array:
    """How much faster (octaves,) the late field (samples,) has to fade for the walls' reverberation time to be measured, in
    the mean over places whose first reflections have the energy early (octaves, places, n) between steps_s (n + 1,)."""
    size = _room_to_ring(_longer(len(response), rate_hz), rate_hz)
    spectrum = fft.rfft(response, size)
    wanted_per_s = walls.decay_per_s(_CALIBRATED_HZ)
    faster_per_s = np.zeros(len(_CALIBRATED_HZ))
    for octave, middle_hz in enumerate(_CALIBRATED_HZ):
        if middle_hz > PASSBAND * rate_hz:
            break
        late = octave_energy(spectrum, size, rate_hz, middle_hz, steps_s)
        most_per_s = _MOST * wanted_per_s[octave]
        for _ in range(_ITERATIONS):
            heard = early[octave] + late * np.exp(-faster_per_s[octave] * steps_s[1:])
            measured_s = np.mean(1 / decays_per_s(heard, steps_s[1]))
            if not measured_s:
                break  # nothing reverberates
            missing_per_s = wanted_per_s[octave] - 1 / measured_s
            if abs(missing_per_s) < _NEAR_ENOUGH * wanted_per_s[octave]:
                break
            faster_per_s[octave] += _RELAXATION * missing_per_s
            faster_per_s[octave] = np.clip(faster_per_s[octave], -most_per_s, most_per_s)
    return faster_per_s


def _room_to_ring(count: int, rate_hz: int) -> int:
    """How many samples to transform so that an octave filter, run backwards, has rung out."""
    return fft.next_fast_len(count + rate_hz // 10, real=True)


@lru_cache(maxsize=16)
def _even_noise(count: int, rate_hz: int, seed: int, channel: int) -> Float32:
    """Gaussian noise (count,) of unit power whose octaves are as strong at all times.

    A room's many reflections add up to an even decay; plain noise of the same length would make each octave's
    reverberation time off by several per cent.
    """
    noise = np.random.default_rng([seed, channel]).standard_normal(count)
    size = _room_to_ring(count, rate_hz)
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
    return (result / np.sqrt((result**2).mean())).astype(np.float32)
