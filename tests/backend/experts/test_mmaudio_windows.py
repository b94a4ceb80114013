"""What of a clip MMAudio sees and makes, counted as upstream counts it."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from sonic4d.experts.mmaudio.windows import (
    OVERLAP_S,
    TRAINED_S,
    frame_shown,
    latent_count,
    weights,
    window,
    windows,
)

RATE_44K, RATE_16K = Fraction(44100, 1024), Fraction(16000, 512)


@pytest.mark.parametrize(
    ("duration_s", "rate", "counts"),
    [
        (8, RATE_44K, (345, 64, 192)),
        (8, RATE_16K, (250, 64, 192)),
        (Fraction(53, 10), RATE_44K, (229, 42, 120)),
        (1, RATE_44K, (44, 8, 16)),
        (30, RATE_44K, (1292, 240, 736)),
    ],
)
def test_lengths_are_upstreams(
    duration_s: Fraction, rate: Fraction, counts: tuple[int, int, int]
) -> None:
    """latent_seq_len, clip_seq_len and sync_seq_len of upstream's SequenceConfig."""
    part = window(Fraction(duration_s), rate)
    assert (part.latents, part.clip_frames, 8 * part.sync_segments) == counts
    assert len(part.clip_times_s) == part.clip_frames
    assert part.sync_times_s[-1] < duration_s


@pytest.mark.parametrize("rate", [RATE_44K, RATE_16K])
@pytest.mark.parametrize(
    "duration_s", ["1/25", "1/2", "8", "10", "251/25", "12", "14", "16", "30", "30.5", "61", "600"]
)
def test_windows_cover_any_clip(duration_s: str, rate: Fraction) -> None:
    length_s = Fraction(duration_s)
    plan = windows(length_s, rate)
    assert plan[0].start_s == 0
    assert latent_count(plan) >= length_s * rate
    assert latent_count(plan) <= max(length_s, 1) * rate + 2 + rate
    for one, two in zip(plan, plan[1:], strict=False):
        assert one.latents == math.ceil(TRAINED_S * rate) <= two.latents <= one.latents + 1
        assert 0 < two.start_s - one.start_s <= TRAINED_S - OVERLAP_S
    counted = np.zeros(latent_count(plan))
    for part, share in zip(plan, weights(plan, rate), strict=True):
        assert share.shape == (part.latents,)
        assert (share > 0).all()
        assert np.abs(np.diff(share)).max(initial=0) < 0.05
        counted[part.first_latent : part.first_latent + part.latents] += share
    np.testing.assert_allclose(counted, 1, atol=1e-6)


def test_pictures_of_exact_times() -> None:
    """The first at or after each time; the last one stays."""
    ntsc = Fraction(30000, 1001)
    assert frame_shown(Fraction(0), ntsc, 90) == 0
    assert frame_shown(Fraction(1, 25), ntsc, 90) == 2
    assert frame_shown(Fraction(1001, 30000), ntsc, 90) == 1
    assert frame_shown(Fraction(9), ntsc, 90) == 89
    assert [frame_shown(Fraction(i, 25), Fraction(25), 1000) for i in range(500)] == [*range(500)]
