"""The geometric depth expert: from the motion analysis of a shot to its depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...geometry.cameras import Intrinsics
from ...monitor import Monitor
from ..depth import DepthResult, Frames
from ..flow import Map
from ..in_frame import axis_ratio, frame_to_reference, in_frame, subject_in_frame, without_rim
from ..motion import MotionAnalysis, working_size
from ..movers import pixel_boxes
from .background import background_points
from .cameras import camera_poses, camera_rotations
from .horizon import Horizon, find_horizon, sky_mask
from .layout import View, background_layout, flat_relief, ground_probability, simplified
from .subjects import inverse_distances, painted

MOVE_LIMIT_DEG = 20.0
FLAT_MOVE_LIMIT_DEG = 8.0
MIN_FRAMES = 5
MIN_GROUND_CLARITY = 0.5
MAX_RESIDUAL_PX = 6.0  # of the working picture


_MOVES = (
    "The camera moves through the scene, or there is too little texture to follow it, so the picture is"
    " shown on a leaning board. Keep camera moves within 8 degrees, or give depth maps of another tool: --depth PATH."
)
_STAYS = (
    "The subject hardly moves, so what is behind it is never seen, and the picture is shown on a leaning board."
    " Keep camera moves within 8 degrees, or give depth maps of another tool: --depth PATH."
)
_SHORT = (
    "The clip is too short to tell what moves in it, so the picture is shown on a leaning board. Keep"
    " camera moves within 8 degrees, or give depth maps of another tool: --depth PATH."
)
_NO_GROUND = (
    "No ground can be told from the rest of the picture, so its background is shown on a leaning board."
    " Keep camera moves within 8 degrees, or give depth maps of another tool: --depth PATH."
)
_NOT_A_TURN = (
    "The camera doesn't just turn, it also travels or zooms a little: subjects may drift slightly against"
    " their background."
)


@dataclass(frozen=True)
class _Background:
    """inverse: (h, w) inverse depth at working size; view: None for a leaning board, then `warning` says why."""

    inverse: Map
    view: View | None = None
    horizon: Horizon | None = None
    warning: str = ""


def geometric_depth(
    frames: Frames,
    motion: MotionAnalysis,
    intrinsics: Intrinsics,
    eye_height_m: float,
    monitor: Monitor,
) -> DepthResult:
    """Depth of one continuous shot without a learned model.

    frames: (n, H, W, 3) RGB; motion: `analyse_motion` of the same frames; intrinsics: of the frames;
    eye_height_m: the camera's height over ground, which sets the scale unless people who walk about tell it.

    A shot that stands still, or could be brought to rest, and whose subject leaves its place, gets one background for all frames (soft stixels
    over a ground plane after Badino, Franke and Pfeiffer 2009), its subjects before it where they touch the
    ground (Hoiem, Efros and Hebert 2008), and bears camera moves of 20 degrees. The camera stands at the
    origin, its pitch follows from the horizon, the stabilised picture has no roll. Everything else becomes
    a leaning board that isn't metric, bears 8 degrees and comes with a warning. Raises Cancelled.
    """
    count, height, width = frames.shape[:3]
    work_height, work_width = working_size(height, width)
    k = intrinsics.scaled(work_width, work_height)
    layered = motion.is_static and not motion.subject_stays
    background = _background(motion, layered, k, eye_height_m, monitor)
    view = background.view
    rotations, residual_px = camera_rotations(motion.to_reference, k)
    poses, reference_pose = camera_poses(rotations, view.pitch_deg if view else 0.0)
    warnings = [background.warning] if background.warning else []
    assumptions = {
        "horizontal_fov_deg": intrinsics.horizontal_fov_deg,
        "relief": "layout" if view else "board",
        "camera": "turns" if motion.is_static else "unknown, taken as still",
    }
    if view:
        assumptions["eye_height_m"] = view.eye_height_m
        assumptions["eye_height_found_by"] = background.horizon.eye_height_found_by
        assumptions["horizon_found_by"] = background.horizon.found_by
        assumptions["pitch_deg"] = view.pitch_deg
    if residual_px > MAX_RESIDUAL_PX:
        warnings.append(_NOT_A_TURN)

    labels = motion.labels if layered else np.zeros_like(motion.labels)
    ahead = inverse_distances(labels, background.inverse, view, monitor.check)
    depth_m = np.empty((count, height, width), np.float32)
    foreground = np.zeros((count, height, width), bool)
    for t in range(count):
        in_front = painted(labels[t], ahead[:, t], view, k.fy)
        to_reference = frame_to_reference(motion.to_reference[t], frames[t], labels[t])
        in_front = in_frame(in_front, to_reference, height, width)
        mask = subject_in_frame(frames[t], labels[t], to_reference) & (in_front > 0)
        inverse = in_frame(background.inverse, to_reference, height, width)
        inverse = np.where(mask, in_front, inverse)
        depth_m[t] = axis_ratio(rotations[t], to_reference, k, height, width) / inverse
        foreground[t] = without_rim(mask)
        monitor.progress("depth", t + 1, count)
    points = None
    if layered:
        pivot_m = float(np.median(_pivot_depths(ahead, background.inverse)))
        points = background_points(
            motion.plate, motion.never_seen, background.inverse, view, k, reference_pose, pivot_m
        )
    return DepthResult(
        depth_m,
        poses,
        foreground=foreground if layered else None,
        background=points,
        metric=view is not None,
        move_limit_deg=MOVE_LIMIT_DEG if view else FLAT_MOVE_LIMIT_DEG,
        assumptions=assumptions,
        warnings=tuple(warnings),
    )


def _background(
    motion: MotionAnalysis, layered: bool, k: Intrinsics, eye_height_m: float, monitor: Monitor
) -> _Background:
    board = flat_relief(k.height, k.width)
    if not motion.is_static:
        return _Background(board, warning=_MOVES)
    if not layered:
        return _Background(board, warning=_STAYS)
    if len(motion.labels) < MIN_FRAMES:
        return _Background(board, warning=_SHORT)
    sky = sky_mask(motion.plate)
    movers = len(motion.movers)
    boxes = np.stack([pixel_boxes(labels, movers) for labels in motion.labels], axis=1)
    horizon = find_horizon(sky, boxes, eye_height_m)
    guide = simplified(motion.plate)
    monitor.check()
    ground, clarity = ground_probability(guide, horizon.row, sky)
    if clarity < MIN_GROUND_CLARITY:
        return _Background(board, warning=_NO_GROUND)
    view = View(k, horizon.row, horizon.eye_height_m)
    inverse = background_layout(motion.plate, guide, view, ground, sky)
    monitor.check()
    return _Background(inverse, view, horizon)


def _pivot_depths(ahead: npt.NDArray[np.float64], background: Map) -> npt.NDArray[np.float64]:
    """What a camera may be expected to travel around: the largest mover, else the background."""
    subject = ahead[:1]
    return 1 / (subject[np.isfinite(subject)] if subject.size else background)
