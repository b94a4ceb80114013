"""From pictures with depth to points (equation 1)."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from ..scene.depth import Points
from .cameras import Intrinsics, back_project, project

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# An arc of 20 degrees around the middle of the scene must not pull neighbouring pixels further apart than this.
ARC_DEG = 20.0
MAX_STRETCH_PX = 7.0
MAX_RADIUS_GROWTH = 3.0

# Steps of the R2 sequence (M. Roberts, "The unreasonable effectiveness of quasirandom sequences", 2018).
_PLASTIC = 1.32471795724474602596
_STEP_U, _STEP_V = 1 / _PLASTIC, 1 / _PLASTIC**2


def lift(
    frame_rgb: npt.NDArray[np.uint8],
    depth_m: npt.NDArray[np.float32],
    intrinsics: Intrinsics,
    camera_to_world: Array,
    confidence: npt.NDArray[np.float32] | None = None,
    mask: Mask | None = None,
    max_points: int | None = None,
) -> Points:
    """The pixels of one picture as points in the world (equation 1).

    frame_rgb (H, W, 3), depth_m (H, W) with NaN where unknown, confidence (H, W) or None for 1, mask (H, W) or None
    for all pixels. Flying pixels are left out (see `flying`). Where more than `max_points` remain, an even selection that
    depends on the pixels' places only, with larger radii.
    """
    known = np.isfinite(depth_m) & (depth_m > 0)
    depth = np.where(known, depth_m, np.nan)
    keep = known & ~flying(depth, intrinsics.fx)
    if mask is not None:
        keep &= mask
    row, column = np.nonzero(keep)
    growth = 1.0
    if max_points is not None and len(row) > max_points:
        growth = _covering_growth(len(row), max_points)
        kept = _evenly_spread(column, row, max_points)
        row, column = row[kept], column[kept]
    z = depth[row, column]
    xyz = back_project(column + 0.5, row + 0.5, z, intrinsics, camera_to_world)
    radius_m = z / (2 * intrinsics.fx) * _slant(depth, intrinsics.fx)[row, column] * growth
    return Points(
        xyz.astype(np.float32),
        frame_rgb[row, column],
        np.ones(len(z), np.float32) if confidence is None else confidence[row, column],
        radius_m.astype(np.float32),
        np.zeros(len(z), bool),
    )


def flying(depth_m: npt.NDArray[np.float32], focal_px: float) -> Mask:
    """Pixels that hang between a near and a far surface: (H, W) True.

    Blurred depth edges leave pixels at depths where nothing is. Such a pixel has, within its 3x3 neighbourhood, both a nearer
    and a farther one, each more than `MAX_STRETCH_PX` away from it on the screen as soon as the camera moves by
    `ARC_DEG` around a point at the median depth. The step is thus one of inverse depth: a flat ground that recedes has
    small ones all the way to the horizon, where a step of relative depth would cut it off.
    """
    known = np.isfinite(depth_m)
    if not known.any():
        return ~known
    inverse = np.where(known, 1 / depth_m, np.nan).astype(np.float32)
    shift_m = 2 * math.sin(math.radians(ARC_DEG) / 2) * float(np.median(depth_m[known]))
    kernel = np.ones((3, 3), np.uint8)
    nearest = cv2.dilate(np.where(known, inverse, -np.inf).astype(np.float32), kernel)
    farthest = cv2.erode(np.where(known, inverse, np.inf).astype(np.float32), kernel)
    step = MAX_STRETCH_PX / (focal_px * shift_m)
    with np.errstate(invalid="ignore"):
        return known & (nearest - inverse > step) & (inverse - farthest > step)


def _slant(depth_m: npt.NDArray[np.float32], focal_px: float) -> npt.NDArray[np.float32]:
    """How much longer than wide the patch behind a pixel is, 1..MAX_RADIUS_GROWTH; the smoother side counts at edges."""
    longest = np.zeros_like(depth_m)
    for axis in (0, 1):
        step = np.abs(np.diff(depth_m, axis=axis))
        edge = np.full_like(step.take([0], axis=axis), np.inf)
        step = np.where(np.isnan(step), np.inf, step)
        smoother = np.minimum(
            np.concatenate([edge, step], axis), np.concatenate([step, edge], axis)
        )
        longest = np.maximum(longest, np.where(np.isinf(smoother), 0, smoother))
    with np.errstate(invalid="ignore"):
        slant = np.sqrt(1 + (longest * focal_px / depth_m) ** 2)
    return np.minimum(slant, MAX_RADIUS_GROWTH)


def thinned(
    points: Points, intrinsics: Intrinsics, camera_to_world: Array, max_points: int
) -> Points:
    """At most `max_points` of the points, evenly spread over the picture of the camera given; radii grow to cover as much."""
    if len(points) <= max_points:
        return points
    u, v, _ = project(points.xyz.astype(np.float64), intrinsics, camera_to_world)
    kept = _evenly_spread(
        *(np.nan_to_num(np.floor(w), posinf=0, neginf=0) for w in (u, v)), max_points
    )
    growth = np.float32(_covering_growth(len(points), max_points))
    return Points(
        points.xyz[kept],
        points.rgb[kept],
        points.confidence[kept],
        points.radius_m[kept] * growth,
        points.synthetic[kept],
    )


def _covering_growth(count: int, kept: int) -> float:
    """How much larger `kept` of `count` evenly spread points must be so that their splats leave no gaps.

    Where only a few are left out, their neighbours have to reach across a whole pixel all the same (a splat's half size
    is 1.25 times the radius), or each is a pinhole.
    """
    return max(1.6, 1.25 * math.sqrt(count / kept))


def _evenly_spread(column: npt.NDArray, row: npt.NDArray, count: int) -> npt.NDArray[np.intp]:
    """Indices of `count` of the pixels, in their order.

    Each pixel has a fixed rank (a dither mask made of the R2 sequence) and the lowest ranks stay: the same pixels in every
    frame, without clumps at any density.
    """
    rank = (column * _STEP_U + row * _STEP_V) % 1.0
    return np.sort(np.argpartition(rank, count - 1)[:count])
