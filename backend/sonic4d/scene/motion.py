"""What moves in a shot and how the camera does: the analysis that depth and source finding share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ..monitor import Monitor
from . import stabilise
from .depth import Frames
from .flow import Image, Map, homography_flow, neighbour_flows
from .mattes import clean_mask, subject_mattes
from .movers import Labels, Mover, linked, measure
from .plate import Mask, clean_plate
from .trajectories import MotionScore, motion_score

__all__ = ["MotionAnalysis", "Mover", "analyse_motion"]

WORK_LONG_SIDE = 640
FLOW_LONG_SIDE = 320
MIN_SHORT_SIDE = 64  # of the flow picture
WORTH_WARPING_PX = 0.35
STAGES_PER_FRAME = 14
NOW_MOVING = 0.5
MAX_STAYING = 0.75  # of all it ever covers, the share that a subject may cover at a time


@dataclass(frozen=True)
class MotionAnalysis:
    """Everything lies in the working picture (longer side 640), brought to rest on the middle frame.

    movers: moving things, the largest first. is_static: the camera is at rest, or turns so little that the
    shot could be stabilised; otherwise plate and never_seen are None and labels follow each frame.
    to_reference: (n, 3, 3) homographies working picture of each frame -> stabilised picture (OpenCV
    positions: first pixel centre at 0, 0). plate: (h, w, 3) RGB background; never_seen: (h, w) bool, where
    it is inpainted. labels: (n, h, w) uint8, 0 or 1 + index into `movers`. inlier_share: how well
    the background obeys one homography, 0..1; near 0 if there is no texture to follow.
    """

    movers: tuple[Mover, ...]
    is_static: bool
    to_reference: npt.NDArray[np.float64]
    labels: Labels
    plate: Image | None
    never_seen: npt.NDArray[np.bool_] | None
    inlier_share: float

    @property
    def subject_stays(self) -> bool:
        """Whether the largest mover stays in its place, like a talking head: half of it would end up in the plate."""
        covered = self.labels == 1
        areas = covered.sum(axis=(1, 2))
        ever = covered.any(axis=0).sum()
        return bool(areas.any() and np.median(areas[areas > 0]) > MAX_STAYING * ever)


def analyse_motion(frames: Frames, monitor: Monitor) -> MotionAnalysis:
    """Analyse one continuous shot. frames: (n, H, W, 3) uint8 RGB, n >= 1.

    Raises ValueError for another shape, Cancelled when the monitor says so.
    """
    if frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape or frames.dtype != np.uint8:
        raise ValueError(f"frames of shape (n, H, W, 3) uint8 are expected, not {frames.shape}")
    count = len(frames)
    done = 0

    def tick() -> None:
        nonlocal done
        done = min(done + 1, STAGES_PER_FRAME * count - 1)
        monitor.progress("motion", done, STAGES_PER_FRAME * count)

    work = working_frames(frames, tick)
    height, width = work.shape[1:3]
    scale = FLOW_LONG_SIDE / WORK_LONG_SIDE
    flow_size = (
        max(round(width * scale), MIN_SHORT_SIDE),
        max(round(height * scale), MIN_SHORT_SIDE),
    )
    small = [cv2.resize(frame, flow_size, interpolation=cv2.INTER_AREA) for frame in work]
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in small]
    homographies, share = stabilise.register_to_middle(grey, tick)
    obeying = float(np.percentile(share, 20))
    if stabilise.is_stable(homographies, share, flow_size[1], flow_size[0]):
        to_reference = stabilise.rescaled(homographies, width / flow_size[0], height / flow_size[1])
        analysis = _analyse_at_rest(work, to_reference, flow_size, tick)
    else:
        analysis = _analyse_moving(work, small, grey, tick)
    labels, to_reference, against_camera, plate, never_seen = analysis
    movers = measure(labels, to_reference, against_camera, tick)
    monitor.progress("motion", STAGES_PER_FRAME * count, STAGES_PER_FRAME * count)
    return MotionAnalysis(
        movers, plate is not None, to_reference, labels, plate, never_seen, obeying
    )


def working_size(height: int, width: int) -> tuple[int, int]:
    """(height, width) of the working picture: longer side 640, at least 128, in steps of 4."""
    scale = WORK_LONG_SIDE / max(height, width)
    sides = (max(round(side * scale / 4) * 4, 2 * MIN_SHORT_SIDE) for side in (height, width))
    return tuple(sides)


def working_frames(frames: Frames, tick: Callable[[], None]) -> Frames:
    height, width = working_size(*frames.shape[1:3])
    result = np.empty((len(frames), height, width, 3), np.uint8)
    for t, frame in enumerate(frames):
        result[t] = cv2.resize(
            np.ascontiguousarray(frame), (width, height), interpolation=cv2.INTER_AREA
        )
        tick()
    return result


_Parts = tuple[Labels, npt.NDArray[np.float64], Map, Image | None, npt.NDArray[np.bool_] | None]


def _analyse_at_rest(
    work: Frames,
    to_reference: npt.NDArray[np.float64],
    flow_size: tuple[int, int],
    tick: Callable[[], None],
) -> _Parts:
    count, height, width = work.shape[:3]
    valid = np.ones((count, height, width), np.uint8)
    if stabilise.largest_shift(to_reference, height, width) > WORTH_WARPING_PX:
        work, valid = _brought_to_rest(work, to_reference, tick)
    else:
        to_reference = np.tile(np.eye(3), (count, 1, 1))
    small = [cv2.resize(frame, flow_size, interpolation=cv2.INTER_AREA) for frame in work]
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in small]
    forward, backward = neighbour_flows(grey, tick)
    score = motion_score(small, forward, backward, None, tick)
    for t in range(count):
        outside = cv2.resize(valid[t], flow_size, interpolation=cv2.INTER_NEAREST) == 0
        score.now[t][outside] = score.subject[t][outside] = 0
        score.ever[t][outside] = 1
    flows = forward, backward
    plate, never_seen = clean_plate(work, score.ever, None, tick)
    for frame, inside in zip(work, valid, strict=True):
        frame[inside == 0] = plate[inside == 0]
        tick()
    masks = subject_mattes(work, plate, never_seen, score.subject, flows, tick)
    # Now that the subjects are known the plate gets rid of their last traces, and they of its.
    plate, never_seen = clean_plate(work, score.ever, masks, tick)
    masks = subject_mattes(work, plate, never_seen, score.subject, flows, tick)
    return (
        linked(masks, tick),
        to_reference,
        _at_every_frame(forward, backward),
        plate,
        never_seen > 0,
    )


def _brought_to_rest(
    work: Frames, to_reference: npt.NDArray[np.float64], tick: Callable[[], None]
) -> tuple[Frames, Mask]:
    height, width = work.shape[1:3]
    inside = np.ones((height, width), np.uint8)
    warped, valid = np.empty_like(work), np.empty(work.shape[:3], np.uint8)
    for t, homography in enumerate(to_reference):
        warped[t] = cv2.warpPerspective(
            work[t], homography, (width, height), borderMode=cv2.BORDER_REPLICATE
        )
        covered = cv2.warpPerspective(inside, homography, (width, height))
        valid[t] = cv2.erode(covered, np.ones((5, 5), np.uint8), borderValue=1)
        tick()
    return warped, valid


def _analyse_moving(
    work: Frames, small: list[Image], grey: list[Image], tick: Callable[[], None]
) -> _Parts:
    count, height, width = work.shape[:3]
    forward, backward = neighbour_flows(grey, tick)
    camera = stabilise.neighbour_homographies(grey, forward)
    score: MotionScore = motion_score(small, forward, backward, camera, tick)
    masks = np.zeros((count, height, width), np.uint8)
    for t in range(count):
        masks[t] = clean_mask(cv2.resize(score.now[t], (width, height)) > NOW_MOVING)
    for t, homography in enumerate(camera):
        inverse = np.linalg.inv(homography)
        forward[t] -= homography_flow(homography, *grey[0].shape)
        backward[t] -= homography_flow(inverse, *grey[0].shape)
    still = np.tile(np.eye(3), (count, 1, 1))
    return linked(masks, tick), still, _at_every_frame(forward, backward), None, None


def _at_every_frame(forward: Map, backward: Map) -> Map:
    """One flow per frame; the last frame has none, so it keeps the one that led to it."""
    if not len(forward):
        return np.zeros((1, *forward.shape[1:]), np.float32)
    return np.concatenate([forward, -backward[-1:]])
