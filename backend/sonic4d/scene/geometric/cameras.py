"""Camera poses of a stabilised shot: a camera that only turns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...geometry.cameras import LOOKING_NORTH, Intrinsics, from_opencv, pitched

Array = npt.NDArray[np.float64]

GRID = 12


def camera_rotations(to_reference: Array, k: Intrinsics) -> tuple[Array, float]:
    """The rotations (n, 3, 3), OpenCV camera axes, that come nearest to the homographies frame -> reference,
    and the largest root mean square error left in any frame, in pixels.

    Fits the rays of a grid of pixels (Kabsch 1976), so a shift or zoom that isn't a rotation is spread out.
    k: intrinsics of the picture that the homographies act on.
    """
    x, y = np.meshgrid(np.linspace(0, k.width - 1, GRID), np.linspace(0, k.height - 1, GRID))
    points = np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    start = _rays(points, k)
    rotations, errors = [], []
    for homography in to_reference:
        end = homography @ points
        goal = _rays(end / end[2], k)
        u, _, vt = np.linalg.svd(goal @ start.T)
        rotation = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
        turned = rotation @ start
        off = (turned[:2] / turned[2] - goal[:2] / goal[2]) * k.fx
        rotations.append(rotation)
        errors.append(np.sqrt((off**2).sum(0).mean()))
    return np.stack(rotations), float(max(errors))


def camera_poses(rotations: Array, pitch_deg: float) -> tuple[Array, Array]:
    """Poses (n, 4, 4) of all frames, and (4, 4) of the stabilised picture, which is level and pitched.

    The first frame heads along +Y; all stand at the origin.
    """
    relative = np.tile(np.eye(4), (len(rotations), 1, 1))
    relative[:, :3, :3] = rotations
    tilt = pitched(pitch_deg) @ np.linalg.inv(LOOKING_NORTH)
    poses = tilt @ from_opencv(relative)
    forward = -poses[0, :3, 2]
    bearing = np.arctan2(forward[0], forward[1])
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(bearing), -np.sin(bearing)], [np.sin(bearing), np.cos(bearing)]]
    return turn @ poses, turn @ pitched(pitch_deg)


def _rays(points: Array, k: Intrinsics) -> Array:
    """Unit rays (3, m) of OpenCV pixel positions (3, m), whose first pixel centre is at 0, 0."""
    rays = np.stack(
        [
            (points[0] + 0.5 - k.cx) / k.fx,
            (points[1] + 0.5 - k.cy) / k.fy,
            np.ones(points.shape[1]),
        ]
    )
    return rays / np.linalg.norm(rays, axis=0)
