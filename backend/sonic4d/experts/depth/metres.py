"""From disparity, which knows no unit, to metres along the viewing axis."""

from __future__ import annotations

import numpy as np

from ...monitor import Monitor
from ...protocol import Sonic4DError
from ...scene.depth import Frames
from ...scene.flow import Map
from ..protocols import DepthModel
from .fitting import scale_and_shift

KEYFRAMES = 8
SAMPLES = 20_000  # of each keyframe at most
LEAST_CORRELATION = 0.5
BEYOND = 1.5  # the farthest that is told apart, over the farthest that the metric model saw

# TrajectoryCrafter's scale (its README's issue 34): depth 10000 / (3900 d) for disparity d of 0 to 1 over the clip.
CRAFTER_NUMERATOR, CRAFTER_FACTOR = 10_000.0, 3_900.0
CRAFTER_LEAST = 1e-5
CRAFTER_RANGE = 1e-4, 1e4


def in_metres(disparity: Map, frames: Frames, model: DepthModel, monitor: Monitor) -> Map:
    """Depth (n, H, W) in metres of steady disparity, which it replaces, by scale and shift that fit a metric model best.

    Raises `Sonic4DError` "no_metres" where the two don't agree on what is near and far.
    """
    chosen = np.unique(np.linspace(0, len(frames) - 1, KEYFRAMES).astype(int))
    metres = model(frames[chosen], monitor).values
    return metres_by_samples(disparity, disparity[chosen], metres)


def metres_by_samples(disparity: Map, seen: Map, metres: Map) -> Map:
    """Depth of `disparity`, which it replaces, in metres, given some maps of it (`seen`) and their depth in metres."""
    step = max(int(np.sqrt(metres[0].size / SAMPLES)), 1)
    x, y = seen[:, ::step, ::step].ravel(), metres[:, ::step, ::step].ravel()
    known = np.isfinite(y) & (y > 0)
    x, y = x[known], y[known]
    scale, shift, correlation = scale_and_shift(x, 1 / y)
    if correlation < LEAST_CORRELATION:
        raise Sonic4DError(
            "no_metres",
            "The depth model and the metric model don't agree, so the scale in metres is unknown.",
            "Give --metres-per-unit, or use a metric model alone.",
        )
    farthest = BEYOND * float(np.percentile(y, 99))
    # In place: of a minute of video, every copy has a gigabyte.
    disparity *= np.float32(scale)
    disparity += np.float32(shift)
    np.maximum(disparity, np.float32(1 / farthest), out=disparity)
    return np.reciprocal(disparity, out=disparity)


def in_crafter_units(disparity: Map) -> Map:
    """Depth (n, H, W) as TrajectoryCrafter scales it, in place of the disparity: the nearest is at 2.56 units, what is far
    goes up to 10000."""
    low, high = float(disparity.min()), float(disparity.max())
    disparity -= np.float32(low)
    disparity *= np.float32(CRAFTER_FACTOR / max(high - low, 1e-12))
    np.maximum(disparity, np.float32(CRAFTER_LEAST), out=disparity)
    np.divide(np.float32(CRAFTER_NUMERATOR), disparity, out=disparity)
    return np.clip(disparity, *CRAFTER_RANGE, out=disparity)
