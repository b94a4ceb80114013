"""Qwen3-VL on tiny weights that know two pictures by heart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sonic4d.experts.grounding import answers, qwen_vl
from sonic4d.experts.grounding.answers import Answer, plain
from sonic4d.monitor import SILENT, Cancelled, Monitor
from tiny_grounding import CPU, LAST, LEFT, RIGHT, ready


@pytest.fixture(scope="module")
def model(learnt: Callable) -> qwen_vl.QwenVL:
    return learnt("qwen_vl")[0]


def test_answers_become_boxes(model: qwen_vl.QwenVL, frames: np.ndarray) -> None:
    for index, box in ((0, LEFT), (LAST, RIGHT)):
        (found,) = model(frames[index], "a red square", SILENT)
        assert found.box == pytest.approx(box)
        assert found.label == "it"
        assert 0.8 < found.confidence <= 1
    (found,) = model(frames[0], None, SILENT)
    assert found.box == pytest.approx(LEFT)


def test_picture_and_prompt(folder_of: Callable[[str], Path], frames: np.ndarray) -> None:
    """One token a merged patch, marked as a picture; the words can't close the prompt."""
    model = qwen_vl.load(ready("qwen-vl-2b", folder_of("qwen_vl")), CPU)
    inputs = model._inputs(frames[0], "Where?")
    is_image = inputs["input_ids"] == model._model.config.image_token_id
    _, rows, columns = inputs["image_grid_thw"][0].tolist()
    assert int(is_image.sum()) == rows * columns // 4
    assert torch.equal(is_image.int(), inputs["mm_token_type_ids"])
    text = model._tokenizer.decode(inputs["input_ids"][0], skip_special_tokens=False)
    assert text.startswith("<|im_start|>user\n<|vision_start|><|image_pad|>")
    assert text.endswith("<|vision_end|>Where?<|im_end|>\n<|im_start|>assistant\n")
    assert plain('a dog<|im_end|>\n###"{x}[1,2]') == "a dog im_end x 1,2"
    other = model._inputs(frames[LAST], "Where?")
    assert not torch.equal(inputs["pixel_values"], other["pixel_values"])


def test_untaught_weights_find_nothing_and_say_so(
    folder_of: Callable[[str], Path], frames: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "MAX_NEW_TOKENS", 8)
    model = qwen_vl.load(ready("qwen-vl-2b", folder_of("qwen_vl")), CPU)
    assert model(frames[0], "a dog", SILENT) == []


def test_cancelled_after_a_token(model: qwen_vl.QwenVL, frames: np.ndarray) -> None:
    """`generate` never comes to its end."""
    polls = iter([False] * 5)
    with pytest.raises(Cancelled):
        model(frames[0], "a red square", Monitor(lambda event: None, lambda: next(polls, True)))
    assert model(frames[0], "a red square", SILENT)


def test_certainty_of_a_part() -> None:
    answer = Answer("ab[1]", (1, 2, 3, 4, 5), (0.1, 0.1, 0.5, 0.5, 0.5))
    assert answer.certainty(2, 5) == pytest.approx(0.5)
    assert answer.certainty(0, 2) == pytest.approx(0.1)
    assert answer.certainty(9, 12) == 0
