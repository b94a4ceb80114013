"""Equation 2: a point set seen by a camera, as z-buffered splats with a mask of where anything was seen."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from ..compiled import njit
from ..scene.depth import Points
from .cameras import Intrinsics

NEAREST_M = 0.05  # points nearer to the camera are left out
OVERLAP = (
    1.25  # splats are larger than what they stand for, or slanted surfaces would show pinholes
)
LARGEST_SHARE = 1 / 40  # of the picture's height: the largest half size of a splat

_Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Picture:
    """`image` (H, W, 3) uint8 RGB, black where nothing is; `valid` (H, W) bool; `depth_m` (H, W) float32, inf where nothing is."""

    image: npt.NDArray[np.uint8]
    valid: npt.NDArray[np.bool_]
    depth_m: _Float32


def splat(
    layers: Sequence[Points], k: Intrinsics, camera_to_world: npt.NDArray[np.float64]
) -> Picture:
    """Draw point sets: each point a square of its radius (see OVERLAP), at least a pixel; the nearest wins, the first among equals.

    The result doesn't depend on the number of threads.
    """
    image = np.zeros((k.height, k.width, 3), np.uint8)
    depth_m = np.full((k.height, k.width), np.inf, np.float32)
    rotation = camera_to_world[:3, :3].T * np.array([[1.0], [-1.0], [-1.0]])  # to OpenCV's axes
    offset = -rotation @ camera_to_world[:3, 3]
    camera = np.concatenate([rotation * _focal(k), (offset * _focal(k)[:, 0])[:, None]], axis=1)
    largest_px = max(k.height * LARGEST_SHARE, 0.5)
    for points in layers:
        placed = np.empty((len(points), 4), np.float32)
        _place(points.xyz, points.radius_m, camera, k.cx, k.cy, k.fx * OVERLAP, largest_px, placed)
        _fill(placed, points.rgb, os.cpu_count() or 1, depth_m, image)
    return Picture(image, np.isfinite(depth_m), depth_m)


def _focal(k: Intrinsics) -> npt.NDArray[np.float64]:
    return np.array([[k.fx], [k.fy], [1.0]])


@njit(parallel=True, nogil=True)
def _place(
    xyz: _Float32,
    radius_m: _Float32,
    camera: npt.NDArray[np.float64],
    cx: float,
    cy: float,
    scale: float,
    largest_px: float,
    placed: _Float32,
) -> None:
    """Points -> u, v, half size in pixels and depth; those behind the camera get depth 0."""
    m = camera.astype(np.float32)
    for i in numba.prange(len(xyz)):
        x, y, z = xyz[i, 0], xyz[i, 1], xyz[i, 2]
        depth = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3]
        if not depth > NEAREST_M:
            placed[i, 3] = 0
            continue
        placed[i, 0] = (m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3]) / depth + cx
        placed[i, 1] = (m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3]) / depth + cy
        placed[i, 2] = min(max(radius_m[i] * scale / depth, 0.5), largest_px)
        placed[i, 3] = depth


@njit(parallel=True, nogil=True)
def _fill(
    placed: _Float32,
    rgb: npt.NDArray[np.uint8],
    bands: int,
    depth_m: _Float32,
    image: npt.NDArray[np.uint8],
) -> None:
    """Each thread fills a band of rows of its own, so that no two write the same pixel."""
    height, width = depth_m.shape
    for band in numba.prange(bands):
        top, bottom = band * height // bands, (band + 1) * height // bands
        for i in range(len(placed)):
            u, v, half, depth = placed[i, 0], placed[i, 1], placed[i, 2], placed[i, 3]
            if depth == 0 or not (v + half >= top and v - half < bottom):
                continue
            if not (u + half >= 0 and u - half < width):
                continue
            # A pixel is covered if its centre lies in the half-open square.
            first_x, last_x = int(np.ceil(u - half - 0.5)), int(np.ceil(u + half - 0.5))
            first_y, last_y = int(np.ceil(v - half - 0.5)), int(np.ceil(v + half - 0.5))
            for y in range(max(first_y, top), min(last_y, bottom)):
                for x in range(max(first_x, 0), min(last_x, width)):
                    if depth < depth_m[y, x]:
                        depth_m[y, x] = depth
                        image[y, x, 0] = rgb[i, 0]
                        image[y, x, 1] = rgb[i, 1]
                        image[y, x, 2] = rgb[i, 2]
