"""Camera paths in TrajectoryCrafter's form: a text file of three lines, theta, phi and r (its docs/config_help.md).

theta and phi turn the camera around a point straight ahead of its start, upwards and to the right in degrees; r brings it
forward, as a share of that point's distance. Each line has any number of values, spread evenly over the shot.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .geometry.cameras import OPENCV_TO_BLENDER_CAMERA
from .protocol import Sonic4DError
from .shot import MAX_FRAMES

Array = npt.NDArray[np.float64]

SUFFIX = ".txt"
NAMES = ("theta", "phi", "r")
MAX_BYTES = 1 << 20


def read_trajectory(path: Path, start: Array, distance_m: float, count: int) -> Array:
    """Camera-to-world (count, 4, 4) of a camera that starts at `start`, around the point `distance_m` ahead of it.

    Raises `Sonic4DError`.
    """
    lines = _lines(path)
    theta_deg, phi_deg, forward = (_spread(line, count) for line in lines)
    steps = np.zeros((count, 3))
    steps[:, 2] = forward * distance_m
    return around_point(start, distance_m, theta_deg, phi_deg, steps)


def around_point(
    start: Array, distance_m: float, theta_deg: Array, phi_deg: Array, steps_m: Array
) -> Array:
    """TrajectoryCrafter's poses in our conventions, (n, 4, 4): turned around the point, then moved by `steps_m` (n, 3) to the
    right, up and forward along the starting camera's axes.

    Upstream multiplies world-to-camera matrices T = translate(0, 0, distance) turn_y(phi) turn_x(theta) translate(-x, y, -r)
    of a camera that looks along +z with +y down; this is the inverse of the last one after the first one.
    """
    ahead = np.array([0.0, 0.0, distance_m])
    poses = np.repeat(np.eye(4)[None], len(theta_deg), axis=0)
    for pose, theta, phi, step in zip(poses, theta_deg, phi_deg, steps_m, strict=True):
        pose[:3, :3] = (_turn(phi, 2, 0) @ _turn(theta, 1, 2)).T
        pose[:3, 3] = ahead + step * [1, -1, 1] - pose[:3, :3] @ ahead
    return start @ OPENCV_TO_BLENDER_CAMERA @ poses @ OPENCV_TO_BLENDER_CAMERA


def _turn(angle_deg: float, first: int, second: int) -> Array:
    """Rotation from axis `first` to axis `second`."""
    matrix = np.eye(3)
    c, s = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    matrix[first, first] = matrix[second, second] = c
    matrix[second, first], matrix[first, second] = s, -s
    return matrix


def _lines(path: Path) -> list[Array]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _bad(path, "it is too large")
        rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines()[:3]]
        lines = [np.array(row, dtype=np.float64) for row in rows]
    except FileNotFoundError:
        raise Sonic4DError("missing_file", f"There is no file {path}.", "Check the path.") from None
    except (OSError, ValueError):
        raise _bad(path, "it holds something else than numbers") from None
    if len(lines) != len(NAMES) or not all(0 < len(line) <= MAX_FRAMES for line in lines):
        raise _bad(path, f"three lines are expected: {', '.join(NAMES)}")
    if not all(np.isfinite(line).all() for line in lines):
        raise _bad(path, "a value is not a finite number")
    return lines


def _bad(path: Path, why: str) -> Sonic4DError:
    return Sonic4DError("bad_file", f"{path} is no camera path: {why}.", "Correct it.")


def _spread(values: Array, count: int) -> Array:
    """As upstream interpolates: linearly up to three values, by a smoothing spline beyond, which keeps the ends."""
    at, wanted = np.linspace(0, 1, len(values)), np.linspace(0, 1, count)
    if len(values) <= 3:
        return np.interp(wanted, at, values)
    from scipy.interpolate import UnivariateSpline

    result = UnivariateSpline(at, values, k=3)(wanted)
    result[0], result[-1] = values[0], values[-1]
    return result
