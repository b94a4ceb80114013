"""A clip's depth maps as a scene: where the camera looked, what moves, and what stands still behind it."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ...geometry.cameras import Intrinsics
from ...monitor import Monitor
from ...scene.depth import DepthResult, Frames, Points
from ...scene.flow import Map
from ...scene.geometric.background import background_points
from ...scene.geometric.cameras import camera_poses, camera_rotations
from ...scene.geometric.horizon import Horizon, find_horizon, sky_mask
from ...scene.geometric.layout import View
from ...scene.in_frame import axis_ratio, frame_to_reference, subject_in_frame, without_rim
from ...scene.motion import MotionAnalysis, working_size
from ...scene.movers import pixel_boxes

SAMPLES = 48  # frames that the still background is told from
MIN_FRAMES = 5

_MOVES = "The camera moves through the scene. Its path is not known, so it is taken to stand still and the scene moves past it."


def scene_of(
    depth_m: Map,
    frames: Frames,
    motion: MotionAnalysis,
    intrinsics: Intrinsics,
    eye_height_m: float,
    monitor: Monitor,
) -> DepthResult:
    """The scene of steady depth maps (n, H, W) of frames (n, H, W, 3), metres along the viewing axis.

    A shot at rest, or brought to rest, gets one background for all frames (the median of what was seen of it, where nothing
    moved; the rest is filled from the rim and flagged as made up) and its movers before it. Of any other, every frame has all
    its points.
    """
    count, height, width = frames.shape[:3]
    horizon = _horizon(motion, frames, eye_height_m)
    work_height, work_width = working_size(height, width)
    k = intrinsics.scaled(work_width, work_height)
    pitch_deg = 0.0
    if horizon is not None and horizon.found_by != "default":
        pitch_deg = View(k, horizon.row, horizon.eye_height_m).pitch_deg
    rotations, _ = camera_rotations(motion.to_reference, k)
    poses, reference_pose = camera_poses(rotations, pitch_deg)
    assumptions = {
        "camera": "turns" if motion.is_static else "unknown, taken as still",
        "pitch_deg": pitch_deg,
        "horizon_found_by": horizon.found_by if horizon else "default",
    }
    warnings = () if motion.is_static else (_MOVES,)
    layered = motion.is_static and not motion.subject_stays and count >= MIN_FRAMES
    if not layered:
        return DepthResult(
            depth_m, poses, approximate=False, assumptions=assumptions, warnings=warnings
        )
    foreground = np.zeros((count, height, width), bool)
    for t in range(count):
        homography = frame_to_reference(motion.to_reference[t], frames[t], motion.labels[t])
        foreground[t] = without_rim(subject_in_frame(frames[t], motion.labels[t], homography))
        monitor.progress("depth: scene", t + 1, count)
    background = _background(depth_m, motion, rotations, k, reference_pose, monitor)
    return DepthResult(
        depth_m,
        poses,
        foreground=foreground,
        background=background,
        approximate=False,
        assumptions=assumptions,
        warnings=warnings,
    )


def _horizon(motion: MotionAnalysis, frames: Frames, eye_height_m: float) -> Horizon | None:
    if motion.plate is None:
        return None
    movers = len(motion.movers)
    boxes = np.stack([pixel_boxes(labels, movers) for labels in motion.labels], axis=1)
    return find_horizon(sky_mask(motion.plate), boxes, eye_height_m)


def _background(
    depth_m: Map,
    motion: MotionAnalysis,
    rotations: npt.NDArray[np.float64],
    k: Intrinsics,
    reference_pose: npt.NDArray[np.float64],
    monitor: Monitor,
) -> Points:
    assert motion.plate is not None
    assert motion.never_seen is not None
    height, width = motion.plate.shape[:2]
    kernel = np.ones((7, 7), np.uint8)
    chosen = np.unique(np.linspace(0, len(depth_m) - 1, SAMPLES).astype(int))
    seen = np.full((len(chosen), height, width), np.nan, np.float32)
    subjects = []
    for i, t in enumerate(chosen):
        homography = motion.to_reference[t]
        inverse = 1 / cv2.resize(depth_m[t], (width, height), interpolation=cv2.INTER_NEAREST)
        inverse *= axis_ratio(rotations[t], homography, k, height, width)
        outside = cv2.warpPerspective(
            np.zeros((height, width), np.uint8), homography, (width, height), borderValue=1
        )
        warped = cv2.warpPerspective(inverse.astype(np.float32), homography, (width, height))
        mover = cv2.dilate((motion.labels[t] > 0).astype(np.uint8), kernel) > 0
        still = (outside == 0) & ~mover
        seen[i][still] = warped[still]
        subjects.append(warped[motion.labels[t] == 1])
        monitor.check()
    known = np.isfinite(seen).any(0)
    inverse = np.zeros((height, width), np.float32)
    inverse[known] = np.nanmedian(seen[:, known], axis=0)
    inverse = _filled(inverse, known)
    subject = np.concatenate(subjects)
    pivot_m = 1 / float(np.median(subject if len(subject) else inverse))
    never_seen = motion.never_seen | ~known
    return background_points(motion.plate, never_seen, inverse, None, k, reference_pose, pivot_m)


def _filled(inverse: Map, known: npt.NDArray[np.bool_]) -> Map:
    """Gaps take the farther of what is around: things in front end there, what is behind them goes on."""
    if known.all():
        return inverse
    _, nearest = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    rim = np.where(known, inverse, np.inf).astype(np.float32)
    far = cv2.erode(rim, np.ones((9, 9), np.uint8))
    of_label = np.zeros(nearest.max() + 1, np.float32)
    of_label[nearest[known]] = np.minimum(far, inverse)[known]
    gaps = cv2.blur(np.where(known, inverse, of_label[nearest]), (15, 15))
    return np.where(known, inverse, gaps)
