"""Camera models and conventions.

World: Blender's axes, right-handed, +Z up, metres. Poses are camera-to-world 4x4 in the OpenGL/Blender camera
convention (looks along -Z, +Y up). OpenCV's convention (x right, y down, z forward) exists only in this file.
Pixels: the centre of the first pixel is (0.5, 0.5); K is in pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import checks

Array = npt.NDArray[np.float64]

# From OpenCV camera axes to Blender camera axes and back (its own inverse).
OPENCV_TO_BLENDER_CAMERA = np.diag([1.0, -1.0, -1.0, 1.0])

# A camera at the origin that looks along +Y with +Z up.
LOOKING_NORTH: Array = np.array([[1.0, 0, 0, 0], [0, 0, -1.0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1.0]])


@dataclass(frozen=True)
class Intrinsics:
    """Pinhole camera: picture size, focal lengths and principal point, all in pixels."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    @classmethod
    def from_horizontal_fov(cls, width: int, height: int, fov_deg: float) -> Intrinsics:
        focal = width / 2 / math.tan(math.radians(fov_deg) / 2)
        return cls(width, height, focal, focal, width / 2, height / 2)

    @property
    def horizontal_fov_deg(self) -> float:
        return math.degrees(2 * math.atan(self.width / 2 / self.fx))

    def scaled(self, width: int, height: int) -> Intrinsics:
        """The same camera with another picture size."""
        x, y = width / self.width, height / self.height
        return Intrinsics(width, height, self.fx * x, self.fy * y, self.cx * x, self.cy * y)

    def to_json(self) -> dict[str, float | int]:
        return {key: getattr(self, key) for key in ("width", "height", "fx", "fy", "cx", "cy")}

    @classmethod
    def from_json(cls, data: Any, where: str) -> Intrinsics:
        data = checks.fields(data, where, ("width", "height", "fx", "fy", "cx", "cy"))
        size = [
            checks.integer(data[key], f"{where}.{key}", 1, 65536) for key in ("width", "height")
        ]
        focal = [checks.number(data[key], f"{where}.{key}", 1e-3, 1e7) for key in ("fx", "fy")]
        centre = [checks.number(data[key], f"{where}.{key}", -1e7, 1e7) for key in ("cx", "cy")]
        return cls(size[0], size[1], *focal, *centre)


def pitched(pitch_deg: float) -> Array:
    """Pose of a camera at the origin that heads along +Y, tilted up by `pitch_deg` (down if negative)."""
    c, s = math.cos(math.radians(pitch_deg)), math.sin(math.radians(pitch_deg))
    tilt = np.array([[1.0, 0, 0, 0], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1.0]])
    return tilt @ LOOKING_NORTH


def back_project(
    u: npt.ArrayLike, v: npt.ArrayLike, depth: npt.ArrayLike, k: Intrinsics, camera_to_world: Array
) -> Array:
    """Pixel positions and depths (distance along the viewing axis, metres) -> world points (..., 3). Equations 1 and 4."""
    z = np.asarray(depth, dtype=np.float64)
    x = (np.asarray(u) - k.cx) / k.fx * z
    y = (np.asarray(v) - k.cy) / k.fy * z
    # Written out: a matrix product of this shape wakes BLAS threads, which costs more than the work.
    return np.stack([x * r[0] - y * r[1] - z * r[2] + r[3] for r in camera_to_world[:3]], axis=-1)


def project(points: Array, k: Intrinsics, camera_to_world: Array) -> tuple[Array, Array, Array]:
    """World points (..., 3) -> u, v in pixels and depth in metres (negative behind the camera). Equation 2."""
    offset = [points[..., axis] - camera_to_world[axis, 3] for axis in range(3)]
    x, y, z = (
        sign * sum(offset[axis] * camera_to_world[axis, column] for axis in range(3))
        for column, sign in enumerate((1, -1, -1))
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        u = k.fx * x / z + k.cx
        v = k.fy * y / z + k.cy
    return u, v, z


def from_opencv(camera_to_world_cv: Array) -> Array:
    """OpenCV camera-to-world (..., 4, 4), whose world is the camera's own axes -> ours."""
    to_world = LOOKING_NORTH @ OPENCV_TO_BLENDER_CAMERA
    return to_world @ camera_to_world_cv @ OPENCV_TO_BLENDER_CAMERA


def to_opencv(camera_to_world: Array) -> Array:
    """The inverse of `from_opencv`."""
    to_world = LOOKING_NORTH @ OPENCV_TO_BLENDER_CAMERA
    return np.linalg.inv(to_world) @ camera_to_world @ OPENCV_TO_BLENDER_CAMERA
