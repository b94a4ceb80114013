"""Who ever moves: motion against the camera, remembered along trajectories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from .flow import Image, Map, homography_flow, length, warp_along

MEMORY_DECAY = 0.99  # per frame
STILL_PX = 0.4
AT_THE_ENDS, ENDS_DECAY = 0.35, 0.95
CAMERA_AT_REST_PX = 0.3


@dataclass(frozen=True)
class MotionScore:
    """(n, h, w) float32 in 0..1 each. `now`: moves in this frame. `subject`: belongs to something that
    moves before as well as after. `ever`: moves before or after (what a plate should avoid)."""

    now: Map
    subject: Map
    ever: Map


def motion_score(
    pictures: Sequence[Image],
    forward: Map,
    backward: Map,
    camera: npt.NDArray[np.float64] | None,
    tick: Callable[[], None],
) -> MotionScore:
    """Score every pixel of n RGB pictures at flow size.

    `camera`: (n - 1, 3, 3) homographies of the background to the next picture; None if it is at rest.
    """
    count, (height, width) = len(pictures), pictures[0].shape[:2]
    now = np.zeros((count, height, width), np.float32)
    sure, from_before = np.zeros_like(now), np.zeros((height, width), np.float32)
    held_forward = np.zeros((count - 1, height, width), bool)
    held_backward = np.zeros_like(held_forward)
    for t in range(count - 1):
        a, b = pictures[t], pictures[t + 1]
        there = back = None
        if camera is not None:
            there = homography_flow(camera[t], height, width)
            back = homography_flow(np.linalg.inv(camera[t]), height, width)
        leaves, arrives = _moves(a, b, forward[t], there), _moves(b, a, backward[t], back)
        # What a fast subject is about to cover, or has just uncovered, seems to move too, but on one
        # side in time only: that must not be remembered.
        one_sided = leaves * _slow(forward[t])
        sure[t] = np.maximum(np.minimum(now[t], leaves) if t else leaves, one_sided)
        sure[t] = np.maximum(sure[t], from_before)
        from_before = arrives * _slow(backward[t])
        now[t] = np.maximum(now[t], leaves)
        now[t + 1] = sure[t + 1] = arrives
        held_forward[t] = _returns(forward[t], backward[t])
        held_backward[t] = _returns(backward[t], forward[t])
        tick()
    past, future = sure.copy(), sure.copy()

    def carried(score: Map, t: int, since: int) -> Map:
        """A score of the frame before (since -1) or after (1), brought to frame t."""
        if since < 0:
            return warp_along(score[t - 1], backward[t - 1]) * held_backward[t - 1]
        return warp_along(score[t + 1], forward[t]) * held_forward[t]

    onwards, backwards = range(1, count), range(count - 2, -1, -1)
    for t in onwards:
        past[t] += (1 - sure[t]) * MEMORY_DECAY * carried(past, t, -1)
    for t in backwards:
        future[t] += (1 - sure[t]) * MEMORY_DECAY * carried(future, t, 1)
    ever = (past + future) / 2
    # The clip's ends hide what came before and comes after: who rests there is still a subject.
    future[-1] = np.maximum(future[-1], AT_THE_ENDS * past[-1])
    past[0] = np.maximum(past[0], AT_THE_ENDS * future[0])
    for t in backwards:
        future[t] = np.maximum(future[t], ENDS_DECAY * carried(future, t, 1))
    for t in onwards:
        past[t] = np.maximum(past[t], ENDS_DECAY * carried(past, t, -1))
    return MotionScore(now, np.maximum(now, np.sqrt(past * future)), ever)


def _moves(a: Image, b: Image, flow: Map, camera: Map | None) -> Map:
    """How surely the pixels of `a` move against the camera on their way to `b`, cut to edges.

    Flow alone spreads beyond outlines; so the picture must also change where the camera alone can't
    explain it, and the flow must explain that change.
    """
    against_camera, expected = flow, b
    if camera is not None:
        against_camera = flow - camera
        if np.abs(camera).max() >= CAMERA_AT_REST_PX:
            expected = warp_along(b, camera)
    unexplained = _difference(a, expected)
    left_by_flow = _difference(a, warp_along(b, flow))
    fast = np.clip((length(against_camera) - STILL_PX) / STILL_PX, 0, 1)
    changes = np.clip((unexplained - 1.5 * np.median(unexplained) - 2) / 4, 0, 1)
    explained = np.clip((unexplained / (left_by_flow + 1) - 1.1) / 0.4, 0, 1)
    score = cv2.ximgproc.guidedFilter(a, (fast * changes * explained).astype(np.float32), 6, 40.0)
    return np.clip(score, 0, 1)


def _difference(a: Image, b: Image) -> Map:
    return cv2.blur(cv2.absdiff(a, b).sum(2, dtype=np.float32), (5, 5))


def _slow(flow: Map) -> Map:
    """1 below 1 pixel per frame, 0 above 2."""
    return np.clip(2 - length(flow), 0, 1)


def _returns(there: Map, back: Map) -> npt.NDArray[np.bool_]:
    """Where going there and back leads to the start (Sundaram, Brox and Keutzer 2010)."""
    return length(there + warp_along(back, there)) < STILL_PX + 0.05 * length(there)
