"""Dense optical flow between neighbouring frames, and warping along it.

Flow fields are (h, w, 2) float32: x and y displacement in pixels of the flow picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Map = npt.NDArray[np.float32]


def optical_flow() -> cv2.DISOpticalFlow:
    """Dense inverse search (Kroeger et al. 2016)."""
    return cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)


def neighbour_flows(grey: Sequence[Image], tick: Callable[[], None]) -> tuple[Map, Map]:
    """n grey pictures (h, w) -> flow from each to the next, and back: two (n - 1, h, w, 2) arrays."""
    dis = optical_flow()
    shape = (len(grey) - 1, *grey[0].shape, 2)
    forward, backward = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for t in range(len(grey) - 1):
        forward[t] = dis.calc(grey[t], grey[t + 1], None)
        backward[t] = dis.calc(grey[t + 1], grey[t], None)
        tick()
    return forward, backward


@cache
def pixel_grid(height: int, width: int) -> Map:
    """(h, w, 2) pixel positions x, y (the first pixel's centre at 0, 0, as OpenCV counts)."""
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    grid = np.stack([x, y], -1)
    grid.setflags(write=False)
    return grid


def warp_along(picture: npt.NDArray, flow: Map) -> npt.NDArray:
    """The picture that lies at the ends of `flow`, brought to its starts."""
    position = pixel_grid(*flow.shape[:2]) + flow
    return cv2.remap(picture, position, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def length(flow: Map) -> Map:
    return np.sqrt(flow[..., 0] ** 2 + flow[..., 1] ** 2)


def homography_flow(homography: npt.NDArray[np.float64], height: int, width: int) -> Map:
    """How far a homography moves every pixel: (h, w, 2)."""
    grid = pixel_grid(height, width)
    moved = cv2.perspectiveTransform(grid.reshape(-1, 1, 2), homography)
    return (moved.reshape(height, width, 2) - grid).astype(np.float32)
