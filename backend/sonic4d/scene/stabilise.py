"""Where the camera looked: homographies of the still background between frames.

Homographies act on OpenCV pixel positions (first pixel centre at 0, 0) of the picture size at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from .flow import Image, Map, optical_flow

Homographies = npt.NDArray[np.float64]  # (n, 3, 3)

CELL_PX = 10
MIN_CELLS = 40  # fewer textured cells say nothing about the camera
MIN_CORNER = 1e-5
MIN_INLIER_SHARE = 0.25
STATIC_INLIER_SHARE = 0.45
STATIC_SHIFT_SHARE = 0.16  # of the longer side


def register_to_middle(
    grey: Sequence[Image], tick: Callable[[], None]
) -> tuple[Homographies, npt.NDArray[np.float64]]:
    """Homographies (n, 3, 3) frame -> middle frame, and the share (n,) of textured cells that obey.

    Every frame is registered straight to the middle one, started from its neighbour's result, so that
    errors don't add up. A low share means parallax, or nothing to hold on to.
    """
    count, middle = len(grey), len(grey) // 2
    height, width = grey[middle].shape
    dis = optical_flow()
    corners = _best_corners(grey[middle])
    rows, columns = corners[:, 1].astype(int), corners[:, 0].astype(int)
    homographies = np.tile(np.eye(3), (count, 1, 1))
    share = np.zeros(count)
    share[middle] = 1.0 if len(corners) > MIN_CELLS else 0.0
    outwards = [(t, t - 1) for t in range(middle + 1, count)]
    outwards += [(t, t + 1) for t in range(middle - 1, -1, -1)]
    for t, neighbour in outwards:
        start = homographies[neighbour]
        warped = cv2.warpPerspective(
            grey[t], start, (width, height), borderMode=cv2.BORDER_REPLICATE
        )
        flow = dis.calc(grey[middle], warped, None)
        in_warped = corners + flow[rows, columns]
        in_frame = _apply(np.linalg.inv(start), in_warped)
        homographies[t], share[t] = _fit_homography(in_frame, corners, 0.6, start)
        tick()
    return homographies, share


def neighbour_homographies(grey: Sequence[Image], forward: Map) -> Homographies:
    """Homographies (n - 1, 3, 3) of the background from each frame to the next, for a moving camera."""
    result = np.tile(np.eye(3), (len(forward), 1, 1))
    for t, flow in enumerate(forward):
        corners = _best_corners(grey[t])
        ends = corners + flow[corners[:, 1].astype(int), corners[:, 0].astype(int)]
        result[t], _ = _fit_homography(corners, ends, 0.5, np.eye(3))
    return result


def largest_shift(homographies: Homographies, height: int, width: int) -> float:
    """How far the corners of the picture move at most, in pixels."""
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
    shifts = [np.linalg.norm(_apply(m, corners) - corners, axis=1).max() for m in homographies]
    return float(max(shifts))


def is_stable(homographies: Homographies, share: npt.NDArray, height: int, width: int) -> bool:
    """Whether the shot can be brought to rest: the background obeys and stays mostly in the picture."""
    shift = largest_shift(homographies, height, width)
    obeys = np.percentile(share, 20) > STATIC_INLIER_SHARE
    return bool(obeys and shift < STATIC_SHIFT_SHARE * max(height, width))


def rescaled(homographies: Homographies, scale_x: float, scale_y: float) -> Homographies:
    """The same homographies for a picture enlarged by the given factors."""
    enlarge = enlargement(scale_x, scale_y)
    return enlarge @ homographies @ np.linalg.inv(enlarge)


def enlargement(scale_x: float, scale_y: float) -> npt.NDArray[np.float64]:
    """Pixel positions of a picture -> of its enlargement; the outer edges of both coincide."""
    return np.array([[scale_x, 0, (scale_x - 1) / 2], [0, scale_y, (scale_y - 1) / 2], [0, 0, 1.0]])


def _apply(homography: npt.NDArray, points: npt.NDArray) -> npt.NDArray[np.float64]:
    if not len(points):
        return np.zeros((0, 2))
    return cv2.perspectiveTransform(points[:, None].astype(np.float64), homography)[:, 0]


def _best_corners(grey: Image) -> npt.NDArray[np.float64]:
    """(k, 2) x, y: the best corner of each cell. One vote per cell, so the amount of texture doesn't decide."""
    strength = cv2.cornerMinEigenVal(grey, 5)
    rows, columns = grey.shape[0] // CELL_PX, grey.shape[1] // CELL_PX
    cells = strength[: rows * CELL_PX, : columns * CELL_PX]
    cells = cells.reshape(rows, CELL_PX, columns, CELL_PX).swapaxes(1, 2).reshape(rows, columns, -1)
    best = cells.argmax(-1)
    y = np.arange(rows)[:, None] * CELL_PX + best // CELL_PX
    x = np.arange(columns)[None] * CELL_PX + best % CELL_PX
    return np.stack([x, y], -1)[cells.max(-1) > MIN_CORNER].astype(np.float64)


def _fit_homography(
    start: npt.NDArray, end: npt.NDArray, tolerance_px: float, fallback: npt.NDArray
) -> tuple[npt.NDArray[np.float64], float]:
    if len(start) <= MIN_CELLS:
        return fallback, 0.0
    homography, inliers = cv2.findHomography(start, end, cv2.RANSAC, tolerance_px)
    if homography is None or abs(np.linalg.det(homography)) < 1e-6:
        return fallback, 0.0
    share = float(inliers.mean())
    return (homography, share) if share > MIN_INLIER_SHARE else (fallback, share)
