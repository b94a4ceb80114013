"""The pictures as MMAudio's encoders take them, exactly as in its training."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

CLIP_PX = 384
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def _resized(picture: npt.NDArray[np.uint8], height: int, width: int) -> Tensor:
    """(H, W, 3) -> (3, height, width) uint8: bicubic, antialiased, rounded to bytes."""
    rows = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None]
    if rows.shape[2:] == (height, width):
        return rows[0].contiguous()
    sized = F.interpolate(rows, (height, width), mode="bicubic", antialias=True)
    return sized[0].contiguous()


def for_clip(picture: npt.NDArray[np.uint8]) -> Tensor:
    """The whole picture as a square, whatever its shape: (3, 384, 384) uint8."""
    return _resized(picture, CLIP_PX, CLIP_PX)


def for_sync(picture: npt.NDArray[np.uint8], side_px: int) -> Tensor:
    """The middle of the picture: the short side becomes `side_px`, the long one is cut. (3, side_px, side_px) uint8."""
    height, width = picture.shape[:2]
    short = min(height, width)
    sized = _resized(picture, int(side_px * height / short), int(side_px * width / short))
    top, left = (round((side - side_px) / 2.0) for side in sized.shape[1:])
    return sized[:, top : top + side_px, left : left + side_px].contiguous()


def clip_input(pictures: Tensor, side_px: int) -> Tensor:
    """(n, 3, 384, 384) uint8 -> normalised (n, 3, side_px, side_px) float32.

    CLIP's patches of 14 pixels cover 378 of the 384: its convolution ignores the rest at the right and at the bottom.
    """
    mean, std = (torch.tensor(value)[:, None, None] for value in (CLIP_MEAN, CLIP_STD))
    return ((pictures[..., :side_px, :side_px].float() / 255) - mean) / std


def sync_input(pictures: Tensor) -> Tensor:
    """(..., 3, H, W) uint8 -> -1..1 float32."""
    return (pictures.float() / 255 - 0.5) / 0.5
