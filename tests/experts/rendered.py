"""A rendered clip whose depth is known."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

COUNT, HEIGHT, WIDTH = 40, 135, 240


@dataclass(frozen=True)
class Clip:
    """frames (n, H, W, 3) uint8; disparity (n, H, W) float32, in 1/metres; edges (n, H, W) bool: true steps of disparity."""

    frames: np.ndarray
    disparity: np.ndarray
    edges: np.ndarray


def texture(seed: int, height: int, width: int, colour: tuple[float, float, float]) -> np.ndarray:
    noise = np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), 1.2)
    noise = (noise - noise.mean()) / noise.std()
    return np.clip(np.array(colour) + 30 * noise, 0, 255).astype(np.uint8)


def rendered(pan_px: float) -> Clip:
    """A room's floor and wall seen by a camera that pans, a pillar in it, and a ball-like thing that crosses and comes nearer."""
    wide = WIDTH + 2 * int(COUNT * abs(pan_px)) + 40
    wall = texture(1, HEIGHT, wide, (120, 110, 100))
    pillar = texture(2, HEIGHT, 24, (60, 130, 70))
    thing = texture(3, 80, 80, (190, 90, 60))
    row = np.arange(HEIGHT, dtype=np.float32)[:, None]
    ground = (
        np.maximum((row - 0.55 * HEIGHT) / (0.45 * HEIGHT) * 0.5, 0) + 0.12
    )  # to 2 m at the foot
    frames, disparity = [], []
    for t in range(COUNT):
        left = int(round(20 + t * pan_px))
        picture = wall[:, left : left + WIDTH].copy()
        depth = np.repeat(ground, WIDTH, 1)
        x = 150 - left + 20
        if -24 < x < WIDTH:
            a, b = max(x, 0), min(x + 24, WIDTH)
            picture[20:120, a:b] = pillar[20:120, a - x : b - x]
            depth[20:120, a:b] = 0.35
        size = 30 + t // 3
        y, x = 60, 10 + 4 * t
        b = min(x + size, WIDTH)
        picture[y : y + size, x:b] = thing[:size, : b - x]
        depth[y : y + size, x:b] = 0.5 + 0.005 * t
        frames.append(picture)
        disparity.append(depth)
    disparity = np.stack(disparity).astype(np.float32)
    kernel = np.ones((3, 3), np.uint8)
    edges = np.stack([cv2.morphologyEx(d, cv2.MORPH_GRADIENT, kernel) > 0.1 for d in disparity])
    return Clip(np.stack(frames), disparity, edges)
