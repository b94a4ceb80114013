"""A rendered clip whose depth is known, and what a noisy expert would say of it."""

from __future__ import annotations

import numpy as np
import pytest
from rendered import COUNT, Clip, rendered


@pytest.fixture(scope="session", params=[0.0, 1.5], ids=["still", "panning"])
def clip(request: pytest.FixtureRequest) -> Clip:
    return rendered(request.param)


@pytest.fixture(scope="session")
def noisy(clip: Clip) -> np.ndarray:
    """The truth with another scale and shift in each frame, and noise."""
    random = np.random.default_rng(7)
    scale = np.exp(random.normal(0, 0.15, COUNT))
    shift = random.normal(0, 0.05, COUNT)
    noise = random.normal(0, 0.01, clip.disparity.shape)
    values = clip.disparity * scale[:, None, None] + shift[:, None, None] + noise
    return (100 * values).astype(np.float32)
