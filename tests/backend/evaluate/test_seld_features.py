"""What SELDnet hears, against numbers of librosa, which the baseline computes with (docs/seld.md)."""

from __future__ import annotations

import numpy as np
import pytest
from sonic4d.evaluate.seld_features import features, mel_filters, standardised

LOG_MEL = (-6.999196888445508, -7.789671456332572, -7.987168741408528)  # W, frame 4
INTENSITY = (-0.008114197358068209, -0.014605229205979488, 0.005491221781409617)  # Y, frame 4
BINS = [0, 20, 63]


def test_features_are_librosas() -> None:
    sound = np.random.default_rng(2).normal(0, 0.1, (4, 4800)).astype(np.float32)
    found = features(sound)
    assert found.shape == (7, 10, 64)
    assert found[0, 4, BINS].tolist() == pytest.approx(LOG_MEL, abs=1e-5)
    assert found[4, 4, BINS].tolist() == pytest.approx(INTENSITY, abs=1e-6)


def test_filters_cover_the_band_once() -> None:
    filters = mel_filters()
    peaks = filters.argmax(axis=0)
    assert (np.diff(peaks) >= 0).all()
    assert peaks[-1] > 480  # near 12 kHz
    assert (filters >= 0).all()


def test_standardised_features_have_mean_0_and_deviation_1() -> None:
    rng = np.random.default_rng(0)
    parts = [rng.normal(3, 2, (7, n, 64)).astype(np.float32) for n in (20, 30)]
    whole = np.concatenate(standardised(parts), axis=1)
    assert abs(whole.mean(axis=1)).max() < 1e-5
    assert abs(whole.std(axis=1) - 1).max() < 1e-5
