"""The clean plate: the still background of a stabilised shot without whatever moves in front of it."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from ..compiled import njit
from .flow import Image, Map

SAMPLES = 48
COLOUR_RADIUS = 30.0  # L1, 8-bit RGB
ROWS_AT_ONCE = 24
NEVER_SEEN_SCORE = 0.58
DOUBTFUL_SCORE = 0.45
BORDER_PX = 8
KERNEL = np.ones((5, 5), np.uint8)

Mask = npt.NDArray[np.uint8]  # 0 or 1


def clean_plate(
    frames: npt.NDArray[np.uint8], moved: Map, mattes: Mask | None, check: Callable[[], None]
) -> tuple[Image, Mask]:
    """Plate (h, w, 3) and the pixels (h, w) where the background was probably never seen (inpainted).

    frames: (n, h, w, 3) stabilised; moved: (n, h', w') how much a pixel is to be avoided, 0..1;
    mattes: (n, h, w) subjects, once they are known. Takes the densest colour of each pixel (Parzen
    window over 48 frames): a median would show a subject that stands still half of the time.
    """
    count, height, width = frames.shape[:3]
    chosen = np.unique(np.linspace(0, count - 1, min(count, SAMPLES)).astype(int))
    scores = np.stack([cv2.dilate(moved[t], KERNEL) for t in chosen])
    weights = np.empty((len(chosen), height, width), np.float32)
    clear = np.ones(weights.shape, np.uint8)
    for i, t in enumerate(chosen):
        weight = np.exp(-cv2.resize(scores[i], (width, height)) / 0.1)
        if mattes is not None:
            clear[i] -= cv2.dilate(mattes[t], KERNEL)
            weight = weight**0.3 * clear[i] + 1e-9
        weights[i] = weight
        check()
    plate = np.zeros((height, width, 3), np.uint8)
    samples = frames[chosen]
    for row in range(0, height, ROWS_AT_ONCE):
        part = slice(row, row + ROWS_AT_ONCE)
        plate[part] = _densest_colour(samples[:, part], weights[:, part])
        check()

    check()
    cleanest = np.partition(scores, min(3, len(chosen) - 1), axis=0)[min(3, len(chosen) - 1)]
    if mattes is None:
        unseen = cv2.morphologyEx(
            (cleanest > NEVER_SEEN_SCORE).astype(np.uint8), cv2.MORPH_OPEN, KERNEL
        )
        unseen = cv2.dilate(unseen, KERNEL)
        unseen = cv2.resize(unseen, (width, height), interpolation=cv2.INTER_NEAREST)
    else:
        clean_samples = clear.sum(0)
        doubtful = cv2.resize(cleanest, (width, height)) > DOUBTFUL_SCORE
        unseen = clean_samples < min(2, len(chosen))
        unseen |= doubtful & (clean_samples < min(6, len(chosen)))
        unseen = cv2.dilate(unseen.astype(np.uint8), KERNEL)
    return inpainted(plate, unseen), unseen


def inpainted(plate: Image, unseen: Mask) -> Image:
    """Filled at quarter size (frequency selective, Seiler and Kaup 2010): enough for a backdrop."""
    if not unseen.any():
        return plate
    height, width = plate.shape[:2]
    small = (max(width // 4, 1), max(height // 4, 1))
    rim = cv2.dilate(cv2.resize(unseen, small, interpolation=cv2.INTER_NEAREST), KERNEL[:3, :3])
    picture = cv2.resize(plate, small, interpolation=cv2.INTER_AREA)
    if rim.all():
        return plate
    # Without a border around them, gaps in the corners come out in odd colours.
    picture, rim = (
        cv2.copyMakeBorder(image, *[BORDER_PX] * 4, cv2.BORDER_REFLECT_101)
        for image in (picture, rim)
    )
    filled = np.zeros_like(picture)
    cv2.xphoto.inpaint(picture, (1 - rim) * 255, filled, cv2.xphoto.INPAINT_FSR_FAST)
    filled = filled[BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX]
    return np.where(unseen[..., None] > 0, cv2.resize(filled, (width, height)), plate)


@njit(fastmath=True)
def _densest_colour(
    samples: npt.NDArray[np.uint8], weights: npt.NDArray[np.float32]
) -> npt.NDArray[np.uint8]:
    """Per pixel the weighted mode of colours (n, h, w, 3), refined to the mean of its neighbours."""
    count, height, width, _ = samples.shape
    radius = np.float32(COLOUR_RADIUS)
    result = np.zeros((height, width, 3), np.uint8)
    red, green = np.empty(count, np.float32), np.empty(count, np.float32)
    blue, weight = np.empty(count, np.float32), np.empty(count, np.float32)
    for y in range(height):
        for x in range(width):
            for i in range(count):
                red[i], green[i] = samples[i, y, x, 0], samples[i, y, x, 1]
                blue[i], weight[i] = samples[i, y, x, 2], weights[i, y, x]
            best, best_density = 0, np.float32(-1)
            for i in range(count):
                density = np.float32(0)
                for j in range(count):
                    away = abs(red[i] - red[j]) + abs(green[i] - green[j]) + abs(blue[i] - blue[j])
                    density += weight[j] * max(radius - away, np.float32(0))
                if density > best_density:
                    best, best_density = i, density
            total, r, g, b = 0.0, 0.0, 0.0, 0.0
            for j in range(count):
                away = abs(red[best] - red[j]) + abs(green[best] - green[j])
                away += abs(blue[best] - blue[j])
                if away < radius:
                    total += weight[j]
                    r += weight[j] * red[j]
                    g += weight[j] * green[j]
                    b += weight[j] * blue[j]
            if total > 0:
                result[y, x, 0] = np.uint8(min(r / total + 0.5, 255.0))
                result[y, x, 1] = np.uint8(min(g / total + 0.5, 255.0))
                result[y, x, 2] = np.uint8(min(b / total + 0.5, 255.0))
            else:
                result[y, x] = samples[best, y, x]
    return result
