"""The inputs of the frozen checks: made from a seed, so that only numbers need to be kept."""

from __future__ import annotations

import cv2
import numpy as np


def frames(count: int, height: int, width: int) -> np.ndarray:
    """(count, height, width, 3) uint8: a smooth texture that moves to the left by a pixel a frame."""
    texture = np.random.default_rng(0).random((height, width + count, 3)).astype(np.float32)
    texture = cv2.GaussianBlur(texture, (0, 0), 3)
    texture = (texture - texture.min()) / (texture.max() - texture.min())
    return np.stack([(texture[:, t : t + width] * 255).astype(np.uint8) for t in range(count)])
