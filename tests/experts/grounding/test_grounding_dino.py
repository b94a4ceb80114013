"""Grounding DINO on tiny random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sonic4d.experts import running
from sonic4d.experts.choose import load
from sonic4d.experts.grounding.grounding_dino import MIN_SCORE, prompt
from sonic4d.experts.protocols import GroundingModel
from sonic4d.monitor import SILENT, Cancelled, Monitor
from tiny_grounding import CPU, ready


@pytest.fixture(scope="module")
def model(folder_of: Callable[[str], Path]) -> GroundingModel:
    return load(ready("grounding-dino-tiny", folder_of("grounding_dino")), CPU)


def test_boxes_depend_on_picture_and_words(model: GroundingModel, frames: np.ndarray) -> None:
    answers = {
        (index, words): model(frames[index], words, SILENT)
        for index in (0, 7)
        for words in ("a dog", "red square")
    }
    for (_, words), found in answers.items():
        assert found
        boxes = np.array([detection.box for detection in found])
        assert ((boxes >= 0) & (boxes <= 1)).all()
        assert (boxes[:, 2:] >= boxes[:, :2]).all()
        assert all(MIN_SCORE <= detection.confidence <= 1 for detection in found)
        assert {detection.label for detection in found} == {words}
    sums = {sum(d.confidence * d.box.sum() for d in found) for found in answers.values()}
    assert len(sums) == 4


def test_the_same_twice(model: GroundingModel, frames: np.ndarray) -> None:
    a, b = (model(frames[3], "a dog", SILENT) for _ in range(2))
    np.testing.assert_array_equal([d.box for d in a], [d.box for d in b])


def test_words_become_a_prompt() -> None:
    assert prompt(" A Dog. ") == "a dog."
    assert prompt("red square") == "red square."


def test_cancelled_between_layers(
    model: GroundingModel, frames: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "POLL_S", -1)
    polls = iter([False, False, False])
    with pytest.raises(Cancelled):
        model(frames[0], "a dog", Monitor(lambda event: None, lambda: next(polls, True)))
    assert model(frames[0], "a dog", SILENT)
