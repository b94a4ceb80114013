"""Things found by words on keyframes: followed in between, told apart, ranked, and absent where they are."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from sonic4d.experts.protocols import Detection, TrackingModel
from sonic4d.monitor import SILENT, Monitor
from sonic4d.protocol import Sonic4DError
from sonic4d.scene.motion import MotionAnalysis
from sonic4d.sources.find import Finders, Finding, SourceSettings, find_sources
from sonic4d.sources.grounding import detections, distinct, keyframes, overlap, split_words
from sonic4d.sources.tracking import track_box

RATE = Fraction(25)
HOPS = (5, 9, 18, 22, 33, 41)  # frames at which the lower of two squares jumps
Clip = tuple[np.ndarray, np.ndarray, np.ndarray]


class Scripted:
    """A grounding model that knows the truth: words -> one track (n, 4) or several, NaN where it finds nothing."""

    interval_s = 0.24

    def __init__(
        self,
        frames: np.ndarray,
        tracks: dict[str | None, list[np.ndarray]],
        confidence: float = 0.8,
    ) -> None:
        self.frames, self.tracks, self.confidence = frames, tracks, confidence
        self.asked: list[tuple[int, str | None]] = []

    def __call__(self, picture: np.ndarray, words: str | None, monitor: Monitor) -> list[Detection]:
        index = next(i for i, frame in enumerate(self.frames) if np.array_equal(frame, picture))
        self.asked.append((index, words))
        return [
            Detection(np.clip(track[index], 0, 1), self.confidence - 0.1 * rank, "it")
            for rank, track in enumerate(self.tracks.get(words, []))
            if np.isfinite(track[index]).all()
        ]


def at_once(
    frames: np.ndarray, box: tuple, frame_index: int, monitor: Monitor
) -> tuple[np.ndarray, np.ndarray]:
    """A tracker for tests of what is done with tracks: the thing stays where it is."""
    return np.tile(box, (len(frames), 1)), np.full(len(frames), 0.9)


def still(frames: np.ndarray) -> MotionAnalysis:
    """A motion analysis that saw nothing move."""
    n, height, width = frames.shape[:3]
    labels = np.zeros((n, height, width), np.uint8)
    return MotionAnalysis((), True, np.tile(np.eye(3), (n, 1, 1)), labels, None, None, 1.0)


def find(
    frames: np.ndarray,
    model: Scripted,
    words: tuple[str, ...] = ("it",),
    mono: np.ndarray | None = None,
    step: int | None = None,
    required: bool = True,
    track: TrackingModel = track_box,
) -> tuple[Finding, ...]:
    mono = np.zeros(48000) if mono is None else mono
    settings = SourceSettings(words=words, keyframe_step=step)
    finders = Finders(model, required, track)
    return find_sources(frames, mono, RATE, still(frames), settings, finders, SILENT)


@pytest.fixture(scope="module")
def two(moving_square_factory: Callable) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two squares, one above the other: the upper goes right, the lower hops left in starts. Frames and both tracks."""
    n = 48
    upper, upper_boxes, _ = moving_square_factory(lambda t: (40 + 2 * t, 30), n)
    lower, lower_boxes, _ = moving_square_factory(
        lambda t: (200 - 14 * sum(hop <= t for hop in HOPS), 104), n
    )
    frames = upper.copy()
    frames[:, 68:] = lower[:, 68:]
    return frames, upper_boxes, lower_boxes


def test_followed_between_the_keyframes(moving_square: Callable, iou: Callable) -> None:
    frames, truth, _ = moving_square(lambda t: (60 + 3 * t, 68), 24)
    model = Scripted(frames, {"it": [truth]})
    (finding,) = find(frames, model)
    assert [index for index, _ in model.asked] == [0, 6, 12, 17, 23]
    assert (finding.name, finding.found_by) == ("it", "words")
    assert "found on 5 of 5 frames asked about, confidence 0.80" in finding.reason
    assert iou(finding.boxes, truth).min() > 0.7
    assert (finding.confidence > 0.5).all()
    assert finding.warnings == ()


def test_progress_only_grows(moving_square: Callable) -> None:
    frames, truth, _ = moving_square(lambda t: (60 + 3 * t, 68), 12)
    events: list[dict] = []
    monitor = Monitor(events.append, lambda: False)
    settings, finders = SourceSettings(words=("it",)), Finders(Scripted(frames, {"it": [truth]}))
    find_sources(frames, np.zeros(48000), RATE, still(frames), settings, finders, monitor)
    for stage in ("grounding", "tracking"):
        shares = [e["done"] / e["total"] for e in events if e["stage"] == stage]
        assert shares == sorted(shares)
        assert shares[-1] == 1


def test_every_frame_can_be_asked_about(moving_square: Callable) -> None:
    frames, truth, _ = moving_square(lambda t: (60 + 3 * t, 68), 8)
    model = Scripted(frames, {"it": [truth]})
    (finding,) = find(frames, model, step=1)
    assert [index for index, _ in model.asked] == [*range(8)]
    np.testing.assert_allclose(finding.boxes, truth)
    assert finding.confidence.tolist() == pytest.approx([0.8] * 8)


