"""Boxes in the answers of vision-language models, and the pictures they refer to. Needs no torch."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]  # (H, W, 3) RGB
Box = tuple[float, float, float, float]  # x0, y0, x1, y1 as fractions of the picture

MAX_TEXT = 8000  # characters of an answer that are read
MAX_BOXES = 20
MIN_SIDE = 0.005  # a box that is thinner than this share of the picture is no answer
OVERSHOOT = 0.1  # so far outside the picture, as a share of it, may a corner lie and be cut off

_NUMBER = r"\s{0,5}(-?\d{1,6}(?:\.\d{0,12})?)\s{0,5}"
_FOUR = re.compile(rf"\[{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}\]")
_CORNERS = re.compile(
    rf"\({_NUMBER},{_NUMBER}\)\s{{0,5}},?\s{{0,5}}\({_NUMBER},{_NUMBER}\)"
)  # Qwen2-VL's way
_ENTRY = re.compile(r"\{[^{}]{0,400}\}")
_LABEL = re.compile(r'"label"\s{0,5}:\s{0,5}"([^"\\]{1,80})"')


@dataclass(frozen=True)
class TextBox:
    """A box of an answer, the characters start:end that tell it, and what it is said to show (may be empty)."""

    box: Box
    label: str
    start: int
    end: int


def qwen_boxes(text: str) -> list[TextBox]:
    """The boxes of a Qwen-VL answer: JSON entries with "bbox_2d" and "label", or bare "[x0, y0, x1, y1]" and
    "(x0,y0),(x1,y1)"; thousandths of the picture (Qwen3-VL technical report, 2025). Anything else is passed over.
    """
    text = text[:MAX_TEXT]
    found = []
    for match in _matches(text):
        box = _sane([float(number) / 1000 for number in match.groups()])
        if box is not None:
            found.append(TextBox(box, _label_at(text, match.start()), match.start(), match.end()))
    return found[:MAX_BOXES]


def grounding_gpt_boxes(text: str, width: int, height: int) -> list[TextBox]:
    """The boxes of a GroundingGPT answer about a picture of this size: "[x0, y0, x1, y1]" as fractions of the picture
    padded to a square (`padded_square`)."""
    found = []
    for match in _FOUR.finditer(text[:MAX_TEXT]):
        square = [float(number) for number in match.groups()]
        if not all(-OVERSHOOT <= value <= 1 + OVERSHOOT for value in square):
            continue
        box = _sane(from_padded_square(square, width, height), slack=math.inf)
        if box is not None:
            found.append(TextBox(box, "", match.start(), match.end()))
    return found[:MAX_BOXES]


def padded_square(image: Image, colour: tuple[int, int, int]) -> Image:
    """The picture in the middle of a square of this colour; with an odd border the smaller half comes first."""
    height, width = image.shape[:2]
    side = max(height, width)
    square = np.empty((side, side, 3), np.uint8)
    square[:] = colour
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = image
    return square


def from_padded_square(box: list[float], width: int, height: int) -> list[float]:
    """A box as fractions of a padded square (`padded_square`) -> as fractions of the picture itself."""
    side = max(width, height)
    left, top = (side - width) // 2, (side - height) // 2
    x0, y0, x1, y1 = (value * side for value in box)
    return [(x0 - left) / width, (y0 - top) / height, (x1 - left) / width, (y1 - top) / height]


def _matches(text: str) -> Iterator[re.Match[str]]:
    yield from _FOUR.finditer(text)
    yield from _CORNERS.finditer(text)


def _label_at(text: str, position: int) -> str:
    """The label of the JSON entry that holds a position."""
    for entry in _ENTRY.finditer(text):
        if entry.start() <= position < entry.end():
            label = _LABEL.search(entry.group())
            return label.group(1).strip() if label else ""
    return ""


def _sane(box: list[float], slack: float = OVERSHOOT) -> Box | None:
    """The part inside the picture; None for corners far outside or swapped, and for slivers."""
    if not all(-slack <= value <= 1 + slack for value in box):
        return None
    x0, y0, x1, y1 = (min(max(value, 0.0), 1.0) for value in box)
    return (x0, y0, x1, y1) if min(x1 - x0, y1 - y0) >= MIN_SIDE else None
