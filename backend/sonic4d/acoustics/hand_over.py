"""How the late field takes over from the first reflections: how much energy these carry, and what is left to carry."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d
from scipy.stats import qmc

from ..materials import OCTAVES_HZ
from .air import air_absorption_per_m
from .early_images import DECAY_60_DB, Images, Walls
from .image_source import SHORTEST_DISTANCE_M, SPEED_OF_SOUND

Array = npt.NDArray[np.float64]

_PLACES, _MEASURED = 128, 32
_OCTAVE_1_KHZ = 3
_NEAREST_WALL = 0.1  # of the room's side
_BIN_PATHS = 0.04  # mean free paths
_MOST_BINS = 1024
_SMOOTHING_BINS = 13
_OCTAVE_WIDTH = math.sqrt(0.5)  # of its middle frequency


@dataclass(frozen=True)
class HandOver:
    """Over time, `times_s` (bins,), and in `OCTAVES_HZ`: `early` (places, bins, 8), energy of the direct sound and the first
    reflections between some pairs of places where reverberation would be measured, as pressure squared in each bin for
    an impulse that is 1 / (4 pi d) strong at the distance d; `late` (bins, 8), share of a diffuse field's energy that is
    left to the late field."""

    times_s: Array
    early: Array
    late: Array


def make_hand_over(size_m: Array, images: Images, walls: Walls) -> HandOver:
    """What the late field has to add to these images: the mean over sources and listeners all over the room (a Halton
    sequence).

    A diffuse field's energy density after an impulse is c / (4 pi V) exp(-13.8 t / RT60) (Kuttruff, Room Acoustics,
    5.1). Low notes of reflections that arrive together interfere, which may make them louder than all that is to be
    heard at that time.
    """
    longest_m = (images.order.max() + 1) * np.linalg.norm(size_m)
    decay_per_s = walls.decay_per_s(OCTAVES_HZ)
    reach_m = min(longest_m, DECAY_60_DB / decay_per_s.min() * SPEED_OF_SOUND)
    bins = min(math.ceil(reach_m / (_BIN_PATHS * walls.mean_free_path_m)), _MOST_BINS)
    bin_s = reach_m / bins / SPEED_OF_SOUND
    times_s = (np.arange(bins) + 0.5) * bin_s
    distance_m = _distances(size_m, images)
    place = (distance_m / (SPEED_OF_SOUND * bin_s)).astype(np.int64)
    heard = place < bins
    place = (place + bins * np.arange(_PLACES)[:, None])[heard]
    measured = _measured(distance_m[:, 0], size_m, DECAY_60_DB / decay_per_s[_OCTAVE_1_KHZ])
    log_gain = walls.log_gain(images.hits)
    early, late = np.empty((len(measured), bins, 8)), np.empty((bins, 8))
    for octave, middle_hz in enumerate(OCTAVES_HZ):
        air = air_absorption_per_m(middle_hz) / 2 * distance_m
        spreading = 4 * np.pi * np.maximum(distance_m, SHORTEST_DISTANCE_M)
        turned = np.exp(-2j * np.pi * middle_hz / SPEED_OF_SOUND * distance_m)
        wave = np.exp(log_gain[:, octave] - air) / spreading * turned
        alone, together = _energies(place, wave[heard], bins, middle_hz * _OCTAVE_WIDTH * bin_s)
        early[..., octave] = together[measured]
        diffuse = SPEED_OF_SOUND / (4 * np.pi * np.prod(size_m)) * bin_s
        share = np.maximum(alone.mean(axis=0), together.mean(axis=0)) / diffuse
        share = gaussian_filter1d(share, _SMOOTHING_BINS, mode="constant")
        late[:, octave] = np.clip(1 - share * np.exp(decay_per_s[octave] * times_s), 0, 1)
    # The source itself counts as early, so that nothing is late before the first reflections.
    late[:_SMOOTHING_BINS] = 0
    return HandOver(times_s, early, late)


def _distances(size_m: Array, images: Images) -> Array:
    """How long the paths of the images are between pairs of places (places, images)."""
    places = qmc.Halton(6, scramble=False).random(_PLACES + 1)[1:].reshape(-1, 2, 1, 3)
    places = (_NEAREST_WALL + (1 - 2 * _NEAREST_WALL) * places) * size_m
    away = images.offset + images.sign * places[:, 0] - places[:, 1]
    return np.linalg.norm(away, axis=2)


def _measured(distance_m: Array, size_m: Array, rt60_s: float) -> npt.NDArray[np.int64]:
    """Which pairs of places, so far apart, reverberation is measured between: not nearer than 2 sqrt(V / (c T)) (ISO 3382-2,
    4.3), or the farthest ones."""
    nearest_m = 2 * math.sqrt(float(np.prod(size_m)) / (SPEED_OF_SOUND * rt60_s))
    far_enough = np.flatnonzero(distance_m >= nearest_m)[:_MEASURED]
    return far_enough if len(far_enough) == _MEASURED else np.argsort(-distance_m)[:_MEASURED]


def _energies(
    place: npt.NDArray[np.int64], wave: npt.NDArray[np.complex128], bins: int, bandwidth: float
) -> tuple[Array, Array]:
    """Energies (places, bins) of paths alone and with their interference in a band of such a width (cycles per bin)."""

    def binned(values: Array) -> Array:
        return np.bincount(place, values, _PLACES * bins).reshape(_PLACES, bins)

    alone = binned(np.abs(wave) ** 2)
    # The envelope of a band with the shape and the noise bandwidth of a Gaussian.
    deviation = 1 / (2 * math.sqrt(math.pi) * bandwidth)
    middle = np.zeros(2 * math.ceil(4 * deviation) + 1)
    middle[len(middle) // 2] = 1
    power = (gaussian_filter1d(middle, deviation) ** 2).sum()
    envelopes = (
        gaussian_filter1d(binned(part), deviation, mode="constant")
        for part in (wave.real, wave.imag)
    )
    return alone, sum(envelope**2 for envelope in envelopes) / power