def test_hidden_stays_hidden(moving_square: Callable, iou: Callable) -> None:
    """Behind a post it is neither found nor followed: no box there, boxes on both sides."""
    frames, truth, visible = moving_square(lambda t: (30 + 4 * t, 68), 48, bar=(100, 150))
    track = np.where(visible[:, None] > 0.5, truth, np.nan)
    (finding,) = find(frames, Scripted(frames, {"it": [track]}))
    seen = np.isfinite(finding.boxes).all(axis=1)
    assert not seen[visible < 0.1].any()
    assert (finding.confidence[~seen] == 0).all()
    assert seen[visible > 0.95].mean() > 0.9
    whole = seen & (visible > 0.95)
    assert iou(finding.boxes[whole], truth[whole]).min() > 0.5


def test_several_sources_are_told_apart(two: Clip, iou: Callable) -> None:
    frames, upper, lower = two
    model = Scripted(frames, {"a car": [upper], "a dog": [lower]})
    car, dog = find(frames, model, ("a car", "a dog"), track=at_once)
    assert (car.name, dog.name) == ("a car", "a dog")
    assert iou(car.boxes, upper).mean() > 0.7
    assert iou(dog.boxes, lower).mean() > 0.7


def test_the_same_words_twice_ask_for_two_things(two: Clip, iou: Callable) -> None:
    frames, upper, lower = two
    model = Scripted(frames, {"a dog": [upper, lower]})
    first, second = find(frames, model, ("a dog", "a dog"), track=at_once)
    assert {words for _, words in model.asked} == {"a dog"}
    assert len(model.asked) == len(set(model.asked))
    assert iou(first.boxes, upper).mean() > 0.7
    assert iou(second.boxes, lower).mean() > 0.7
    assert "also found: it (confidence" in first.reason


def test_what_moves_with_the_sound_is_likelier(two: Clip, iou: Callable) -> None:
    """The model is surer of the upper square; clicks go with the lower one's hops."""
    frames, upper, lower = two
    mono = 1e-4 * np.random.default_rng(0).standard_normal(len(frames) * 1920)
    for hop in HOPS:
        mono[hop * 1920 : hop * 1920 + 1200] += np.hanning(1200)
    model = Scripted(frames, {"it": [upper, lower]})
    (quiet,) = find(frames, model, step=1)
    assert iou(quiet.boxes, upper).mean() > 0.7
    (sounding,) = find(frames, model, mono=mono, step=1)
    assert "moves with the sound" in sounding.reason
    assert iou(sounding.boxes, lower).mean() > 0.7


def test_without_words_the_model_says_what_it_is(moving_square: Callable) -> None:
    frames, truth, _ = moving_square(lambda t: (60 + 3 * t, 68), 12)
    model = Scripted(frames, {None: [truth]})
    (finding,) = find(frames, model, ())
    assert finding.name == "it"
    assert {words for _, words in model.asked} == {None}


def test_what_is_not_found_is_said(two: Clip) -> None:
    frames, upper, _ = two
    model = Scripted(frames, {"a car": [upper]})
    (car,) = find(frames, model, ("a car", "a dog"), track=at_once)
    assert car.name == "a car"
    assert '"a dog"' in car.warnings[0]
    with pytest.raises(Sonic4DError, match="doesn't find") as failure:
        find(frames, model, ("a dog",))
    assert failure.value.code == "not_found"
    with pytest.raises(Sonic4DError) as failure:  # nothing moves either
        find(frames, model, ("a dog",), required=False)
    assert failure.value.code == "no_mover"


def test_impossible_answers_are_passed_over() -> None:
    class Wild:
        interval_s = 1.0

        def __call__(self, picture: np.ndarray, words: str | None, monitor: Monitor) -> list:
            boxes = [
                [np.nan, 0, 1, 1],
                [0.5, 0, 0.2, 1],
                [0, 0, 3, 1],
                [-1e9, 0, 1e9, 1],
                [0.2, 0.2, 0.4, 0.4],
            ]
            return [
                *(Detection(np.array(box), 0.9) for box in boxes),
                Detection(np.array([0.2, 0.2, 0.4, 0.4]), np.nan),
            ]

    found = detections(np.zeros((1, 9, 9, 3), np.uint8), [0], "it", Wild(), SILENT)
    assert [d.box.tolist() for d in found[0]] == [[0.2, 0.2, 0.4, 0.4]]


def test_one_thing_is_one_detection() -> None:
    a, near, far = ([0, 0, 0.4, 0.4], [0.02, 0, 0.42, 0.4], [0.5, 0.5, 0.9, 0.9])
    found = [Detection(np.array(box), c) for box, c in ((near, 0.5), (a, 0.9), (far, 0.4))]
    assert [d.confidence for d in distinct(found)] == [0.9, 0.4]
    assert overlap(np.array(a), np.array(far)) == 0
    assert overlap(np.array(a), np.full(4, np.nan)) == 0
    assert overlap(np.array(a), np.array(a)) == pytest.approx(1)


def test_words_are_split() -> None:
    assert split_words(" a  dog ; a car;; ") == ("a dog", "a car")
    assert split_words(None) == split_words(" ; ") == ()
    assert len(split_words("x" * 999)[0]) == 200


@pytest.mark.parametrize(("count", "step"), [(1, None), (2, None), (100, None), (100, 1), (7, 99)])
def test_keyframes_span_the_clip(count: int, step: int | None) -> None:
    indices = keyframes(count, RATE, 0.33, step)
    assert (indices[0], indices[-1]) == (0, count - 1)
    assert max(np.diff(indices), default=0) <= (step or 8)
    assert indices == sorted(set(indices))
