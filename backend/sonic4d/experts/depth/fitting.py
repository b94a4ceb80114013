"""Robust fits of a scale and a shift between maps that measure the same thing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]

ROUNDS = 6
TRIM = 2.5  # robust standard deviations of the residual
MIN_SAMPLES = 16


def scale_and_shift(x: Array, y: Array) -> tuple[float, float, float]:
    """scale, shift and correlation with scale * x + shift = y, from samples of which some are wrong.

    The reduced major axis (Kermack and Haldane 1950): the slope is the ratio of the spreads, so that noise, which is in both,
    doesn't make it smaller fit after fit as least squares would. Samples far off are left out in rounds. Fewer than
    16 samples, or such without spread: 1, 0 (the means made equal), 0.
    """
    x, y = np.asarray(x, np.float64).ravel(), np.asarray(y, np.float64).ravel()
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    kept = np.ones(len(x), bool)
    scale, shift, correlation = 1.0, float(np.mean(y - x)) if len(x) else 0.0, 0.0
    for _ in range(ROUNDS):
        a, b = x[kept], y[kept]
        if len(a) < MIN_SAMPLES or a.std() == 0 or b.std() == 0:
            break
        correlation = float(np.corrcoef(a, b)[0, 1])
        scale = float(b.std() / a.std())
        shift = float(b.mean() - scale * a.mean())
        residual = np.abs(scale * x + shift - y)
        limit = TRIM * 1.4826 * float(np.median(residual[kept]))
        now = residual <= max(limit, 1e-12)
        if (now == kept).all():
            break
        kept = now
    return scale, shift, correlation
