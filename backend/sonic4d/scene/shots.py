"""Hard cuts: where one continuous shot ends and the next begins."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from .depth import Frames

# Half the L1 distance of neighbouring HSV histograms (0 equal, 1 disjoint) above which a cut is assumed.
CUT_THRESHOLD = 0.45
HISTOGRAM_BINS = (8, 6, 6)
HISTOGRAM_LONG_SIDE = 320


def continuous_shots(frames: Frames) -> list[tuple[int, int]]:
    """Split at hard cuts. frames: (n, H, W, 3) RGB -> half-open ranges [(first, end), ...] covering all frames.

    Compares colour histograms of neighbouring frames (Zhang, Kankanhalli and Smoliar 1993), so fades
    and camera movement don't split. No frames give an empty list.
    """
    histograms = [_histogram(frame) for frame in frames]
    distance = [np.abs(b - a).sum() / 2 for a, b in zip(histograms, histograms[1:], strict=False)]
    cuts = [i + 1 for i, value in enumerate(distance) if value > CUT_THRESHOLD]
    edges = [0, *cuts, len(frames)]
    return [(a, b) for a, b in zip(edges, edges[1:], strict=False) if b > a]


def _histogram(frame: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    step = max(1, max(frame.shape[:2]) // HISTOGRAM_LONG_SIDE)
    hsv = cv2.cvtColor(np.ascontiguousarray(frame[::step, ::step]), cv2.COLOR_RGB2HSV)
    counts = cv2.calcHist([hsv], [0, 1, 2], None, list(HISTOGRAM_BINS), [0, 180, 0, 256, 0, 256])
    return (counts / counts.sum()).ravel()
