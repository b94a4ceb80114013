"""Where the horizon is, and how high the camera stands over the ground."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ..flow import Image

WALKER_HEIGHT_M = 1.7
SKY_HORIZON = (0.25, 0.56)  # of the picture's height: limits for a horizon read off the sky
DEFAULT_HORIZON = 0.42


@dataclass(frozen=True)
class Horizon:
    """row: in pixels from the top edge, may lie outside. found_by: "walkers", "sky" or "default".
    eye_height_found_by: "walkers" or "given"."""

    row: float
    found_by: str
    eye_height_m: float
    eye_height_found_by: str = "given"


def sky_mask(picture: Image) -> npt.NDArray[np.bool_]:
    """Plain, not warm areas of an RGB picture that hang from its top edge and end well above its foot."""
    height, width = picture.shape[:2]
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB).astype(np.float32)
    slope = np.hypot(cv2.Sobel(lab[..., 0], -1, 1, 0), cv2.Sobel(lab[..., 0], -1, 0, 1))
    plain = cv2.GaussianBlur(slope, (0, 0), 2.5) < 22
    candidate = (plain & (lab[..., 2] < 136) & (lab[..., 1] > 115)).astype(np.uint8)
    candidate[int(0.62 * height) :] = 0
    candidate = cv2.morphologyEx(candidate, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(candidate)
    bottom = stats[:, cv2.CC_STAT_TOP] + stats[:, cv2.CC_STAT_HEIGHT]
    is_sky = stats[:, cv2.CC_STAT_TOP] <= 3
    is_sky &= stats[:, cv2.CC_STAT_AREA] > 0.006 * height * width
    is_sky &= bottom < 0.61 * height
    is_sky[0] = False
    soft = cv2.ximgproc.guidedFilter(picture, is_sky[labels].astype(np.float32), 8, 80.0)
    return soft > 0.5


def find_horizon(
    sky: npt.NDArray[np.bool_], boxes: npt.NDArray[np.float64], eye_height_m: float
) -> Horizon:
    """From people who walk about, else from the sky's lower edge, else a usual place.

    sky: (h, w); boxes: (movers, n, 4) x0, y0, x1, y1 in pixels, NaN where absent; eye_height_m:
    assumed unless walkers tell it (they are taken to be 1.7 m tall).
    """
    height, width = sky.shape
    walkers = _from_walkers(boxes, height)
    if walkers is not None:
        return walkers
    columns = np.flatnonzero(sky.sum(0) > 0.04 * height)
    if len(columns) > 0.08 * width:
        lowest = height - np.argmax(sky[::-1, columns], axis=0)
        low, high = (share * height for share in SKY_HORIZON)
        return Horizon(float(np.clip(np.percentile(lowest, 90), low, high)), "sky", eye_height_m)
    return Horizon(DEFAULT_HORIZON * height, "default", eye_height_m)


def _from_walkers(boxes: npt.NDArray[np.float64], height: int) -> Horizon | None:
    """People of one height on one plane: their height in the picture is linear in the row of their feet
    and vanishes at the horizon (Hoiem, Efros and Hebert 2008). RANSAC over all boxes."""
    lasting = np.isfinite(boxes[..., 0]).sum(1) > 8
    if lasting.sum() < 4:
        return None
    x0, y0, x1, y1 = boxes[lasting].reshape(-1, 4).T
    tall, wide = y1 - y0, x1 - x0
    with np.errstate(invalid="ignore"):
        upright = (tall > 1.6 * wide) & (tall < 5 * wide) & (tall < 0.4 * height)
        whole = (y0 > 3) & (y1 < height - 3)
    feet, tall = y1[upright & whole], tall[upright & whole]
    if len(feet) <= 60 or np.ptp(np.percentile(feet, [10, 90])) < 0.1 * height:
        return None
    random = np.random.default_rng(0)
    best, best_line = 0, None
    for i, j in random.integers(0, len(feet), (400, 2)):
        if abs(feet[i] - feet[j]) < 0.1 * height:
            continue
        slope = (tall[i] - tall[j]) / (feet[i] - feet[j])
        offset = tall[i] - slope * feet[i]
        agreeing = (abs(slope * feet + offset - tall) < 0.12 * tall).sum()
        if 0.08 <= slope <= 2.5 and agreeing > best:
            best, best_line = agreeing, (slope, offset)
    if best_line is None or best < 0.45 * len(feet):
        return None
    slope, offset = best_line
    row = -offset / slope
    if not -0.6 * height < row < 0.6 * height:
        return None
    return Horizon(float(row), "walkers", float(WALKER_HEIGHT_M / slope), "walkers")
