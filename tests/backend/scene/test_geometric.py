"""The geometric depth expert against made-up clips whose truth is known (see conftest.py)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from sonic4d.geometry.cameras import Intrinsics, back_project, project
from sonic4d.monitor import SILENT, Cancelled, Monitor
from sonic4d.scene.depth import DepthResult
from sonic4d.scene.geometric import geometric_depth
from sonic4d.scene.geometric.cameras import camera_poses, camera_rotations
from sonic4d.scene.geometric.horizon import find_horizon
from sonic4d.scene.geometric.layout import View
from sonic4d.scene.motion import MotionAnalysis, analyse_motion

EYE_M, PITCH_DEG = 1.6, -8.0


@pytest.fixture(scope="module")
def still(still_clip: Any, still_motion: MotionAnalysis) -> DepthResult:
    return geometric_depth(still_clip.frames, still_motion, still_clip.intrinsics, EYE_M, SILENT)


@pytest.fixture(scope="module")
def panned(panned_clip: Any, panned_motion: MotionAnalysis) -> DepthResult:
    return geometric_depth(panned_clip.frames, panned_motion, panned_clip.intrinsics, EYE_M, SILENT)


def world(depth: DepthResult, k: Intrinsics, t: int) -> np.ndarray:
    u, v = np.meshgrid(np.arange(k.width) + 0.5, np.arange(k.height) + 0.5)
    return back_project(u, v, depth.depth_m[t], k, depth.camera_to_world[t])


def test_the_good_path_is_taken_and_told(still: DepthResult) -> None:
    assert still.warnings == ()
    assert still.metric
    assert still.approximate
    assert still.move_limit_deg == 20
    assert still.assumptions["eye_height_m"] == EYE_M
    assert still.assumptions["horizon_found_by"] == "sky"
    assert still.assumptions["horizontal_fov_deg"] == pytest.approx(55)


def test_the_pitch_follows_from_the_horizon(still: DepthResult) -> None:
    assert still.assumptions["pitch_deg"] == pytest.approx(PITCH_DEG, abs=1.5)
    forward = -still.camera_to_world[0, :3, 2]
    assert forward[2] < 0  # looks down
    k = Intrinsics.from_horizontal_fov(640, 360, 55)
    assert View(k, 100, EYE_M).pitch_deg < 0 < View(k, 260, EYE_M).pitch_deg
    assert View(k, k.cy, EYE_M).pitch_deg == 0


@pytest.mark.parametrize("camera", ["still", "panned"])
def test_ground_lies_at_eye_height(camera: str, request: pytest.FixtureRequest) -> None:
    clip, depth = request.getfixturevalue(f"{camera}_clip"), request.getfixturevalue(camera)
    for t in (0, 12, 23):
        height = world(depth, clip.intrinsics, t)[..., 2]
        ground = height[100:][~clip.masks[t][100:]]
        assert np.median(ground) == pytest.approx(-EYE_M, rel=0.05)
        assert np.percentile(np.abs(ground + EYE_M), 95) < 0.15 * EYE_M


def test_the_ball_is_where_it_is(still_clip: Any, still: DepthResult) -> None:
    for t in (0, 6, 12, 20):
        found = np.median(world(still, still_clip.intrinsics, t)[still_clip.masks[t]], axis=0)
        x = -1.4 + 0.22 * (12 - abs(t - 12))
        assert found[0] == pytest.approx(x, abs=0.2)
        assert found[1] == pytest.approx(6 - 0.6, abs=0.8)


def test_the_first_camera_stands_at_the_origin_and_heads_north(panned: DepthResult) -> None:
    np.testing.assert_allclose(panned.camera_to_world[:, :3, 3], 0, atol=1e-12)
    forward = -panned.camera_to_world[:, :3, 2]
    assert abs(forward[0, 0]) < 1e-9
    turned = np.degrees(np.arctan2(forward[-1, 0], forward[-1, 1]))
    assert turned == pytest.approx(3, abs=0.2)


def test_what_stands_still_stays_still_under_a_pan(panned_clip: Any, panned: DepthResult) -> None:
    """The same spot of the world, looked up in all frames."""
    k = panned_clip.intrinsics
    spots = world(panned, k, 12)[[120, 140, 160], [60, 250, 160]]
    for t in range(0, 24, 4):
        u, v, depth = project(spots, k, panned.camera_to_world[t])
        found = panned.depth_m[t][np.floor(v).astype(int), np.floor(u).astype(int)]
        ball = panned_clip.masks[t][np.floor(v).astype(int), np.floor(u).astype(int)]
        np.testing.assert_allclose(found[~ball], depth[~ball], rtol=0.01)


def test_the_background_does_not_flicker(still_clip: Any, still: DepthResult) -> None:
    never_ball = cv2.dilate(still_clip.masks.any(0).astype(np.uint8), np.ones((9, 9))) == 0
    depth = still.depth_m[:, never_ball]
    assert (np.ptp(depth, axis=0) / depth.mean(0)).max() < 0.01


def test_foreground_is_the_ball_without_its_mixed_rim(still_clip: Any, still: DepthResult) -> None:
    for found, truth in zip(still.foreground, still_clip.masks, strict=True):
        assert (found & ~truth).sum() < 0.05 * truth.sum()
        assert (found & truth).sum() > 0.7 * truth.sum()


def covered(clip: Any, depth: DepthResult, t: int, arc_deg: float) -> np.ndarray:
    """Which pixels something is seen in, from a camera that went around the ball."""
    k = clip.intrinsics
    ball = np.array([-1.4 + 0.22 * (12 - abs(t - 12)), 6.0, -1.0])
    angle = np.radians(arc_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0]])
    turn = np.vstack([turn, [0, 0, 1]])
    pose = np.eye(4)
    pose[:3, :3] = turn @ depth.camera_to_world[t][:3, :3]
    pose[:3, 3] = ball - turn @ ball
    points = depth.background
    own = world(depth, k, t)[depth.foreground[t]]
    own_radius = 0.75 * depth.depth_m[t][depth.foreground[t]] / k.fx
    xyz = np.concatenate([points.xyz, own])
    radius = np.concatenate([points.radius_m, own_radius])
    u, v, z = project(xyz, k, pose)
    size = np.maximum(radius * k.fx / z, 0.5)
    seen = np.zeros((k.height + 2, k.width + 2))  # corner sums of all patches
    x0, x1 = (np.floor(u + sign * size + 0.5).clip(0, k.width).astype(int) for sign in (-1, 1))
    y0, y1 = (np.floor(v + sign * size + 0.5).clip(0, k.height).astype(int) for sign in (-1, 1))
    ahead = z > 0.1
    for y, x, sign in ((y0, x0, 1), (y1, x1, 1), (y0, x1, -1), (y1, x0, -1)):
        np.add.at(seen, (y[ahead], x[ahead]), sign)
    return seen.cumsum(0).cumsum(1)[: k.height, : k.width] > 0.5


@pytest.mark.parametrize("arc_deg", [-15, 0, 15])
def test_arcs_around_the_subject_show_no_holes(
    still_clip: Any, still: DepthResult, arc_deg: float
) -> None:
    assert covered(still_clip, still, 6, arc_deg).mean() > 0.995


def test_made_up_points_are_flagged(still: DepthResult) -> None:
    points = still.background
    assert len({len(getattr(points, name)) for name in points.__dataclass_fields__}) == 1
    assert 0.1 < points.synthetic.mean() < 0.9
    assert (points.confidence[points.synthetic] < 0.5).all()
    assert (points.confidence[~points.synthetic] == 1).all()
    assert (points.radius_m > 0).all()
    assert np.isfinite(points.xyz).all()
    # Whatever lies outside of the picture was made up.
    k = Intrinsics.from_horizontal_fov(640, 360, 55)
    u, v, _ = project(points.xyz.astype(float), k, still.camera_to_world[12])
    outside = (u < -1) | (u > 641) | (v < -1) | (v > 361)
    assert points.synthetic[outside].all()


def test_larger_pictures_keep_their_size(still_clip: Any, still_motion: MotionAnalysis) -> None:
    large = np.stack([cv2.resize(frame, (960, 540)) for frame in still_clip.frames])
    depth = geometric_depth(
        large, still_motion, still_clip.intrinsics.scaled(960, 540), EYE_M, SILENT
    )
    assert depth.depth_m.shape == (24, 540, 960)
    truth = cv2.resize(still_clip.masks[6].astype(np.uint8), (960, 540)) > 0
    assert (depth.foreground[6] & truth).sum() > 0.8 * truth.sum()
    assert (depth.foreground[6] & ~truth).sum() < 0.05 * truth.sum()


def assert_flat(depth: DepthResult, frames: np.ndarray) -> None:
    assert depth.depth_m.shape == frames.shape[:3]
    assert np.isfinite(depth.depth_m).all()
    assert depth.depth_m.max() / depth.depth_m.min() <= 2.1
    assert depth.move_limit_deg == 8
    assert not depth.metric
    assert len(depth.warnings) == 1


def test_a_travelling_camera_gives_a_flat_relief(
    travelling_clip: Any, travelling_motion: MotionAnalysis
) -> None:
    depth = geometric_depth(
        travelling_clip.frames, travelling_motion, travelling_clip.intrinsics, EYE_M, SILENT
    )
    assert_flat(depth, travelling_clip.frames)
    assert "moves" in depth.warnings[0]
    assert depth.foreground is None
    assert depth.background is None
    assert (depth.camera_to_world == depth.camera_to_world[0]).all()


def test_a_subject_that_stays_is_not_cut_out(still_clip: Any, still_motion: MotionAnalysis) -> None:
    """Of a talking head much would stay behind in the background plate, and show twice from aside."""
    nodding = np.stack(
        [np.roll(still_motion.labels[8], t % 2, axis=0) for t in range(len(still_motion.labels))]
    )
    motion = replace(still_motion, labels=nodding)
    result = geometric_depth(still_clip.frames, motion, still_clip.intrinsics, EYE_M, SILENT)
    assert result.foreground is None
    assert result.background is None
    assert result.move_limit_deg == 8
    assert "hardly moves" in result.warnings[0]
    assert result.depth_m.max() <= 2.1 * result.depth_m.min()


def test_without_a_ground_the_relief_is_flat(still_clip: Any, still_motion: MotionAnalysis) -> None:
    """The same texture from top to bottom."""
    noise = np.random.default_rng(0).integers(60, 200, (360, 640, 1), np.uint8)
    wall = cv2.GaussianBlur(np.repeat(noise, 3, axis=2), (0, 0), 2)
    motion = replace(still_motion, plate=wall)
    depth = geometric_depth(still_clip.frames, motion, still_clip.intrinsics, EYE_M, SILENT)
    assert "ground" in depth.warnings[0]
    assert depth.move_limit_deg == 8
    assert depth.background is not None


@pytest.mark.parametrize(
    "shape", [(1, 90, 160), (4, 90, 160), (5, 24, 32), (3, 160, 90), (2, 1, 1), (2, 4, 200)]
)
@pytest.mark.parametrize("content", ["black", "noise"])
def test_odd_clips_give_a_flat_relief(shape: tuple[int, int, int], content: str) -> None:
    frames = np.zeros((*shape, 3), np.uint8)
    if content == "noise":
        frames[:] = np.random.default_rng(0).integers(0, 256, (1, *shape[1:], 3), np.uint8)
    k = Intrinsics.from_horizontal_fov(shape[2], shape[1], 55)
    depth = geometric_depth(frames, analyse_motion(frames, SILENT), k, EYE_M, SILENT)
    assert_flat(depth, frames)


def test_it_can_be_stopped(still_clip: Any, still_motion: MotionAnalysis) -> None:
    calls = 0

    def soon() -> bool:
        nonlocal calls
        calls += 1
        return calls > 30

    with pytest.raises(Cancelled):
        geometric_depth(
            still_clip.frames,
            still_motion,
            still_clip.intrinsics,
            EYE_M,
            Monitor(lambda event: None, soon),
        )


def test_walkers_tell_horizon_and_eye_height() -> None:
    """Six people of 1.7 m walk towards a camera at 4 m whose horizon is at row 60."""
    focal, horizon = 600.0, 60.0
    away = np.linspace(12, 30, 20)
    boxes = []
    for side in range(6):
        feet = horizon + focal * 4.0 / (away + side)
        tall = focal * 1.7 / (away + side)
        x = 100.0 + 60 * side
        boxes.append(np.stack([x + 0 * feet, feet - tall, x + tall / 2.5, feet], axis=1))
    found = find_horizon(np.zeros((360, 640), bool), np.array(boxes), EYE_M)
    assert found.found_by == found.eye_height_found_by == "walkers"
    assert found.row == pytest.approx(horizon, abs=3)
    assert found.eye_height_m == pytest.approx(4.0, rel=0.03)


def test_poses_of_a_tilting_camera() -> None:
    k = Intrinsics.from_horizontal_fov(640, 360, 55)
    angle = np.radians(2)
    up = np.array(
        [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    )
    matrix = np.array([[k.fx, 0, k.cx - 0.5], [0, k.fy, k.cy - 0.5], [0, 0, 1]])
    homographies = np.stack([np.eye(3), 5 * matrix @ up @ np.linalg.inv(matrix)])
    rotations, residual_px = camera_rotations(homographies, k)
    np.testing.assert_allclose(rotations[1], up, atol=1e-6)
    assert residual_px < 1e-6
    poses, reference = camera_poses(rotations, -10.0)
    np.testing.assert_allclose(poses[0], reference, atol=1e-12)
    # A point at the picture's centre of the second frame lies where its homography says in the first.
    centre = back_project(k.cx, k.cy, 5.0, k, poses[1])
    u, v, _ = project(centre, k, poses[0])
    expected = cv2.perspectiveTransform(np.array([[[k.cx - 0.5, k.cy - 0.5]]]), homographies[1])
    np.testing.assert_allclose([u - 0.5, v - 0.5], expected[0, 0], atol=1e-6)
