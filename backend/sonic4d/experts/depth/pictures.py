"""Pictures as DINOv2-based depth models want them, and back."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from ...scene.depth import Frames

PATCH_PX = 14
MEAN = np.array([0.485, 0.456, 0.406], np.float32)  # ImageNet
STD = np.array([0.229, 0.224, 0.225], np.float32)


def model_size(height: int, width: int, short_side: int) -> tuple[int, int]:
    """(height, width) in whole patches, of the same aspect, the shorter side at least `short_side`."""
    scale = short_side / min(height, width)

    def whole(side: int) -> int:
        patches = round(side * scale / PATCH_PX)
        if patches * PATCH_PX < short_side:
            patches = int(np.ceil(side * scale / PATCH_PX))
        return patches * PATCH_PX

    return whole(height), whole(width)


def to_tensor(frames: Frames, size: tuple[int, int]) -> torch.Tensor:
    """(n, H, W, 3) uint8 -> (n, 3, h, w) float32, normalised."""
    height, width = size
    result = np.empty((len(frames), 3, height, width), np.float32)
    for picture, frame in zip(result, frames, strict=True):
        resized = cv2.resize(
            frame.astype(np.float32) / 255, (width, height), interpolation=cv2.INTER_CUBIC
        )
        picture[:] = ((resized - MEAN) / STD).transpose(2, 0, 1)
    return torch.from_numpy(result)


def to_frame_size(maps: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """(n, h, w) -> (n, H, W)."""
    return torch.nn.functional.interpolate(
        maps[:, None], (height, width), mode="bilinear", align_corners=True
    )[:, 0]
