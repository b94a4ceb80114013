"""Boxes in answers: every form that models use, and texts that nobody should have to read."""

from __future__ import annotations

import numpy as np
import pytest
from sonic4d.experts.grounding.box_text import (
    MAX_BOXES,
    from_padded_square,
    grounding_gpt_boxes,
    padded_square,
    qwen_boxes,
)


@pytest.mark.parametrize(
    "text",
    [
        '```json\n[{"bbox_2d": [100, 200, 300, 450], "label": "a dog"}]\n```',
        '[{"label": "a dog", "bbox_2d": [100,200,300,450]}]',
        '{"bbox_2d" : [100.0, 200, 300, 450.000], "label" : "a dog"}',
        '[{"bbox_2d": [100, 200, 300, 450], "label": "a dog"}, {"bbox_2d": [5, 5',
    ],
)
def test_json(text: str) -> None:
    (found,) = qwen_boxes(text)
    assert (found.box, found.label) == ((0.1, 0.2, 0.3, 0.45), "a dog")
    assert text[found.start : found.end].count(",") == 3


@pytest.mark.parametrize(
    "text", ["The dog is at [100, 200, 300, 450].", "<|box_start|>(100,200),(300,450)<|box_end|>"]
)
def test_without_json(text: str) -> None:
    (found,) = qwen_boxes(text)
    assert (found.box, found.label) == ((0.1, 0.2, 0.3, 0.45), "")


def test_several_in_order() -> None:
    entries = [f'{{"bbox_2d": [{x}, 0, {x + 90}, 90], "label": "thing {x}"}}' for x in (0, 500)]
    found = qwen_boxes(f"[{', '.join(entries)}]")
    assert [entry.label for entry in found] == ["thing 0", "thing 500"]
    assert found[1].box == (0.5, 0.0, 0.59, 0.09)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I can't see any dog.",
        "[1, 2, 3]",
        "[300, 200, 100, 450]",
        "[100, 200, 101, 450]",
        "[100, 200, 5000, 450]",
        "[nan, 0, inf, 1]",
        "[1e3, 0, 1e9, 1]",
        "[99999999999999999999, 0, 1, 1]",
        '{"bbox_2d": "drop table"}',
        "[-900, -900, -100, -100]",
    ],
)
def test_no_box(text: str) -> None:
    assert qwen_boxes(text) == []
    assert grounding_gpt_boxes(text, 160, 90) == []


def test_a_little_outside_is_cut_off() -> None:
    (found,) = qwen_boxes("[-20, 0, 1040, 500]")
    assert found.box == (0.0, 0.0, 1.0, 0.5)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 10**6,
        "{" * 10**6,
        '{"label": "' * 10**5,
        "[1, " * 10**6,
        "(1,2)," * 10**6,
        " " * 10**6 + "[100, 200, 300, 450]",
        "[" + "9" * 10**6,
    ],
)
def test_endless_text_comes_to_an_end(text: str) -> None:
    assert qwen_boxes(text) == grounding_gpt_boxes(text, 160, 90) == []


def test_no_more_boxes_than_anyone_needs() -> None:
    assert len(qwen_boxes("[0, 0, 500, 500] " * 400)) == MAX_BOXES


@pytest.mark.parametrize(("width", "height"), [(160, 90), (91, 160), (100, 100), (77, 33)])
def test_the_padded_square_and_back(width: int, height: int) -> None:
    picture = np.random.default_rng(0).integers(1, 255, (height, width, 3), dtype=np.uint8)
    square = padded_square(picture, (0, 0, 0))
    side = max(width, height)
    assert square.shape == (side, side, 3)
    rows, columns = (np.flatnonzero(square.any(axis=(2, axis))) for axis in (1, 0))
    box = [columns[0] / side, rows[0] / side, (columns[-1] + 1) / side, (rows[-1] + 1) / side]
    np.testing.assert_allclose(from_padded_square(box, width, height), [0, 0, 1, 1], atol=1e-12)


def test_boxes_of_the_padded_square() -> None:
    """As the authors' own code maps them, whole pixels apart (docs/parity.md)."""
    text = "The dog is [0.10, 0.30, 0.50, 0.60] and the cat [0.4, 0.4, 1.0, 1.0]."
    dog, cat = (entry.box for entry in grounding_gpt_boxes(text, 160, 90))
    assert dog == pytest.approx((0.1, 0.144, 0.5, 0.678), abs=1e-3)
    assert cat == pytest.approx((0.4, 0.322, 1.0, 1.0), abs=1e-3)
    (dog, _) = (entry.box for entry in grounding_gpt_boxes(text, 91, 160))
    assert dog == pytest.approx((0.0, 0.3, 0.505, 0.6), abs=1e-3)
