"""Following a box through a clip: CSRT proposes, the object's looks decide whether it is there, a search finds it again."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import cv2
import numpy as np
import numpy.typing as npt

from ..monitor import Monitor
from ..scene.depth import Frames
from ..scene.motion import working_size
from .appearance import Appearance, Array, Image

# Similarity to the stored views: lost below, found again above; a view between the two of LEARN is worth storing.
LOST = 0.5
FOUND = 0.72
LEARN = (0.6, 0.88)
# Share of the points in the box that have to move with it before its view is trusted enough to be stored.
LEARN_SUPPORT = 0.6
# A lost object is searched this much farther around its last place every frame, as a share of the picture's width.
SEARCH_SPEED = 0.04
# A box shrinks with the visible part before the object is hidden: its size is the median of this many frames.
USUAL_SIZE_FRAMES = 25
# An object that was found again is still searched for a better place this long, and nothing is learned from it.
SETTLED_FRAMES = 12
BETTER = 0.02
# Views stored this shortly before the object was lost may show what hid it.
RECENT_VIEWS = 3
MIN_SIDE_PX = 6


def track_box(
    frames: Frames, box: tuple[float, float, float, float], frame_index: int, monitor: Monitor
) -> tuple[Array, npt.NDArray[np.float64]]:
    """Follow `box` of frame `frame_index` forwards and backwards through the clip.

    frames (n, H, W, 3) RGB; box x0, y0, x1, y1 as fractions of the picture. Returns boxes (n, 4), NaN rows where the object
    is hidden, outside the picture or not recognised, and confidence (n,) in 0..1: the similarity of what the box shows to
    stored views of the object, 0 where absent. The tracker is CSRT (Lukežič et al., CVPR 2017).
    """
    n, height, width = frames.shape[:3]
    size = working_size(height, width)[::-1]
    to_work = np.array([*size, *size], dtype=np.float64)
    boxes = np.full((n, 4), np.nan)
    confidence = np.zeros(n)
    done = 0
    for order in (range(frame_index, n), range(frame_index, -1, -1)):
        images = (cv2.resize(frames[i], size, interpolation=cv2.INTER_AREA) for i in order)
        steps = _follow(images, np.asarray(box) * to_work)
        for i, (found, similarity) in zip(order, steps, strict=True):
            monitor.progress("tracking", done, n + 1)
            done += 1
            if found is not None:
                boxes[i] = np.clip(found / to_work, 0.0, 1.0)
                confidence[i] = similarity
    return boxes, confidence


def _follow(images: Iterator[Image], box: Array) -> Iterator[tuple[Array | None, float]]:
    """Box and similarity in each picture, the first of which shows the object at `box`; None where it is absent."""
    before = next(images)
    looks = Appearance.of(before, box)
    tracker: cv2.Tracker | None = _new_tracker(before, box)
    yield box, 1.0
    sides = deque([box[2:] - box[:2]], maxlen=USUAL_SIZE_FRAMES)
    absent_for, seen_for = 0, SETTLED_FRAMES
    for image in images:
        found, similarity = None, 0.0
        if tracker is not None:
            found, similarity = _update(tracker, image, looks)
            if found is None or similarity < LOST:
                tracker, found = None, None
                looks.forget(RECENT_VIEWS)
        if seen_for < SETTLED_FRAMES or tracker is None:
            absent_for += tracker is None
            whole = _around((box[:2] + box[2:]) / 2, np.median(sides, axis=0))
            better, score = _search(image, whole, absent_for, looks)
            if better is not None and score > similarity + (found is not None) * BETTER:
                found, similarity = better, score
                tracker = _new_tracker(image, found)
        elif LEARN[0] < similarity < LEARN[1] and _moves_along(before, image, box, found):
            looks.learn(image, found)
        before = image
        if found is None:
            seen_for = 0
            yield None, 0.0
        else:
            box, absent_for, seen_for = found, 0, seen_for + 1
            if seen_for > SETTLED_FRAMES:
                sides.append(box[2:] - box[:2])
            yield box, similarity


def _around(centre: Array, side: Array) -> Array:
    return np.concatenate([centre - side / 2, centre + side / 2])


def _new_tracker(image: Image, box: Array) -> cv2.Tracker:
    tracker = cv2.TrackerCSRT_create()
    size = image.shape[1::-1]
    corner = np.clip(np.round(box[:2]), 0, np.array(size) - 2).astype(int)
    side = np.maximum(np.minimum(np.round(box[2:]), size).astype(int) - corner, 2)
    tracker.init(image, (*corner.tolist(), *side.tolist()))
    return tracker


def _update(tracker: cv2.Tracker, image: Image, looks: Appearance) -> tuple[Array | None, float]:
    ok, (x, y, w, h) = tracker.update(image)
    box = np.array([x, y, x + w, y + h], dtype=np.float64)
    if not ok or not _in_picture(image, box):
        return None, 0.0
    return box, looks.similarity(image, box)


def _search(
    image: Image, last: Array, absent_for: int, looks: Appearance
) -> tuple[Array | None, float]:
    reach = last[2:] - last[:2] + SEARCH_SPEED * absent_for * image.shape[1]
    box = looks.search(image, last, reach)
    similarity = looks.similarity(image, box) if box is not None else 0.0
    return (box, similarity) if similarity > FOUND else (None, 0.0)


def _in_picture(image: Image, box: Array) -> bool:
    """Whether at least half of the box lies in the picture, and it is not too small to be recognised."""
    visible = np.minimum(box[2:], image.shape[1::-1]) - np.maximum(box[:2], 0)
    large_enough = (visible >= MIN_SIDE_PX).all()
    return bool(large_enough and visible.prod() >= 0.5 * (box[2:] - box[:2]).prod())


def _moves_along(before: Image, after: Image, old: Array, new: Array) -> bool:
    """Whether optical flow carries most points of the old box along with the box, and back again."""
    gray = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (before, after)]
    across = np.linspace(0.1, 0.9, 8)
    unit = np.stack(np.meshgrid(across, across), axis=-1).reshape(-1, 2)
    points = (old[:2] + unit * (old[2:] - old[:2])).astype(np.float32)
    expected = new[:2] + unit * (new[2:] - new[:2])
    moved, ok, _ = cv2.calcOpticalFlowPyrLK(*gray, points, None, winSize=(11, 11))
    back, ok_back, _ = cv2.calcOpticalFlowPyrLK(*gray[::-1], moved, None, winSize=(11, 11))
    tolerance = 1.0 + 0.08 * np.linalg.norm(new[2:] - new[:2])
    good = (ok & ok_back).ravel() > 0
    good &= np.linalg.norm(back - points, axis=1) < 1.0
    good &= np.linalg.norm(moved - expected, axis=1) < tolerance
    return bool(good.mean() > LEARN_SUPPORT)
