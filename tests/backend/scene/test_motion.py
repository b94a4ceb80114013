"""The motion analysis against made-up clips whose truth is known (see conftest.py)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from sonic4d.monitor import SILENT, Cancelled, Monitor
from sonic4d.scene.motion import MotionAnalysis, Mover, analyse_motion
from sonic4d.scene.movers import bulk_boxes, linked, pixel_boxes


def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (n, 4)."""
    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])
    common = np.prod(np.maximum(high - low, 0), axis=1)
    sizes = [np.prod(box[:, 2:] - box[:, :2], axis=1) for box in (a, b)]
    return common / (sizes[0] + sizes[1] - common)


def ball(motion: MotionAnalysis) -> Mover:
    assert motion.movers
    return motion.movers[0]


def test_a_still_camera_is_seen_as_one(still_motion: MotionAnalysis) -> None:
    assert still_motion.is_static
    assert still_motion.inlier_share > 0.6
    np.testing.assert_allclose(still_motion.to_reference, np.tile(np.eye(3), (24, 1, 1)), atol=1e-9)


@pytest.mark.parametrize("camera", ["still", "panned"])
def test_the_ball_is_followed_in_the_original_picture(
    camera: str, request: pytest.FixtureRequest
) -> None:
    clip = request.getfixturevalue(f"{camera}_clip")
    motion = request.getfixturevalue(f"{camera}_motion")
    found = ball(motion)
    assert np.isfinite(found.boxes).all()
    assert overlap(found.boxes, clip.boxes).min() > 0.8
    np.testing.assert_allclose(found.area, clip.masks.mean((1, 2)), rtol=0.15)


def test_the_mask_is_the_ball(still_clip: Any, still_motion: MotionAnalysis) -> None:
    for t, truth in enumerate(still_clip.masks):
        size = truth.shape[1::-1]
        mask = cv2.resize(still_motion.labels[t], size, interpolation=cv2.INTER_NEAREST) == 1
        assert (mask & truth).sum() / (mask | truth).sum() > 0.85


def test_speed_and_turn(still_clip: Any, still_motion: MotionAnalysis) -> None:
    found = ball(still_motion)
    centre = (still_clip.boxes[:, 0] + still_clip.boxes[:, 2]) / 2 * 320
    expected = np.abs(np.diff(centre)).mean()
    np.testing.assert_allclose(np.median(found.speed_px), expected, rtol=0.1)
    assert found.turn_px.argmax() == 12  # thrown back
    assert found.turn_px[12] > 20 * np.median(found.turn_px)


def test_the_plate_is_the_scene_without_the_ball(
    still_clip: Any, still_motion: MotionAnalysis
) -> None:
    behind = np.nanmedian(np.where(still_clip.masks[..., None], np.nan, still_clip.frames), axis=0)
    plate = cv2.resize(still_motion.plate, (320, 180), interpolation=cv2.INTER_AREA)
    crossed = still_clip.masks.any(0)
    assert np.isfinite(behind).all()
    assert np.abs(plate - behind)[crossed].mean() < 6
    assert still_motion.never_seen.mean() < 0.02


def test_a_pan_is_taken_back(panned_clip: Any, panned_motion: MotionAnalysis) -> None:
    assert panned_motion.is_static
    k = panned_clip.intrinsics.scaled(640, 360)
    matrix = np.array([[k.fx, 0, k.cx - 0.5], [0, k.fy, k.cy - 0.5], [0, 0, 1]])
    flip = np.diag([1.0, -1, -1])
    rotations = panned_clip.poses[:, :3, :3] @ flip
    corners = np.array([[60, 60], [580, 60], [60, 300], [580, 300.0]])[:, None]
    for t in (0, 5, 23):
        truth = matrix @ rotations[12].T @ rotations[t] @ np.linalg.inv(matrix)
        expected = cv2.perspectiveTransform(corners, truth)
        found = cv2.perspectiveTransform(corners, panned_motion.to_reference[t])
        assert np.abs(found - expected).max() < 1.5


def test_a_travelling_camera_is_not_static_but_has_movers(
    travelling_clip: Any, travelling_motion: MotionAnalysis
) -> None:
    assert not travelling_motion.is_static
    assert travelling_motion.plate is None
    found = ball(travelling_motion).boxes
    seen = np.isfinite(found[:, 0])
    assert seen.sum() >= 8
    assert np.median(overlap(found[seen], travelling_clip.boxes[seen])) > 0.5


