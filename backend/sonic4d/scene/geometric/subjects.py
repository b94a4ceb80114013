"""Depth of the moving things: upright where they touch the ground, rounded towards the camera."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ...compiled import njit
from ..flow import Map
from ..movers import Labels
from .layout import View

RELIEF = 0.45
RELIEF_SCALE = 4
SWEEPS = 60
OVER_RELAXATION = 1.85
IN_FRONT = 1.02  # of nearly all the background that it covers, in inverse distance
IN_FRONT_UNGROUNDED = 1.25  # of the background around
MEDIAN_FRAMES = 15
HANN_FRAMES = 9
RIM_PX = 5


def inverse_distances(
    labels: Labels, background: Map, view: View | None, check: Callable[[], None]
) -> npt.NDArray[np.float64]:
    """(movers, n) inverse distance ahead over ground (1/m) of each mover, smooth in time; NaN where absent.

    labels: (n, h, w); background: (h, w) inverse depth. A thing stands where its foot meets the ground
    plane, but before what it covers; if the picture's edge cuts it, or without a ground (view None), some
    way before its background.
    """
    count, height, _ = labels.shape
    result = np.full((int(labels.max(initial=0)), count), np.nan)
    for t in range(count):
        for k, where in enumerate(ndimage.find_objects(labels[t], max_label=len(result))):
            if where is not None:
                result[k, t] = _inverse_distance(labels[t], k + 1, where, background, view)
        check()
    return np.stack([_smooth(track) for track in result]) if len(result) else result


def painted(
    labels: Labels, inverse: npt.NDArray[np.float64], view: View | None, focal: float
) -> Map:
    """Inverse depth (h, w) of the movers of one frame, continued a little beyond their outlines; 0 elsewhere.

    inverse: (movers,) of this frame from `inverse_distances`.
    """
    height, width = labels.shape
    result = np.zeros((height, width), np.float32)
    ahead = np.ones(height) if view is None else view.ahead(np.arange(height) + 0.5)
    for k, where in enumerate(ndimage.find_objects(labels, max_label=len(inverse))):
        if where is None:
            continue
        box = _grown(where, 3 * RIM_PX, labels.shape)
        mask = (labels[box] == k + 1).astype(np.uint8)
        depth_m = 1 / (inverse[k] * ahead[box[0]])[:, None]
        bulge_m = RELIEF * _inflated(mask) * depth_m / focal
        depth_m = np.maximum(depth_m - bulge_m, 0.4 * depth_m)
        rim = cv2.dilate(mask, np.ones((2 * RIM_PX + 1,) * 2, np.uint8)) > 0
        free = rim & ((mask > 0) | (result[box] == 0))
        result[box][free] = (1 / depth_m)[free]
    return result


def _inverse_distance(
    labels: Labels, label: int, where: tuple[slice, slice], background: Map, view: View | None
) -> float:
    height = len(labels)
    box = _grown(where, 8, labels.shape)
    mask = (labels[box] == label).astype(np.uint8)
    mass = np.cumsum(mask.sum(1))
    foot = box[0].start + int(np.searchsorted(mass, 0.985 * mass[-1])) + 0.5
    rows = np.arange(box[0].start, box[0].stop)[:, None] + 0.5
    behind = background[box] if view is None else background[box] / view.ahead(rows)
    nearest = IN_FRONT * float(np.percentile(behind[mask > 0], 95))
    cut_off = where[0].stop >= height - 2
    if view is None or cut_off or foot < view.horizon_row + 0.06 * height:
        around = cv2.dilate(mask, np.ones((15, 15), np.uint8)) > mask
        usual = float(np.median(behind[around if around.any() else mask > 0]))
        return max(IN_FRONT_UNGROUNDED * usual, nearest)
    return max(float(view.ground(foot) / view.ahead(foot)), nearest)


def _grown(where: tuple[slice, slice], by: int, shape: tuple[int, int]) -> tuple[slice, slice]:
    return tuple(
        slice(max(part.start - by, 0), min(part.stop + by, size))
        for part, size in zip(where, shape, strict=True)
    )


def _smooth(track: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Median, then Hann window, over the frames where the track is present."""
    present = np.isfinite(track)
    values = ndimage.median_filter(track[present], MEDIAN_FRAMES, mode="nearest")
    window = np.hanning(HANN_FRAMES + 2)[1:-1]
    result = np.full(track.shape, np.nan)
    result[present] = ndimage.convolve1d(values, window / window.sum(), mode="nearest")
    return result


def _inflated(mask: npt.NDArray[np.uint8]) -> Map:
    """How far a silhouette (h, w) of 0/1 bulges, in pixels: the root of a Poisson equation's solution."""
    height, width = mask.shape
    size = max(width // RELIEF_SCALE, 1), max(height // RELIEF_SCALE, 1)
    small = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
    small = np.pad(small, 1)
    bulge = _solve_poisson(small, SWEEPS)[1:-1, 1:-1]
    return (
        np.maximum(cv2.resize(bulge, (width, height), interpolation=cv2.INTER_CUBIC), 0)
        * RELIEF_SCALE
    )


@njit()
def _solve_poisson(mask: npt.NDArray[np.uint8], sweeps: int) -> npt.NDArray[np.float32]:
    height, width = mask.shape
    solution = np.zeros((height, width), np.float32)
    for _ in range(sweeps):
        for y in range(1, height - 1):
            for x in range(1, width - 1):
                if mask[y, x]:
                    mean = solution[y - 1, x] + solution[y + 1, x]
                    mean = (mean + solution[y, x - 1] + solution[y, x + 1] + 1) / 4
                    solution[y, x] += OVER_RELAXATION * (mean - solution[y, x])
    return np.sqrt(np.maximum(solution, 0) * 4)
