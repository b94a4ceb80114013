"""The still part of a scene as points: the plate, a surround, and a layer under their depth steps."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ...geometry.cameras import Intrinsics, back_project
from ..depth import Points
from ..flow import Image, Map
from .layout import View

ARC_SHIFT = np.sin(np.radians(20))
TEAR_PX = 7.0  # stretch on a 20 degree arc above which a surface is cut rather than drawn out
UNDER_LAYER_PX = 60, 20  # how far it reaches sideways, up and down
MAX_STRETCH = 3.0
PATCH = 0.62  # half a pixel, and a little overlap
SURROUND_STEP = 2  # pixels; it is blurred anyway
MARGINS = (
    0.25,
    0.35,
    0.5,
)  # of the surround: above, below (of the height), at each side (of the width)
SEEN, NEVER_SEEN, SURROUND = 1.0, 0.4, 0.2  # confidence

Mask = npt.NDArray[np.bool_]


def background_points(
    plate: Image,
    never_seen: Mask,
    inverse: Map,
    view: View | None,
    k: Intrinsics,
    camera_to_world: npt.NDArray[np.float64],
    pivot_m: float,
) -> Points:
    """World points of the background of a stabilised shot, all at working size.

    plate: (h, w, 3); never_seen: (h, w), where the plate is made up; inverse: (h, w) inverse depth;
    view: None where there is no ground; k, camera_to_world: of the stabilised picture; pivot_m: distance
    of the subject that a camera may travel around. A point's radius covers what neighbours part on a
    20 degree arc; where that is too much the surface is cut, and the far side goes on under the near one.
    """
    height, width = inverse.shape
    top, bottom = (round(share * height) for share in MARGINS[:2])
    left = round(MARGINS[2] * width)
    margins = top, bottom, left, left
    seen = np.where(never_seen, NEVER_SEEN, SEEN).astype(np.float32)
    confidence = cv2.copyMakeBorder(seen, *margins, cv2.BORDER_CONSTANT, value=SURROUND)
    around = confidence == np.float32(SURROUND)
    colour = _blurred_outwards(cv2.copyMakeBorder(plate, *margins, cv2.BORDER_REFLECT_101), around)
    inverse = cv2.copyMakeBorder(inverse, *margins, cv2.BORDER_REFLECT_101)
    if view is not None:
        # Mirrored, the ground would rise again below the picture.
        row = height + np.arange(bottom)[:, None] + 0.5
        step = view.ground(row) - view.ground(height - 0.5)
        inverse[top + height :] = inverse[top + height - 1] + step

    stretch = _stretch(inverse, k.fx * pivot_m)
    torn = stretch >= TEAR_PX
    under, under_colour, under_inverse = _under_layer(colour, inverse, torn)
    coarse = np.zeros(around.shape, bool)
    coarse[::SURROUND_STEP, ::SURROUND_STEP] = True
    patch_px = PATCH * np.where(around, SURROUND_STEP, 1) * np.clip(stretch, 1, MAX_STRETCH)
    made_up = confidence < SEEN
    layers = [
        (~torn & (coarse | ~around), colour, inverse, confidence, made_up, patch_px),
        (
            under,
            under_colour,
            under_inverse,
            np.minimum(confidence, NEVER_SEEN),
            under,
            PATCH * np.clip(_stretch(under_inverse, k.fx * pivot_m), 1, MAX_STRETCH),
        ),
    ]
    parts = []
    for inside, *maps in layers:
        rgb, inverse_depth, sure, synthetic, radius_px = (values[inside] for values in maps)
        row, column = np.nonzero(inside)
        depth_m = 1 / inverse_depth
        xyz = back_project(column - left + 0.5, row - top + 0.5, depth_m, k, camera_to_world)
        radius_m = radius_px * depth_m / k.fx
        parts.append((xyz.astype(np.float32), rgb, sure, radius_m.astype(np.float32), synthetic))
    return Points(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _stretch(inverse: Map, pivot_px_m: float) -> Map:
    """By how many pixels neighbours part on a 20 degree arc around the pivot (focal length times distance)."""
    kernel = np.ones((3, 3), np.uint8)
    spread = cv2.dilate(inverse, kernel) - cv2.erode(inverse, kernel)
    return spread * np.float32(pivot_px_m * ARC_SHIFT / 2)


def _under_layer(colour: Image, inverse: Map, torn: Mask) -> tuple[Mask, Image, Map]:
    """What a moving camera finds behind a tear: the far side's colour and depth, pulled under the near side.

    Returns where it is, its colour and its inverse depth.
    """
    kernel = np.ones((2 * UNDER_LAYER_PX[1] + 1, 2 * UNDER_LAYER_PX[0] + 1), np.uint8)
    rim = cv2.dilate(torn.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    rim_inverse = np.where(rim, inverse, np.inf).astype(np.float32)
    farthest = cv2.erode(rim_inverse, kernel)  # of the rims nearby
    middle = (farthest + cv2.dilate(np.where(rim, inverse, 0).astype(np.float32), kernel)) / 2
    near = torn | (inverse > middle)
    under, far = np.isfinite(farthest) & near, np.isfinite(farthest) & ~near
    if not far.any():
        return np.zeros_like(under), colour, inverse
    _, nearest = cv2.distanceTransformWithLabels(
        (~far).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_label = np.zeros(nearest.max() + 1, np.int64)
    of_label[nearest[far]] = np.flatnonzero(far)
    source = of_label[nearest]
    depth = np.where(under, np.minimum(inverse.ravel()[source], farthest), inverse)
    return under, cv2.blur(colour.reshape(-1, 3)[source], (5, 5)), depth


def _blurred_outwards(colour: Image, around: Mask) -> Image:
    """The more blurred the farther from the picture: a mirrored surround is then less of a mirror."""
    width = colour.shape[1]
    away = cv2.distanceTransform(around.astype(np.uint8), cv2.DIST_L2, 5)
    share = np.clip(away / (0.15 * width), 0, 1)[..., None]
    blurred = cv2.GaussianBlur(colour, (0, 0), width / 80)
    return (colour * (1 - share) + blurred * share).astype(np.uint8)