CLIPS = {
    "one frame": np.random.default_rng(0).integers(0, 256, (1, 90, 160, 3), np.uint8),
    "two frames": np.random.default_rng(1).integers(0, 256, (2, 90, 160, 3), np.uint8),
    "tiny": np.random.default_rng(2).integers(0, 256, (5, 24, 32, 3), np.uint8),
    "portrait": np.random.default_rng(3).integers(0, 256, (3, 160, 90, 3), np.uint8),
    "black": np.zeros((6, 90, 160, 3), np.uint8),
    "one colour": np.full((6, 90, 160, 3), (90, 140, 30), np.uint8),
    "a strip": np.random.default_rng(4).integers(0, 256, (3, 4, 200, 3), np.uint8),
    "one pixel": np.full((2, 1, 1, 3), 77, np.uint8),
}


@pytest.mark.parametrize("name", CLIPS)
def test_odd_clips(name: str) -> None:
    frames = CLIPS[name]
    motion = analyse_motion(frames, SILENT)
    assert motion.to_reference.shape == (len(frames), 3, 3)
    assert np.isfinite(motion.to_reference).all()
    assert len(motion.labels) == len(frames)
    for mover in motion.movers:
        assert mover.boxes.shape == (len(frames), 4)
        assert np.nanmin(mover.boxes) >= 0
        assert np.nanmax(mover.boxes) <= 1


def test_a_clip_without_movement_has_no_movers(still_clip: Any) -> None:
    motion = analyse_motion(np.repeat(still_clip.frames[:1], 6, axis=0), SILENT)
    assert motion.is_static
    assert motion.movers == ()


def test_results_repeat(still_clip: Any) -> None:
    a, b = (analyse_motion(still_clip.frames[8:14], SILENT) for _ in range(2))
    np.testing.assert_array_equal(a.labels, b.labels)
    np.testing.assert_array_equal(a.plate, b.plate)


def test_progress_runs_to_its_end_and_can_be_stopped(still_clip: Any) -> None:
    events: list[dict[str, Any]] = []
    frames = still_clip.frames[8:13]
    analyse_motion(frames, Monitor(events.append, lambda: False))
    shares = [event["done"] / event["total"] for event in events]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert len(events) > 30
    with pytest.raises(Cancelled):
        analyse_motion(frames, Monitor(lambda event: None, lambda: True))


@pytest.mark.parametrize("shape", [(0, 8, 8, 3), (2, 0, 8, 3), (2, 8, 8, 4), (8, 8, 3)])
def test_frames_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="frames"):
        analyse_motion(np.zeros(shape, np.uint8), SILENT)


def test_pieces_are_linked_over_a_gap_and_specks_dropped() -> None:
    masks = np.zeros((12, 40, 60), np.uint8)
    for t in range(12):
        if t not in (5, 6):
            masks[t, 10:20, 5 + t : 15 + t] = 1
        masks[t, 25:32, 40:50] = 1
    masks[3, 2:5, 50:53] = 1
    labels = linked(masks, lambda: None)
    assert set(np.unique(labels)) == {0, 1, 2}
    first, last = labels[0, 15, 8], labels[11, 15, 20]
    assert first == last != labels[0, 28, 45]
    assert (labels[3, 2:5, 50:53] == 0).all()


def test_a_shadow_does_not_pull_the_box_off_the_thing() -> None:
    labels = np.zeros((60, 100), np.uint8)
    labels[10:50, 20:32] = 1  # a body
    labels[44:50, 32:80] = 1  # its shadow on the ground
    labels[20:40, 70:96] = 2  # a car
    boxes = bulk_boxes(labels, 3)
    assert boxes[0].tolist() == [20, 10, 32, 50]
    assert boxes[1].tolist() == [70, 20, 96, 40]
    assert np.isnan(boxes[2]).all()
    assert pixel_boxes(labels, 2)[0].tolist() == [20, 10, 80, 50]


def test_the_bulk_of_a_round_thing_has_its_middle() -> None:
    y, x = np.mgrid[:60, :100] + 0.5
    labels = ((x - 40) ** 2 + (y - 30) ** 2 < 20**2).astype(np.uint8)
    x0, y0, x1, y1 = bulk_boxes(labels, 1)[0]
    assert ((x0 + x1) / 2, (y0 + y1) / 2) == (40, 30)
    assert 36 <= x1 - x0 <= 40
