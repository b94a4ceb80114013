from collections.abc import Callable

import numpy as np
import pytest
from sonic4d.monitor import SILENT, Cancelled, Monitor
from sonic4d.sources.appearance import Appearance
from sonic4d.sources.tracking import track_box


def seen(boxes: np.ndarray) -> np.ndarray:
    return np.isfinite(boxes).all(axis=1)


def test_follows_both_ways_from_the_marked_frame(moving_square: Callable, iou: Callable) -> None:
    frames, truth, _ = moving_square(lambda t: (30 + 4 * t, 60 + 10 * np.sin(t / 5)), 40)
    boxes, confidence = track_box(frames, tuple(truth[20]), 20, SILENT)
    assert seen(boxes).all()
    assert iou(boxes, truth).min() > 0.6
    assert iou(boxes, truth).mean() > 0.85
    assert confidence[20] == 1
    assert ((confidence > 0.5) & (confidence <= 1)).all()


def test_is_absent_behind_an_occluder_and_found_again(
    moving_square: Callable, iou: Callable
) -> None:
    frames, truth, visible = moving_square(lambda t: (30 + 4 * t, 68), 50, bar=(100, 148))
    boxes, confidence = track_box(frames, tuple(truth[4]), 4, SILENT)
    hidden = visible < 0.2
    assert hidden.sum() >= 5
    assert not seen(boxes)[hidden].any()
    assert (confidence[hidden] == 0).all()
    whole = visible > 0.99
    again = whole & (np.arange(50) > np.flatnonzero(hidden)[-1])
    assert seen(boxes)[whole].mean() > 0.9
    assert iou(boxes, truth)[whole & seen(boxes)].mean() > 0.85
    assert seen(boxes)[again].sum() >= again.sum() - 2
    assert np.nanmin(iou(boxes, truth)[again][2:]) > 0.6


def test_is_absent_outside_the_picture_and_found_again(
    moving_square: Callable, iou: Callable
) -> None:
    path = [120 + 6 * min(t, 60 - t) for t in range(61)]  # turns round far outside
    frames, truth, visible = moving_square(lambda t: (path[t], 68), 61)
    boxes, _ = track_box(frames, tuple(truth[3]), 3, SILENT)
    outside = visible < 0.05
    assert outside.sum() >= 15
    assert not seen(boxes)[outside].any()
    assert seen(boxes)[-6:].all()
    assert iou(boxes, truth)[-6:].min() > 0.6


def test_does_not_invent_an_object_that_never_comes_back(moving_square: Callable) -> None:
    frames, truth, visible = moving_square(lambda t: (120 + 7 * t, 68), 45)
    boxes, _ = track_box(frames, tuple(truth[0]), 0, SILENT)
    assert not seen(boxes)[visible < 0.05].any()


def test_follows_a_growing_object(moving_square: Callable, iou: Callable) -> None:
    frames, truth, _ = moving_square(lambda t: (60 + 3 * t, 68), 40, side=lambda t: 24 + 0.8 * t)
    boxes, _ = track_box(frames, tuple(truth[0]), 0, SILENT)
    assert iou(boxes, truth).min() > 0.5
    grown = (boxes[-1, 2] - boxes[-1, 0]) / (boxes[0, 2] - boxes[0, 0])
    assert grown > 1.5


def test_boxes_stay_in_the_picture(moving_square: Callable) -> None:
    frames, truth, _ = moving_square(lambda t: (120 + 4 * t, 68), 30)
    boxes, _ = track_box(frames, tuple(truth[0]), 0, SILENT)
    known = boxes[seen(boxes)]
    assert (known >= 0).all()
    assert (known <= 1).all()
    assert (known[:, 2:] > known[:, :2]).all()


def test_a_plain_thing_is_at_most_itself() -> None:
    """Rounding carried its similarity above 1, which a bundle does not take for a confidence."""
    picture = np.full((64, 96, 3), 90, np.uint8)
    picture[20:44, 6:30] = (230, 200, 60)
    box = np.array([8.0, 22.0, 28.0, 42.0])
    assert 0.99 < Appearance.of(picture, box).similarity(picture, box) <= 1


def test_single_frame(moving_square: Callable) -> None:
    frames, truth, _ = moving_square(lambda t: (100, 68), 1)
    boxes, confidence = track_box(frames, tuple(truth[0]), 0, SILENT)
    assert boxes[0] == pytest.approx(truth[0])
    assert confidence[0] == 1


def test_stops_when_asked_to(moving_square: Callable) -> None:
    frames, truth, _ = moving_square(lambda t: (60 + t, 68), 30)
    asked = iter([False] * 5 + [True] * 100)
    with pytest.raises(Cancelled):
        track_box(frames, tuple(truth[0]), 0, Monitor(lambda event: None, lambda: next(asked)))
    assert next(asked)
