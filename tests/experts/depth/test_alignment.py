"""Steadying: maps of single pictures, each with its own scale, shift and noise, come out as one steady clip."""

from __future__ import annotations

import numpy as np
import pytest
from rendered import Clip
from sonic4d.experts.depth.alignment import steadied
from sonic4d.experts.depth.fitting import scale_and_shift
from sonic4d.monitor import SILENT, Cancelled, Monitor


def fitted(values: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Values in the truth's unit: one scale and shift for the whole clip, by least squares."""
    slope, shift = np.polyfit(values.ravel().astype(float), truth.ravel(), 1)
    return values * slope + shift


def flicker(values: np.ndarray, truth: np.ndarray) -> float:
    """Mean change of the error from frame to frame: what isn't in the truth's own motion."""
    return float(np.abs(np.diff(fitted(values, truth) - truth, axis=0)).mean())


def steepness(values: np.ndarray, edges: np.ndarray) -> float:
    """Mean step across the true edges."""
    steps = np.hypot(np.gradient(values, axis=1), np.gradient(values, axis=2))
    return float(steps[edges].mean())


def test_flicker_falls_and_edges_stay(clip: Clip, noisy: np.ndarray) -> None:
    steady = steadied(noisy.copy(), clip.frames, SILENT)
    before, after = flicker(noisy, clip.disparity), flicker(steady, clip.disparity)
    assert before / after >= 10  # 60 of the clip at rest, 16 of the one that pans
    result = fitted(steady, clip.disparity)
    kept = steepness(result, clip.edges) / steepness(clip.disparity, clip.edges)
    assert 0.95 < kept < 1.02  # 0.99
    error = np.abs(result - clip.disparity)
    assert np.median(error) < 0.005  # of noise of 0.01
    assert error[clip.edges].mean() < 0.012  # of steps of 0.15 to 0.4


def test_noise_alone_falls_as_well(clip: Clip) -> None:
    """Where scale and shift are right from the start, what is left is the smoothing."""
    noise = np.random.default_rng(2).normal(0, 0.01, clip.disparity.shape)
    noisy = (clip.disparity + noise).astype(np.float32)
    steady = steadied(noisy.copy(), clip.frames, SILENT)
    assert flicker(noisy, clip.disparity) / flicker(steady, clip.disparity) >= 2.5


def test_scale_does_not_drift(clip: Clip, noisy: np.ndarray) -> None:
    """Errors of one frame's fit must not add up, nor may noise shrink the spread from fit to fit."""
    steady = steadied(noisy.copy(), clip.frames, SILENT)
    inside = ~clip.edges
    scales = [
        np.polyfit(truth[kept], values[kept], 1)[0]
        for truth, values, kept in zip(clip.disparity, steady, inside, strict=True)
    ]
    assert max(scales) / min(scales) < 1.02


def test_what_is_steady_stays_as_it_is(clip: Clip) -> None:
    steady = steadied(clip.disparity.copy(), clip.frames, SILENT)
    assert np.abs(steady - clip.disparity).mean() < 2e-3


def test_one_frame_and_a_flat_clip(clip: Clip) -> None:
    one = clip.disparity[:1].copy()
    assert np.array_equal(steadied(one.copy(), clip.frames[:1], SILENT), one)
    flat = np.ones((3, 20, 30), np.float32)
    frames = np.zeros((3, 20, 30, 3), np.uint8)
    assert np.allclose(steadied(flat, frames, SILENT), 1)


def test_cancel(clip: Clip, noisy: np.ndarray) -> None:
    with pytest.raises(Cancelled):
        steadied(noisy.copy(), clip.frames, Monitor(lambda event: None, lambda: True))


def test_fit_is_robust_and_does_not_shrink() -> None:
    random = np.random.default_rng(0)
    truth = random.random(4000)
    x = truth + random.normal(0, 0.05, 4000)
    y = 3 * truth + 1 + random.normal(0, 0.15, 4000)
    y[:600] += 4  # another thing got in between
    scale, shift, correlation = scale_and_shift(x, y)
    assert scale == pytest.approx(3, rel=0.02)
    assert shift == pytest.approx(1, abs=0.03)
    assert correlation > 0.9
    x[::7] = np.nan
    assert scale_and_shift(x, y)[0] == pytest.approx(3, rel=0.02)
    assert scale_and_shift(np.ones(50), np.full(50, 3.0)) == (1.0, 2.0, 0.0)
    assert scale_and_shift(np.zeros(0), np.zeros(0)) == (1.0, 0.0, 0.0)
