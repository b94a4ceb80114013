"""Estimators of direction, each on sound made by a formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
import soxr
from sonic4d.acoustics.sofa import read_kemar
from sonic4d.evaluate.estimators import (
    foa_to_stereo,
    head_lateral_deg,
    intensity_direction,
    levels_lateral_deg,
    pair_lateral_deg,
)

RATE_HZ = 48000
NOISE = np.random.default_rng(0).normal(0, 0.1, 9600)
ANGLES_DEG = (-70, -31, 0, 12, 45, 75)


def delayed(signal: np.ndarray, seconds: float) -> np.ndarray:
    spectrum = np.fft.rfft(signal)
    turns = np.fft.rfftfreq(len(signal), 1 / RATE_HZ) * seconds
    return np.fft.irfft(spectrum * np.exp(-2j * np.pi * turns), len(signal))


@pytest.mark.parametrize("angle_deg", ANGLES_DEG)
def test_pair(angle_deg: float) -> None:
    later_s = (
        0.175 * math.sin(math.radians(angle_deg)) / 343
    )  # at the right, where it comes from the left
    pair = np.stack([delayed(NOISE, -later_s / 2), delayed(NOISE, later_s / 2)])
    assert pair_lateral_deg(pair, 0.175, RATE_HZ) == pytest.approx(angle_deg, abs=1.5)


@pytest.mark.parametrize("number", range(0, 710, 37))
def test_head(number: int) -> None:
    head = read_kemar()
    front, left, up = head.directions[number]
    if front < 0 or abs(up) > 0.7:
        return
    responses = soxr.resample(head.impulse_responses[number].T, head.rate_hz, RATE_HZ).T
    ears = np.stack([np.convolve(NOISE, response)[:9600] for response in responses])
    assert head_lateral_deg(ears, RATE_HZ) == pytest.approx(math.degrees(math.asin(left)), abs=2.5)


@pytest.mark.parametrize("azimuth_deg", [*ANGLES_DEG, 120, 180])
def test_ambisonics(azimuth_deg: float) -> None:
    azimuth, elevation = math.radians(azimuth_deg), math.radians(20)
    place = np.array(
        [
            math.cos(azimuth) * math.cos(elevation),
            math.sin(azimuth) * math.cos(elevation),
            math.sin(elevation),
        ]
    )
    x, y, z = place
    ambix = np.stack([NOISE, y * NOISE, z * NOISE, x * NOISE])
    assert intensity_direction(ambix) == pytest.approx(place)
    lateral_deg = math.degrees(math.asin(y))
    assert levels_lateral_deg(foa_to_stereo(ambix)) == pytest.approx(lateral_deg, abs=1e-6)


def test_view_is_turned_before_it_becomes_stereo() -> None:
    ambix = np.stack([NOISE, NOISE, 0 * NOISE, 0 * NOISE])  # from the left
    left, right = foa_to_stereo(ambix, azimuth_deg=90)
    assert left == pytest.approx(right)
    left, right = foa_to_stereo(ambix, azimuth_deg=0)
    assert np.abs(right).max() == pytest.approx(0, abs=1e-12)
