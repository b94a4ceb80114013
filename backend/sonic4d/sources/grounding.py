"""Asking a grounding expert about a clip: what for, on which frames, and which answers mean the same thing."""

from __future__ import annotations

import math
from fractions import Fraction

import cv2
import numpy as np
import numpy.typing as npt

from ..experts.protocols import Detection, GroundingModel
from ..experts.running import with_less_memory
from ..monitor import Monitor
from ..scene.depth import Frames

Array = npt.NDArray[np.float64]

SEPARATOR = ";"
MAX_WORDS = 200  # characters
# Boxes that overlap more than this (intersection over union) show the same thing.
SAME_THING = 0.5
MAX_DETECTIONS = 5  # in one picture
PICTURE_SIZES = (1.0, 0.7, 0.5)  # what is tried one after the other where memory doesn't suffice


def split_words(text: str | None) -> tuple[str, ...]:
    """What sounds, one thing each: "a dog; a car" -> ("a dog", "a car"). Naming a thing twice asks for two of them."""
    words = (" ".join(part.split()) for part in (text or "").split(SEPARATOR))
    return tuple(part[:MAX_WORDS] for part in words if part)


def keyframes(count: int, rate: Fraction, interval_s: float, step: int | None = None) -> list[int]:
    """The frames to ask about, the first and the last among them: every `step`-th at least, else one every interval_s."""
    step = step or max(round(interval_s * float(rate)), 1)
    spans = max(math.ceil((count - 1) / step), 1)
    return sorted({round(i * (count - 1) / spans) for i in range(spans + 1)})


def detections(
    frames: Frames,
    indices: list[int],
    words: str | None,
    model: GroundingModel,
    monitor: Monitor,
) -> dict[int, list[Detection]]:
    """What the model finds on each of the frames `indices`, in smaller pictures where memory doesn't suffice; boxes that can't
    be are left out."""
    found = {}
    sizes = list(PICTURE_SIZES)
    for done, index in enumerate(indices):
        monitor.progress("grounding", done, len(indices), words or "")

        def ask(size: float, index: int = index) -> list[Detection]:
            while sizes[0] > size:
                del sizes[0]  # what was too much for one picture is too much for the next
            return model(_scaled(frames[index], size), words, monitor)

        answers = with_less_memory(tuple(sizes), ask, _describe, monitor)
        found[index] = distinct([answer for answer in answers if _possible(answer)])
    monitor.progress("grounding", len(indices), len(indices), words or "")
    return found


def _scaled(frame: npt.NDArray[np.uint8], size: float) -> npt.NDArray[np.uint8]:
    frame = np.ascontiguousarray(frame)
    if size == 1:
        return frame
    return cv2.resize(frame, None, fx=size, fy=size, interpolation=cv2.INTER_AREA)


def _describe(size: float) -> str:
    return "whole pictures" if size == 1 else f"pictures of {size:.0%} of their size"


def distinct(found: list[Detection]) -> list[Detection]:
    """The best detections, one for each thing (greedy non-maximum suppression)."""
    kept: list[Detection] = []
    for detection in sorted(found, key=lambda detection: -detection.confidence):
        if all(overlap(detection.box, other.box) < SAME_THING for other in kept):
            kept.append(detection)
    return kept[:MAX_DETECTIONS]


def overlap(a: Array, b: Array) -> float:
    """Intersection over union of two boxes (4,); 0 where one is NaN."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = float(np.maximum(high - low, 0).prod())
    union = float((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod()) - shared
    return shared / union if union > 0 and math.isfinite(union) else 0.0


def _possible(detection: Detection) -> bool:
    box = detection.box
    inside = np.isfinite(box).all() and (box >= 0).all() and (box <= 1).all()
    return bool(inside and (box[2:] > box[:2]).all() and 0 <= detection.confidence <= 1)
