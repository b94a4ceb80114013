"""What is known of the stabilised picture, as it lies in one frame of a shot."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ..geometry.cameras import Intrinsics
from .flow import Image, Map
from .movers import Labels
from .stabilise import enlargement

GUIDED_ABOVE = 1.2  # times the working size: then outlines are drawn anew in the large picture


def frame_to_reference(
    to_reference: npt.NDArray[np.float64], frame: Image, labels: Labels
) -> npt.NDArray[np.float64]:
    """The homography of the working picture, for pixels of the frame itself."""
    (height, width), (work_height, work_width) = frame.shape[:2], labels.shape
    return to_reference @ enlargement(work_width / width, work_height / height)


def in_frame(picture: Map, to_reference: npt.NDArray[np.float64], height: int, width: int) -> Map:
    """A map (h, w) of the stabilised picture as it lies in one frame (H, W)."""
    return cv2.warpPerspective(
        picture,
        to_reference,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def subject_in_frame(
    frame: Image, labels: Labels, to_reference: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """Where a frame (H, W, 3) shows a mover; labels (h, w) of the stabilised picture."""
    height, width = frame.shape[:2]
    subject = in_frame((labels > 0).astype(np.float32), to_reference, height, width)
    work_width = labels.shape[1]
    if width > GUIDED_ABOVE * work_width and subject.any():
        radius = round(4 * width / work_width)
        subject = cv2.ximgproc.guidedFilter(np.ascontiguousarray(frame), subject, radius, 60.0)
    return subject > 0.5


def without_rim(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """A subject's mask without its outermost pixels, which are mixed with the background's colour."""
    return cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0


def axis_ratio(
    rotation: npt.NDArray[np.float64],
    to_reference: npt.NDArray[np.float64],
    k: Intrinsics,
    height: int,
    width: int,
) -> Map:
    """Depth along a frame's viewing axis over depth along the stabilised picture's, per pixel of the frame."""
    column, row = np.arange(width), np.arange(height)[:, None]
    x, y, w = (m[0] * column + m[1] * row + m[2] for m in to_reference)
    ray_x, ray_y = (x / w + 0.5 - k.cx) / k.fx, (y / w + 0.5 - k.cy) / k.fy
    return rotation[0, 2] * ray_x + rotation[1, 2] * ray_y + rotation[2, 2]
