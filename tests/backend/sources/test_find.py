from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from sonic4d.monitor import SILENT
from sonic4d.protocol import Sonic4DError
from sonic4d.scene.motion import MotionAnalysis, Mover
from sonic4d.sources.click import box_around, mover_at
from sonic4d.sources.find import Finders, Finding, SourceSettings, find_sources

RATE = Fraction(25)

Clip = tuple[np.ndarray, np.ndarray, np.ndarray]


def asked(
    point: tuple | None = None,
    box: tuple | None = None,
    words: tuple[str, ...] = (),
) -> SourceSettings:
    return SourceSettings(point, box, words)


@pytest.fixture
def clip(moving_square: Callable) -> Clip:
    return moving_square(lambda t: (60 + 3 * t, 68), 24)


def analysis_of(frames: np.ndarray, boxes: np.ndarray | None = None) -> MotionAnalysis:
    """What the motion analysis says about a clip with one mover, or none."""
    n, height, width = frames.shape[:3]
    labels = np.zeros((n, height, width), np.uint8)
    movers = ()
    if boxes is not None:
        for label, box in zip(labels, boxes, strict=True):
            x0, y0, x1, y1 = (box * [width, height, width, height]).round().astype(int)
            label[y0:y1, x0:x1] = 1
        movers = (Mover(boxes, np.full(n, 4.0), np.zeros(n), np.full(n, 0.03)),)
    still = np.tile(np.eye(3), (n, 1, 1))
    return MotionAnalysis(movers, True, still, labels, None, None, 1.0)


def find(
    frames: np.ndarray, settings: SourceSettings, motion: MotionAnalysis | None = None
) -> Finding:
    motion = analysis_of(frames) if motion is None else motion
    (finding,) = find_sources(
        frames,
        np.zeros(48000),
        RATE,
        motion,
        settings,
        Finders(why_not="No model is here."),
        SILENT,
    )
    return finding


def test_by_box(clip: Clip, iou: Callable) -> None:
    frames, truth, _ = clip
    finding = find(frames, asked(box=(*truth[10], 10)))
    assert finding.found_by == "box"
    assert iou(finding.boxes, truth).min() > 0.6
    assert "24 of 24 frames" in finding.reason
    assert finding.warnings == ()


def test_by_point_on_a_mover(clip: Clip, iou: Callable) -> None:
    frames, truth, _ = clip
    x, y = (truth[5, :2] + truth[5, 2:]) / 2
    finding = find(frames, asked(point=(x, y, 5)), analysis_of(frames, truth))
    assert finding.found_by == "point"
    assert "moving thing" in finding.reason
    assert iou(finding.boxes, truth).min() > 0.6


def test_by_point_on_a_still_thing_of_its_own_colour(
    moving_square: Callable, iou: Callable
) -> None:
    frames, truth, _ = moving_square(lambda t: (100, 60), 6, side=lambda t: 44)
    box, how = box_around(frames[0], (100 / 240, 60 / 136))
    assert "colour" in how
    assert iou(box[None], truth[:1])[0] > 0.7


def test_by_point_in_the_motion_analysis_stabilised_picture(clip: Clip) -> None:
    frames, truth, _ = clip
    motion = analysis_of(frames, truth)
    shift = np.array([[1.0, 0, 40], [0, 1, 0], [0, 0, 1]])
    motion.labels[:] = np.roll(motion.labels, 40, axis=2)
    motion.to_reference[:] = shift
    x, y = (truth[5, :2] + truth[5, 2:]) / 2
    assert mover_at((x, y), 5, motion) is motion.movers[0]
    assert mover_at((x + 40 / 240, y), 5, motion) is None


def test_by_point_on_an_even_wall_takes_a_small_square() -> None:
    frames = np.full((1, 90, 160, 3), 128, np.uint8)
    box, how = box_around(frames[0], (0.5, 0.5))
    assert "small square" in how
    assert (box[2:] - box[:2]) * (160, 90) == pytest.approx([10.8, 10.8])


def test_by_motion_gives_the_movers_own_boxes(clip: Clip) -> None:
    frames, truth, _ = clip
    boxes = truth.copy()
    boxes[3] = np.nan
    labels = analysis_of(frames, truth)
    mover = replace(labels.movers[0], boxes=boxes)
    finding = find(frames, asked(), replace(labels, movers=(mover,)))
    assert finding.found_by == "motion"
    np.testing.assert_array_equal(finding.boxes, boxes)
    assert finding.confidence.tolist() == [1, 1, 1, 0, *[1] * 20]


def test_jumping_outlines_are_replaced_by_tracking(clip: Clip, iou: Callable) -> None:
    frames, truth, _ = clip
    rough = truth.copy()
    rough[::5, 2:] += 0.3
    finding = find(frames, asked(), analysis_of(frames, np.clip(rough, 0, 1)))
    assert finding.found_by == "motion"
    assert "its outline jumps" in finding.reason
    assert iou(finding.boxes, truth).min() > 0.6


def test_words_without_a_model_fall_back_with_a_warning(clip: Clip) -> None:
    frames, truth, _ = clip
    finding = find(frames, asked(words=("helicopter",)), analysis_of(frames, truth))
    assert finding.found_by == "motion"
    assert len(finding.warnings) == 1
    assert finding.warnings[0].startswith("No model is here. What sounds was looked for by motion")
    assert "helicopter" in finding.warnings[0]


def test_an_object_that_is_soon_gone_is_reported(moving_square: Callable) -> None:
    frames, truth, _ = moving_square(lambda t: (200 + 8 * t, 68), 30)
    finding = find(frames, asked(box=(*truth[0], 0)))
    assert len(finding.warnings) == 1
    assert "of 30 frames" in finding.warnings[0]


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        (asked(point=(1.0, 0.5, 0)), "point_outside"),
        (asked(point=(-0.1, 0.5, 0)), "point_outside"),
        (asked(point=(np.nan, 0.5, 0)), "point_outside"),
        (asked(point=(0.5, 0.5, 24)), "frame_out_of_range"),
        (asked(point=(0.5, 0.5, -1)), "frame_out_of_range"),
        (asked(box=(0.1, 0.1, 0.5, 0.5, 99)), "frame_out_of_range"),
        (asked(box=(0.5, 0.1, 0.1, 0.5, 0)), "bad_box"),
        (asked(box=(0.1, 0.1, 0.1, 0.5, 0)), "bad_box"),
        (asked(box=(0.1, np.nan, 0.4, 0.5, 0)), "bad_box"),
        (asked(box=(1.1, 0.1, 1.4, 0.5, 0)), "box_outside"),
        (asked(box=(0.1, 0.1, 0.105, 0.5, 0)), "box_too_small"),
        (asked(point=(0.5, 0.5, 0), box=(0.1, 0.1, 0.5, 0.5, 0)), "bad_option"),
        (asked(), "no_mover"),
    ],
)
def test_what_can_not_be_done_is_said(clip: Clip, settings: SourceSettings, code: str) -> None:
    with pytest.raises(Sonic4DError) as failure:
        find(clip[0], settings)
    assert failure.value.code == code
    assert failure.value.hint
