"""Motion between frames: positions and orientations that are smooth (C1) functions of time.

Frame f of n stands at time f / frame_rate. Motion starts from rest one frame before the first frame and comes to
rest one frame after the last, so that nothing ever starts or stops abruptly.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from ..compiled import njit

Array = npt.NDArray[np.float64]

_BEFORE, _AFTER = 2, 2  # how often the first and the last frame are repeated


def control_points(per_frame: Array) -> Array:
    """(n, k) values at the frames -> (n + 4, k) control points for `catmull_rom` and `positions_at`."""
    return np.pad(per_frame, ((_BEFORE, _AFTER), (0, 0)), mode="edge")


@njit(nogil=True)
def catmull_rom(
    controls: Array, first_frame: int, frame: float, position: Array, velocity: Array
) -> None:
    """Position and velocity (units per frame) at a fractional frame number, written to the last two arguments (3,).

    Equal controls of equal frames give equal bytes, whatever the controls' first frame.
    """
    last = first_frame + controls.shape[0] - 4
    frame = min(max(frame, first_frame - 1.0), float(last))
    whole = min(int(math.floor(frame)), last - 1)
    first = whole - first_frame + 1
    t = frame - whole
    for axis in range(3):
        p0 = controls[first, axis]
        p1 = controls[first + 1, axis]
        p2 = controls[first + 2, axis]
        p3 = controls[first + 3, axis]
        a = 0.5 * (p2 - p0)
        b = 0.5 * (2 * p0 - 5 * p1 + 4 * p2 - p3)
        c = 0.5 * (3 * (p1 - p2) + p3 - p0)
        position[axis] = p1 + t * (a + t * (b + t * c))
        velocity[axis] = a + t * (2 * b + t * 3 * c)


@njit(nogil=True)
def positions_at(controls: Array, frames: Array) -> Array:
    """Positions (m, 3) at fractional frame numbers (m,)."""
    positions = np.empty((frames.size, 3))
    velocity = np.empty(3)
    for i in range(frames.size):
        catmull_rom(controls, 0, frames[i], positions[i], velocity)
    return positions


def orientation_keys(rotations: Array) -> Array:
    """(n, 3, 3) rotations at the frames -> (n + 4, 4) quaternions, each on the same side as the one before."""
    quaternions = Rotation.from_matrix(rotations).as_quat()
    flips = np.sign((quaternions[1:] * quaternions[:-1]).sum(axis=1))
    quaternions[1:] *= np.cumprod(np.where(flips == 0, 1, flips))[:, None]
    return control_points(quaternions)


def rotations_at(keys: Array, frames: Array) -> Array:
    """Rotations (m, 3, 3) at fractional frame numbers (m,).

    Catmull-Rom's construction with every straight line replaced by slerp (Schlag, Graphics Gems II, 1991): passes
    through the keys with a continuous angular velocity, whatever their distance.
    """
    last = len(keys) - 4
    frames = np.clip(frames, -1, last)
    first = np.minimum(np.floor(frames).astype(np.int64), last - 1) + 1
    t = frames - (first - 1)
    key = [keys[first + i] for i in range(4)]
    line = [_slerp(key[i], key[i + 1], t + 1 - i) for i in range(3)]
    curve = [_slerp(line[i], line[i + 1], (t + 1 - i) / 2) for i in range(2)]
    return Rotation.from_quat(_slerp(curve[0], curve[1], t)).as_matrix()


def _slerp(start: Array, end: Array, t: Array) -> Array:
    """Shoemake 1985; `t` (m,) may leave 0..1."""
    angle = np.arccos(np.clip((start * end).sum(axis=1), -1, 1))
    straight = angle < 1e-4
    sine = np.where(straight, 1, np.sin(angle))
    before = np.where(straight, 1 - t, np.sin((1 - t) * angle) / sine)
    after = np.where(straight, t, np.sin(t * angle) / sine)
    mixed = before[:, None] * start + after[:, None] * end
    return mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
