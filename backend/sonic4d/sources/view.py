"""The part of the picture around a source: what a model that hears pictures is shown, so that it hears one thing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

Array = npt.NDArray[np.float64]

SURROUND = 1.6  # the view's side, in sides of the source's box
SMALLEST = 0.25  # of the picture's shorter side
SMOOTHING_S = 0.3


def source_view(boxes: Array, frame_rate: float, size: tuple[int, int]) -> npt.NDArray[np.int64]:
    """A square that follows a source: (n, 4) x0, y0, x1, y1 in pixels, all of one size, inside the picture.

    boxes (n, 4): fractions of the picture, NaN rows where it isn't seen (there the view goes on from one sight to the
    next). size: the picture's width and height.
    """
    pixels = boxes * np.tile(size, 2)
    seen = np.flatnonzero(np.isfinite(pixels).all(axis=1))
    frames = np.arange(len(boxes))
    filled = np.column_stack([np.interp(frames, seen, pixels[seen, i]) for i in range(4)])
    centres = (filled[:, :2] + filled[:, 2:]) / 2
    centres = gaussian_filter1d(centres, SMOOTHING_S * frame_rate, axis=0, mode="nearest")
    shorter = min(size)
    side = SURROUND * np.percentile((filled[:, 2:] - filled[:, :2]).max(axis=1), 95)
    side = round(float(np.clip(side, SMALLEST * shorter, shorter)))
    corners = np.clip(np.rint(centres - side / 2), 0, np.array(size) - side).astype(np.int64)
    return np.hstack([corners, corners + side])
