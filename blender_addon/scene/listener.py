"""Who listens: the camera of each frame, or an object of the artist's choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import bpy
import numpy as np

from ...backend.sonic4d.protocol import Sonic4DError
from .sampling import Samples

# Of an object that isn't a camera: it looks along its +Y, its head points along its +Z.
_FACING = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])


def listeners(scene: bpy.types.Scene, frames: Sequence[int]) -> list[bpy.types.Object]:
    """Who listens at each frame. Raises `Sonic4DError` if nobody does."""
    chosen = scene.sonic4d.listener
    return [chosen if chosen is not None else camera_at(scene, frame) for frame in frames]


def camera_at(scene: bpy.types.Scene, frame: int) -> bpy.types.Object:
    """The camera that renders a frame: the one bound to the last marker up to it, else the scene's.

    Before the first marker the first one counts already, as in Blender. Raises `Sonic4DError` if there is none.
    """
    bound = [
        marker
        for marker in scene.timeline_markers
        if marker.camera is not None and not marker.camera.hide_render
    ]
    past = [marker for marker in bound if marker.frame <= frame]
    if past:
        return max(past, key=_marker_frame).camera
    if bound:
        return min(bound, key=_marker_frame).camera
    if scene.camera is None:
        raise Sonic4DError(
            "no_camera",
            "The scene has no active camera, so nobody listens.",
            "Make a shot camera, set a camera active, or choose a listener.",
        )
    return scene.camera


def _marker_frame(marker: bpy.types.TimelineMarker) -> int:
    return marker.frame


def head_poses(
    heads: Sequence[tuple[int, bool]],
    samples: Mapping[int, Samples],
    metres_per_unit: float,
    offset_m: Sequence[float],
) -> np.ndarray:
    """Poses of the listener's head (n_frames, 4, 4) in metres.

    heads: the `session_uid` of who listens at each frame, and whether it is a camera; offset_m: how far the head is to the
    right, up and forward of it. Raises `Sonic4DError` where an object is scaled to nothing.
    """
    matrices = np.array([samples[uid].matrices[i] for i, (uid, _) in enumerate(heads)])
    facing = np.array([np.eye(4) if is_camera else _FACING for _, is_camera in heads])
    poses = camera_poses(matrices @ facing)
    if not np.isfinite(poses).all():
        raise Sonic4DError(
            "flat_listener",
            "The listener is scaled to nothing or flat, so it has no direction.",
            "Reset the scale of the camera and of its parents.",
        )
    poses[:, :3, 3] *= metres_per_unit
    right_m, up_m, forward_m = offset_m
    poses[:, :3, 3] += poses[:, :3, :3] @ np.array([right_m, up_m, -forward_m])
    return poses


def camera_poses(matrices: np.ndarray) -> np.ndarray:
    """World matrices of cameras (..., 4, 4) without scale, shear and mirroring: view and up stay what they are."""
    back, up = matrices[..., :3, 2], matrices[..., :3, 1]
    right = np.cross(up, back)
    poses = np.zeros_like(matrices)
    with np.errstate(divide="ignore", invalid="ignore"):
        for column, axis in enumerate((right, np.cross(back, right), back)):
            poses[..., :3, column] = axis / np.linalg.norm(axis, axis=-1, keepdims=True)
    poses[..., 3] = matrices[..., 3]
    return poses
