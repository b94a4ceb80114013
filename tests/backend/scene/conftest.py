"""A made-up clip with known truth: a textured ground, hills, a sky, and a patterned ball that rolls by."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from sonic4d.geometry.cameras import Intrinsics, back_project, pitched
from sonic4d.monitor import SILENT
from sonic4d.scene.motion import MotionAnalysis, analyse_motion

WIDTH, HEIGHT, FRAMES = 320, 180, 24
EYE_M, PITCH_DEG, FOV_DEG = 1.6, -8.0, 55.0
BALL_M, BALL_AWAY_M = 0.6, 6.0
TURN = 12  # the frame where the ball is thrown back


@dataclass(frozen=True)
class Clip:
    """frames (n, H, W, 3); masks (n, H, W) of the ball; boxes (n, 4) of it, 0..1; poses (n, 4, 4)."""

    frames: npt.NDArray[np.uint8]
    masks: npt.NDArray[np.bool_]
    boxes: npt.NDArray[np.float64]
    poses: npt.NDArray[np.float64]
    intrinsics: Intrinsics


def texture(u: npt.NDArray, v: npt.NDArray, seed: int) -> npt.NDArray:
    """Smooth noise over a plane, 0..1, with details from 0.05 to 2 units."""
    noise = np.random.default_rng(seed).random((256, 256)).astype(np.float32)
    total = np.zeros(u.shape, np.float32)
    for scale in (0.05, 0.2, 0.6, 2.0):
        x, y = (np.asarray(c / scale % 256, np.float32) for c in (u, v))
        total += cv2.remap(noise, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return np.clip((total / 4 - 0.5) * 1.8 + 0.5, 0, 1)


def rays(pose: npt.NDArray, k: Intrinsics) -> npt.NDArray:
    u, v = np.meshgrid(np.arange(k.width) + 0.5, np.arange(k.height) + 0.5)
    ray = back_project(u, v, 1.0, k, pose) - pose[:3, 3]
    return ray / np.linalg.norm(ray, axis=-1, keepdims=True)


def scenery(ray: npt.NDArray, origin: npt.NDArray) -> npt.NDArray:
    """Ray-cast ground, hills and sky: RGB (H, W, 3), 0..255."""
    bearing, slope = np.arctan2(ray[..., 0], ray[..., 1]), ray[..., 2]
    colour = np.stack([150 + 200 * slope, 190 + 120 * slope, 250 + 0 * slope], -1)
    hills = slope < 0.03 + 0.015 * np.sin(9 * bearing)
    shade = texture(bearing * 20, slope * 20, 1)[..., None]
    colour = np.where(hills[..., None], [60, 50, 70] + 70 * shade, colour)
    ground = origin + ray * ((-EYE_M - origin[2]) / np.minimum(slope, -1e-3))[..., None]
    shade = texture(ground[..., 0], ground[..., 1], 2)[..., None]
    return np.where(slope[..., None] < -0.01, [40, 70, 20] + shade * [90, 150, 60], colour)


def with_ball(
    colour: npt.NDArray, ray: npt.NDArray, origin: npt.NDArray, ball: npt.NDArray
) -> tuple[npt.NDArray, npt.NDArray]:
    """The picture with a ball in front, and where that is."""
    middle = ball - origin
    along = (ray * middle).sum(-1)
    inside = along**2 - (middle**2).sum() + BALL_M**2
    hit = (inside > 0) & (along > 0)
    surface = ray * (along - np.sqrt(np.maximum(inside, 0)))[..., None] - middle
    pattern = texture(surface[..., 0] * 3 + 9, surface[..., 2] * 3 + 9, 3)[..., None]
    return np.where(hit[..., None], [120, 20, 20] + pattern * [130, 60, 200], colour), hit


def make_clip(poses: npt.NDArray) -> Clip:
    k = Intrinsics.from_horizontal_fov(WIDTH, HEIGHT, FOV_DEG)
    fine = k.scaled(2 * WIDTH, 2 * HEIGHT)
    frames, masks, boxes = [], [], []
    for t, pose in enumerate(poses):
        x = -1.4 + 0.22 * (TURN - abs(t - TURN))
        ball = np.array([x, BALL_AWAY_M, BALL_M - EYE_M])
        if t == 0 or (pose != poses[t - 1]).any():
            ray, origin = rays(pose, fine), pose[:3, 3]
            behind = scenery(ray, origin)
        colour, hit = with_ball(behind, ray, origin, ball)
        frames.append(
            cv2.resize(colour.clip(0, 255), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        )
        hit = (
            cv2.resize(hit.astype(np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) > 0.5
        )
        rows, columns = np.nonzero(hit.any(1))[0], np.nonzero(hit.any(0))[0]
        masks.append(hit)
        boxes.append([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    size = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT])
    rgb = np.round(frames).astype(np.uint8)
    return Clip(rgb, np.array(masks), np.array(boxes) / size, np.array(poses), k)


def heading(bearing_deg: float) -> npt.NDArray:
    """A camera at the origin, pitched like all here, that looks this far to the right of +Y."""
    angle = np.radians(-bearing_deg)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn @ pitched(PITCH_DEG)


@pytest.fixture(scope="session")
def still_clip() -> Clip:
    """The camera stands still."""
    return make_clip(np.stack([pitched(PITCH_DEG)] * FRAMES))


@pytest.fixture(scope="session")
def panned_clip() -> Clip:
    """The camera turns to the right by 3 degrees."""
    return make_clip(np.stack([heading(3 * t / (FRAMES - 1)) for t in range(FRAMES)]))


@pytest.fixture(scope="session")
def travelling_clip() -> Clip:
    """The camera travels forward by 3 metres, too much to be stabilised."""
    poses = np.stack([pitched(PITCH_DEG)] * 12)
    poses[:, 1, 3] = np.linspace(0, 3, len(poses))
    return make_clip(poses)


@pytest.fixture(scope="session")
def still_motion(still_clip: Clip) -> MotionAnalysis:
    return analyse_motion(still_clip.frames, SILENT)


@pytest.fixture(scope="session")
def panned_motion(panned_clip: Clip) -> MotionAnalysis:
    return analyse_motion(panned_clip.frames, SILENT)


@pytest.fixture(scope="session")
def travelling_motion(travelling_clip: Clip) -> MotionAnalysis:
    return analyse_motion(travelling_clip.frames, SILENT)
