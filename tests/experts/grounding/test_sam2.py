"""SAM 2 on tiny weights, without torchvision."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny_grounding
import torch
from sonic4d.experts import running
from sonic4d.experts.choose import load
from sonic4d.experts.grounding.sam2 import seen
from sonic4d.experts.protocols import TrackingModel
from sonic4d.monitor import SILENT, Cancelled, Monitor
from sonic4d.protocol import Sonic4DError
from tiny_grounding import CPU, ready
from transformers import EdgeTamVideoConfig

BOX = (0.2, 0.3, 0.5, 0.7)


@pytest.fixture(scope="module")
def track(folder_of: Callable[[str], Path]) -> TrackingModel:
    return load(ready("sam2-tiny", folder_of("sam2")), CPU)


def test_forwards_and_backwards(track: TrackingModel, frames: np.ndarray) -> None:
    boxes, confidence = track(frames[:6], BOX, 2, SILENT)
    assert (boxes.shape, confidence.shape) == ((6, 4), (6,))
    assert np.isfinite(boxes).all()
    assert ((boxes >= 0) & (boxes <= 1)).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert ((confidence > 0) & (confidence <= 1)).all()
    other, other_confidence = track(frames[::-1][:6], BOX, 2, SILENT)
    assert not np.allclose(confidence, other_confidence)
    again, _ = track(frames[:6], BOX, 2, SILENT)
    np.testing.assert_array_equal(boxes, again)
    assert other.shape == boxes.shape


def test_what_it_does_not_see_has_no_box(tmp_path: Path, frames: np.ndarray) -> None:
    tiny_grounding.sam2(tmp_path, object_score=-4.0)
    boxes, confidence = load(ready("sam2-tiny", tmp_path), CPU)(frames[:3], BOX, 0, SILENT)
    assert np.isnan(boxes).all()
    assert (confidence == 0).all()


def test_box_of_a_mask() -> None:
    logits = torch.full((32, 64), -9.0)
    logits[8:16, 16:48] = 9.0
    logits[30, 60] = 9.0  # a speck
    box, confidence = seen(logits, torch.tensor(4.0))
    np.testing.assert_allclose(box, [16 / 64, 8 / 32, 48 / 64, 16 / 32], atol=0.5 / 32)
    assert 0.9 < confidence < 1
    for mask, score in ((logits, -1.0), (torch.full((32, 64), -9.0), 4.0)):
        box, confidence = seen(mask, torch.tensor(score))
        assert np.isnan(box).all()
        assert confidence == 0


def test_cancelled(
    track: TrackingModel, frames: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "POLL_S", -1)
    polls = iter([False] * 9)
    with pytest.raises(Cancelled):
        track(frames, BOX, 0, Monitor(lambda event: None, lambda: next(polls, True)))


def test_edgetam_says_what_it_lacks(tmp_path: Path) -> None:
    EdgeTamVideoConfig().save_pretrained(tmp_path)
    with pytest.raises(Sonic4DError, match="needs timm and torchvision"):
        load(ready("edgetam", tmp_path), CPU)
