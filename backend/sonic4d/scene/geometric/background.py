"""The still part of a scene as points: plate, a layer under its depth steps, and a surround.

Maps lie at working size; `pivot_m` is how far the subject is that a camera may travel around.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ...geometry.cameras import Intrinsics, back_project
from ..depth import Points
from ..flow import Image, Map
from .layout import View

ARC_SHIFT = np.sin(np.radians(20))
TEAR_PX = 7.0  # stretch on a 20 degree arc above which a surface is cut rather than drawn out
UNDER_LAYER_TEAR_PX = 8.0
UNDER_LAYER_PX = 28
MAX_STRETCH = 3.0
PATCH = 0.62  # half a pixel, and a little overlap
SEEN, NEVER_SEEN, UNDER_LAYER, SURROUND = 1.0, 0.4, 0.4, 0.2  # confidence


@dataclass(frozen=True)
class Layer:
    """A picture with depth: colour (h, w, 3), inverse depth (h, w), the pixels that count, their confidence,
    whether they are made up, and where its first pixel lies in the working picture."""

    colour: Image
    inverse: Map
    inside: npt.NDArray[np.bool_]
    confidence: Map
    synthetic: npt.NDArray[np.bool_]
    left: int = 0
    top: int = 0


def background_points(
    plate: Image,
    never_seen: npt.NDArray[np.bool_],
    inverse: Map,
    view: View | None,
    k: Intrinsics,
    camera_to_world: npt.NDArray[np.float64],
    pivot_m: float,
) -> Points:
    """All layers as world points. inverse: (h, w) inverse depth of the plate; k: of the working picture;
    camera_to_world: of the stabilised picture; view: None where there is no ground."""
    stretch = _stretch(inverse, k, pivot_m)
    seen = np.where(never_seen, NEVER_SEEN, SEEN).astype(np.float32)
    layers = [
        Layer(plate, inverse, stretch < TEAR_PX, seen, never_seen),
        _under_layer(plate, inverse, k, pivot_m),
        _surround(plate, inverse, view),
    ]
    parts = [_lifted(layer, k, camera_to_world, pivot_m) for layer in layers]
    names = ("xyz", "rgb", "confidence", "radius_m", "synthetic")
    return Points(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _stretch(inverse: Map, k: Intrinsics, pivot_m: float) -> Map:
    """By how many pixels neighbours part on a 20 degree arc around the pivot."""
    kernel = np.ones((3, 3), np.uint8)
    spread = cv2.dilate(inverse, kernel) - cv2.erode(inverse, kernel)
    return spread * (k.fx * pivot_m * ARC_SHIFT / 2)


def _under_layer(plate: Image, inverse: Map, k: Intrinsics, pivot_m: float) -> Layer:
    """What a moving camera finds behind a depth step: the far side's colour and depth, pulled under the near."""
    farthest = cv2.erode(inverse, np.ones((1, 2 * UNDER_LAYER_PX + 1), np.uint8))
    near = (inverse - farthest) * k.fx * pivot_m * ARC_SHIFT > UNDER_LAYER_TEAR_PX
    if near.all():
        near[:] = False
    _, nearest = cv2.distanceTransformWithLabels(
        near.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_label = np.zeros(nearest.max() + 1, np.int64)
    of_label[nearest[~near]] = np.flatnonzero(~near)
    source = of_label[nearest]
    colour = cv2.blur(plate.reshape(-1, 3)[source], (5, 5))
    depth = np.minimum(inverse.ravel()[source], farthest)
    confidence = np.full(near.shape, UNDER_LAYER, np.float32)
    return Layer(colour, depth, near, confidence, near)


def _surround(plate: Image, inverse: Map, view: View | None) -> Layer:
    """The plate mirrored at its edges, ever more blurred; the ground goes on below."""
    height, width = inverse.shape
    left, top, bottom = int(0.5 * width), int(0.25 * height), int(0.35 * height)
    margins = top, bottom, left, left
    colour = cv2.copyMakeBorder(plate, *margins, cv2.BORDER_REFLECT_101)
    depth = cv2.copyMakeBorder(inverse, *margins, cv2.BORDER_REFLECT_101)
    if view is not None:
        row = height + np.arange(bottom)[:, None] + 0.5
        step = view.ground(row) - view.ground(height - 0.5)
        depth[top + height :] = depth[top + height - 1] + step
    inside = np.ones(depth.shape, bool)
    inside[top : top + height, left : left + width] = False
    away = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5)
    blurred = cv2.GaussianBlur(colour, (0, 0), width / 40)
    share = np.clip(away / (0.3 * width), 0, 1)[..., None]
    colour = (colour * (1 - share) + blurred * share).astype(np.uint8)
    confidence = np.full(depth.shape, SURROUND, np.float32)
    return Layer(colour, np.ascontiguousarray(depth), inside, confidence, inside, -left, -top)


def _lifted(layer: Layer, k: Intrinsics, camera_to_world: npt.NDArray[np.float64], pivot_m: float) -> Points:
    stretch = np.clip(_stretch(layer.inverse, k, pivot_m), 1, MAX_STRETCH)
    row, column = np.nonzero(layer.inside)
    depth_m = 1 / layer.inverse[row, column]
    xyz = back_project(column + layer.left + 0.5, row + layer.top + 0.5, depth_m, k, camera_to_world)
    return Points(
        xyz.astype(np.float32),
        layer.colour[row, column],
        layer.confidence[row, column],
        (PATCH * stretch[row, column] * depth_m / k.fx).astype(np.float32),
        layer.synthetic[row, column],
    )
