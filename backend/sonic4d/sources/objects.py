"""From what an expert finds on keyframes to things that are followed through the clip, each with its gaps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..experts.protocols import Detection, TrackingModel
from ..monitor import Monitor
from ..scene.depth import Frames
from .appearance import Appearance
from .grounding import overlap

Array = npt.NDArray[np.float64]
Found = dict[int, list[Detection]]  # keyframe -> what was found there

# A detection belongs to a thing whose followed box it overlaps so much (intersection over union), or, after the thing
# was out of sight, if it looks so much like it (`Appearance.similarity`).
SAME_BOX = 0.3
SAME_LOOKS = 0.5
MAX_THINGS = 3
# What is found less surely than this share of the surest is not worth following.
WORTH_FOLLOWING = 0.5
# What is only followed, not found again on the keyframe after, is worth this share of its confidence.
UNCONFIRMED = 0.5


@dataclass(frozen=True)
class Thing:
    """Something found by words: boxes (n, 4), NaN rows where it isn't seen, and confidence (n,), 0 there.

    score: mean confidence of the detections over all keyframes, 0 for those without one. on: the keyframes it was found on.
    """

    boxes: Array
    confidence: Array
    score: float
    on: tuple[int, ...]
    label: str


def things(frames: Frames, found: Found, track: TrackingModel, monitor: Monitor) -> list[Thing]:
    """The things that the detections are of, the surest first; each detection belongs to one of them at most.

    The surest detection that is left starts a thing, which is followed to both ends of the clip (frames (n, H, W, 3)).
    """
    surest = max((d.confidence for there in found.values() for d in there), default=0.0)
    left = {
        index: [d for d in there if d.confidence >= WORTH_FOLLOWING * surest]
        for index, there in found.items()
    }
    result: list[Thing] = []
    while len(result) < MAX_THINGS and any(left.values()):
        start = max(left, key=lambda index: max((d.confidence for d in left[index]), default=-1.0))
        thing = _follow(frames, left, start, track, monitor)
        for index, there in left.items():
            there[:] = [d for d in there if overlap(d.box, thing.boxes[index]) < SAME_BOX]
        result.append(thing)
    return sorted(result, key=lambda thing: -thing.score)


def _follow(
    frames: Frames, left: Found, start: int, track: TrackingModel, monitor: Monitor
) -> Thing:
    """The thing of the surest detection on the keyframe `start`."""
    n = len(frames)
    boxes, confidence = np.full((n, 4), np.nan), np.zeros(n)
    first = max(left[start], key=lambda detection: detection.confidence)
    looks = Appearance.of(frames[start], _pixels(first.box, frames))
    taken = {start: first}
    boxes[start], confidence[start] = first.box, first.confidence
    later = sorted(index for index in left if index >= start)
    earlier = sorted((index for index in left if index <= start), reverse=True)
    quiet = replace(monitor, report=lambda event: None)  # one bar a thing, not one a stretch
    done = 0
    for order in (later, earlier):
        at: Detection | None = first
        for here, there in zip(order, order[1:], strict=False):
            monitor.progress("tracking", done, len(left), first.label)
            done += 1
            stretch = slice(min(here, there), max(here, there) + 1)
            backwards = there < here
            part = frames[stretch][::-1] if backwards else frames[stretch]
            between, sure, at = _stretch(part, at, left[there], looks, track, quiet)
            if at is not None and _is(at, left[there]):
                taken[there] = at
            step = -1 if backwards else 1
            boxes[stretch][::step][1:] = between[1:]
            confidence[stretch][::step][1:] = sure[1:]
    monitor.progress("tracking", len(left), len(left), first.label)
    score = sum(detection.confidence for detection in taken.values()) / len(left)
    return Thing(boxes, confidence, score, tuple(sorted(taken)), first.label)


def _stretch(
    part: Frames,
    here: Detection | None,
    there: list[Detection],
    looks: Appearance,
    track: TrackingModel,
    monitor: Monitor,
) -> tuple[Array, Array, Detection | None]:
    """From one keyframe, the first of `part`, to the next, the last of it.

    here: the thing on the first (None: out of sight); there: what was found on the last. Returns boxes (m, 4), confidence (m,) and
    the thing on the last: a detection, else what the tracker says, else None.
    """
    m = len(part)
    ahead = np.full((m, 4), np.nan), np.zeros(m)
    if here is not None and m == 2:
        ahead[0][:], ahead[1][:] = here.box, here.confidence * UNCONFIRMED
        if _match(ahead[0][-1], there, part[-1], looks) is None:
            ahead = track(part, tuple(here.box), 0, monitor)
    elif here is not None:
        ahead = track(part, tuple(here.box), 0, monitor)
    match = _match(ahead[0][-1], there, part[-1], looks)
    if match is None:
        boxes, confidence = ahead
        lost = np.isnan(boxes[-1]).any()
        at = None if lost else Detection(boxes[-1], float(confidence[-1]) * UNCONFIRMED)
        return boxes, confidence * UNCONFIRMED, at
    behind = ahead
    if m > 2:
        behind = track(part, tuple(match.box), m - 1, monitor)
    boxes, confidence = _blended(ahead, behind)
    boxes[-1], confidence[-1] = match.box, match.confidence
    return boxes, confidence, match


def _match(
    followed: Array, there: list[Detection], image: npt.NDArray[np.uint8], looks: Appearance
) -> Detection | None:
    """Which of the detections on a keyframe is the thing: by its followed box, or by its looks where that is NaN."""
    if not there:
        return None
    if np.isfinite(followed).all():
        values, least = [overlap(d.box, followed) for d in there], SAME_BOX
    else:
        values = [looks.similarity(image, _pixels(d.box, image[None])) for d in there]
        least = SAME_LOOKS
    best = int(np.argmax(values))
    return there[best] if values[best] >= least else None


def _blended(ahead: tuple[Array, Array], behind: tuple[Array, Array]) -> tuple[Array, Array]:
    """Both ways of following as one: their mean, weighted by nearness to the keyframe each came from, where they agree; else
    the nearer keyframe's; the one that saw it where the other didn't; NaN where neither did."""
    m = len(ahead[0])
    nearness = np.linspace(1, 0, m)
    boxes, confidence = np.full((m, 4), np.nan), np.zeros(m)
    for i, weight in enumerate(nearness):
        a, b = ahead[0][i], behind[0][i]
        if np.isfinite(a).all() and np.isfinite(b).all() and overlap(a, b) >= SAME_BOX:
            boxes[i] = weight * a + (1 - weight) * b
            confidence[i] = max(ahead[1][i], behind[1][i])
        else:
            nearer, farther = (ahead, behind) if weight >= 0.5 else (behind, ahead)
            seen = nearer if np.isfinite(nearer[0][i]).all() else farther
            boxes[i], confidence[i] = seen[0][i], seen[1][i]
    return boxes, confidence


def _is(detection: Detection, there: list[Detection]) -> bool:
    return any(detection is other for other in there)


def _pixels(box: Array, frames: Frames) -> Array:
    height, width = frames.shape[1:3]
    return box * [width, height, width, height]
