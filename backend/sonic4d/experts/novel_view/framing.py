"""A shot's picture inside the picture size that a model was trained on: nothing is stretched, the margin shows more of the scene."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ...geometry.cameras import Intrinsics
from ...scene.depth import Frames
from ...scene.novel_view import Frame


@dataclass(frozen=True)
class Framing:
    """lens: of the model's picture. left, top, width, height: where the shot's picture, of size `shown` (width, height), is in it."""

    lens: Intrinsics
    left: int
    top: int
    width: int
    height: int
    shown: tuple[int, int]

    @classmethod
    def inside(cls, lens: Intrinsics, size: tuple[int, int]) -> Framing:
        """The shot's lens as wide as it goes in a picture of `size` (width, height), centred."""
        scale = min(size[0] / lens.width, size[1] / lens.height)
        width, height = (max(1, round(side * scale)) for side in (lens.width, lens.height))
        left, top = (size[0] - width) // 2, (size[1] - height) // 2
        k = lens.scaled(width, height)
        wide = Intrinsics(*size, k.fx, k.fy, k.cx + left, k.cy + top)
        return cls(wide, left, top, width, height, (lens.width, lens.height))

    def shot_picture(self, picture: Frame) -> Frame:
        """The shot's part of a model's picture, at the shot's size."""
        part = picture[self.top : self.top + self.height, self.left : self.left + self.width]
        return _resized(part, self.shown)


def filling(frames: Frames, size: tuple[int, int]) -> Frames:
    """Pictures (n, H, W, 3) cut at two sides, so that what is left fills `size` (width, height) without being stretched."""
    height, width = frames.shape[1:3]
    scale = max(size[0] / width, size[1] / height)
    across, down = (
        min(round(s / scale), side) for s, side in zip(size, (width, height), strict=True)
    )
    left, top = (width - across) // 2, (height - down) // 2
    parts = frames[:, top : top + down, left : left + across]
    return np.stack([_resized(part, size) for part in parts])


def _resized(picture: Frame, size: tuple[int, int]) -> Frame:
    smaller = size[0] < picture.shape[1]
    method = cv2.INTER_AREA if smaller else cv2.INTER_LANCZOS4
    return cv2.resize(np.ascontiguousarray(picture), size, interpolation=method)
