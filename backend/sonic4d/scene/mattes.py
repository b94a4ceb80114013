"""Which pixels belong to the subjects: difference to the plate, guided by the motion score."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from .flow import Image, Map, warp_along
from .plate import Mask

DIFFERENCE_THRESHOLD = 22.0  # L1 in 8-bit Lab
DIFFERENCE_SLOPE = 6.0
NEIGHBOUR_WEIGHT = 0.6
SMALLEST_SHARE = 0.0012  # of the picture
LARGEST_POCKET_SHARE = 0.001
MIN_GRABCUT_PX = 60
MARGIN_PX = 48  # of background around, for GrabCut to learn its colours
NEAR_MOTION = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (25, 25))


def subject_mattes(
    frames: npt.NDArray[np.uint8],
    plate: Image,
    never_seen: Mask,
    score: Map,
    flows: tuple[Map, Map],
    tick: Callable[[], None],
) -> Mask:
    """(n, h, w) 0/1 masks of what moves ever, for stabilised frames (n, h, w, 3).

    score: (n, h', w') `MotionScore.subject`; flows: forward and backward, at the score's size.
    """
    plate_lab = _lab(plate)
    threshold = DIFFERENCE_THRESHOLD + np.minimum(_noise(frames, plate_lab, tick), 20)
    soft = np.zeros(frames.shape[:3], np.float32)
    for t, frame in enumerate(frames):
        soft[t] = _soft_matte(frame, plate_lab, threshold, never_seen, score[t])
        tick()
    masks = np.zeros(frames.shape[:3], np.uint8)
    for t in range(len(frames)):
        masks[t] = clean_mask(_smoothed_over_time(soft, flows, t) > 0.5)
        tick()
    return masks


def clean_mask(mask: npt.NDArray[np.bool_]) -> Mask:
    """Without specks and small pockets."""
    kernel = np.ones((7, 7), np.uint8)
    result = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, kernel[:3, :3])
    result = cv2.morphologyEx(result, cv2.MORPH_CLOSE, kernel)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(result)
    large = stats[:, cv2.CC_STAT_AREA] > SMALLEST_SHARE * mask.size
    large[0] = False
    result = large[labels].astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(1 - result)
    pocket = stats[:, cv2.CC_STAT_AREA] < LARGEST_POCKET_SHARE * mask.size
    pocket[0] = False
    return result | pocket[labels].astype(np.uint8)


def _lab(picture: Image) -> Map:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2LAB).astype(np.float32)


def _difference(a: Map, b: Map) -> Map:
    return np.abs(a - b).sum(2)


def _noise(frames: npt.NDArray[np.uint8], plate_lab: Map, tick: Callable[[], None]) -> Map:
    """How much a pixel usually differs from the plate: waving grass, compression."""
    differences = []
    for frame in frames[:: max(8, len(frames) // 8)]:
        differences.append(_difference(_lab(frame), plate_lab))
        tick()
    return cv2.blur(np.median(differences, axis=0).astype(np.float32), (9, 9))


def _soft_matte(
    frame: Image,
    plate_lab: Map,
    threshold: Map,
    never_seen: Mask,
    score: Map,
) -> Map:
    height, width = never_seen.shape
    score = cv2.resize(score, (width, height))
    near = cv2.dilate((score > 0.4).astype(np.uint8), NEAR_MOTION)
    result = np.zeros((height, width), np.float32)
    if not near.any():
        return result
    x, y, box_width, box_height = cv2.boundingRect(near)
    box = np.s_[
        max(y - MARGIN_PX, 0) : y + box_height + MARGIN_PX,
        max(x - MARGIN_PX, 0) : x + box_width + MARGIN_PX,
    ]
    picture = np.ascontiguousarray(frame[box])
    difference = cv2.GaussianBlur(_difference(_lab(picture), plate_lab[box]), (0, 0), 1.2)
    differs = 1 / (1 + np.exp((threshold[box] - difference) / DIFFERENCE_SLOPE))
    matte = np.clip(0.65 * differs + 0.5 * score[box], 0, 1)
    # There is no true plate where the background was never seen: only the motion counts there.
    by_motion = np.clip(2 * score[box] - 0.3, 0, 1)
    matte = np.where(never_seen[box] > 0, by_motion, matte)
    matte = (matte * near[box]).astype(np.float32)
    matte = cv2.ximgproc.guidedFilter(picture, matte, 6, 60.0)
    result[box] = _refined_by_grabcut(picture, matte)
    return result


def _refined_by_grabcut(frame: Image, matte: Map) -> Map:
    """One GrabCut pass (Rother, Kolmogorov and Blake 2004) at half size inside the doubtful band."""
    height, width = matte.shape
    small_size = (max(width // 2, 1), max(height // 2, 1))
    small = cv2.resize(matte, small_size, interpolation=cv2.INTER_AREA)
    if (small > 0.5).sum() < MIN_GRABCUT_PX:
        return matte
    kernel = np.ones((5, 5), np.uint8)
    band = cv2.dilate((small > 0.3).astype(np.uint8), kernel)
    core = cv2.erode((small > 0.8).astype(np.uint8), kernel)
    trimap = np.full(small.shape, cv2.GC_BGD, np.uint8)
    trimap[band > 0] = cv2.GC_PR_BGD
    trimap[small > 0.5] = cv2.GC_PR_FGD
    trimap[core > 0] = cv2.GC_FGD
    if not (trimap == cv2.GC_BGD).any():
        return matte
    picture = cv2.resize(frame, small_size, interpolation=cv2.INTER_AREA)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(picture, trimap, None, *models, 1, cv2.GC_INIT_WITH_MASK)
    cut = ((trimap == cv2.GC_FGD) | (trimap == cv2.GC_PR_FGD)).astype(np.float32)
    cut = cv2.ximgproc.guidedFilter(frame, cv2.resize(cut, (width, height)), 4, 60.0)
    return 0.4 * matte + 0.6 * cut


def _smoothed_over_time(soft: Map, flows: tuple[Map, Map], t: int) -> Map:
    """Blend of a matte with its neighbours in time, brought here along the flow."""
    forward, backward = flows
    height, width = soft.shape[1:]
    total, weight = soft[t].copy(), 1.0
    neighbours = [(t - 1, backward[t - 1])] if t > 0 else []
    neighbours += [(t + 1, forward[t])] if t + 1 < len(soft) else []
    for other, flow in neighbours:
        scale = np.float32([width / flow.shape[1], height / flow.shape[0]])
        total += NEIGHBOUR_WEIGHT * warp_along(
            soft[other], cv2.resize(flow, (width, height)) * scale
        )
        weight += NEIGHBOUR_WEIGHT
    return total / weight
