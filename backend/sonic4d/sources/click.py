"""What did the user click on?"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ..scene.motion import MotionAnalysis, Mover

Array = npt.NDArray[np.float64]
Image = npt.NDArray[np.uint8]

WORK_WIDTH = 320
# Radii around the click as shares of the picture's shorter side: surely, perhaps, and surely not the clicked thing.
CORE, NEAR, FAR = 0.02, 0.15, 0.45
MIN_AREA = 4 * CORE * CORE  # of a believable thing, as a share of the squared shorter side
MAX_REACH = 0.9  # a region that fills this share of the allowed square is background
PLAIN_SIDE = 0.12


def mover_at(point: tuple[float, float], frame_index: int, motion: MotionAnalysis) -> Mover | None:
    """The moving thing whose mask holds `point` (fractions of the picture) on a frame."""
    height, width = motion.labels.shape[1:]
    at = np.array([[[point[0] * width - 0.5, point[1] * height - 0.5]]])
    x, y = cv2.perspectiveTransform(at, motion.to_reference[frame_index])[0, 0].round().astype(int)
    around = motion.labels[frame_index, max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
    labels = around[around > 0]
    if not len(labels):
        return None
    mover = motion.movers[int(np.bincount(labels).argmax()) - 1]
    return mover if np.isfinite(mover.boxes[frame_index]).all() else None


def box_around(image: Image, point: tuple[float, float]) -> tuple[Array, str]:
    """The box (4,) around what is at `point` (fractions of the picture), and by what it was found, in the user's words.

    The region of like colour that GrabCut (Rother et al., SIGGRAPH 2004) grows from the point; where that is no
    believable thing, a square of 12 % of the picture's shorter side.
    """
    box = _region_box(image, point)
    if box is not None:
        return box, "the region of like colour around the point"
    height, width = image.shape[:2]
    half = PLAIN_SIDE / 2 * min(height, width) / np.array([width, height])
    low, high = np.asarray(point) - half, np.asarray(point) + half
    return np.clip(np.concatenate([low, high]), 0, 1), "a small square around the point"


def _region_box(image: Image, point: tuple[float, float]) -> Array | None:
    height, width = image.shape[:2]
    scale = min(1.0, WORK_WIDTH / width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    shorter = min(size)
    column = min(int(point[0] * size[0]), size[0] - 1)
    row = min(int(point[1] * size[1]), size[1] - 1)
    y, x = np.ogrid[: size[1], : size[0]]
    distance = np.hypot(x - column, y - row) / shorter
    mask = np.full(size[::-1], cv2.GC_PR_BGD, np.uint8)
    mask[distance > FAR] = cv2.GC_BGD
    mask[distance < NEAR] = cv2.GC_PR_FGD
    mask[distance <= max(CORE, 1.5 / shorter)] = cv2.GC_FGD
    if not (mask == cv2.GC_BGD).any():
        return None
    cv2.setRNGSeed(0)  # GrabCut seeds its clusters at random
    cv2.grabCut(small, mask, None, np.empty(0), np.empty(0), 4, cv2.GC_INIT_WITH_MASK)
    inside = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    opened = cv2.morphologyEx(inside, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    opened[row, column] = 1
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(opened)
    left, top, w, h, area = stats[pieces[row, column]]
    if area < MIN_AREA * shorter**2 or max(w, h) > MAX_REACH * 2 * FAR * shorter:
        return None
    return np.array([left, top, left + w, top + h]) / [*size, *size]
