"""Hard cuts."""

from __future__ import annotations

import numpy as np
import pytest
from sonic4d.scene.shots import continuous_shots


def plain(colours: list[tuple[int, int, int]]) -> np.ndarray:
    return np.stack([np.full((36, 64, 3), colour, np.uint8) for colour in colours])


def test_cuts_are_found_where_the_picture_changes_at_once() -> None:
    red, green, blue = (200, 30, 30), (30, 200, 30), (30, 30, 200)
    frames = plain([red] * 3 + [green] * 2 + [blue] * 4)
    assert continuous_shots(frames) == [(0, 3), (3, 5), (5, 9)]


def test_movement_and_noise_are_no_cut() -> None:
    rng = np.random.default_rng(0)
    wide = rng.integers(0, 256, (90, 400, 3), np.uint8)
    frames = np.stack([wide[:, 6 * t : 6 * t + 160] for t in range(20)])
    assert continuous_shots(frames) == [(0, 20)]


@pytest.mark.parametrize(("count", "expected"), [(0, []), (1, [(0, 1)])])
def test_very_short_clips(count: int, expected: list[tuple[int, int]]) -> None:
    assert continuous_shots(np.zeros((count, 2, 3, 3), np.uint8)) == expected
