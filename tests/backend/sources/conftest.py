"""Synthetic clips whose truth is known."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

WIDTH, HEIGHT, SIDE = 240, 136, 32


def _texture(
    rng: np.random.Generator, height: int, width: int, tint: tuple, grain: float = 3
) -> np.ndarray:
    noise = cv2.GaussianBlur(rng.random((height, width)).astype(np.float32), (0, 0), grain)
    noise = (noise - noise.min()) / np.ptp(noise)
    return ((60 + 150 * noise)[..., None] * np.array(tint)).astype(np.uint8)


def _moving_square(
    centre: Callable[[int], tuple[float, float]],
    n: int,
    side: Callable[[int], float] = lambda t: SIDE,
    bar: tuple[int, int] | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A textured square over a still background, behind an optional upright bar (columns).

    Returns frames (n, H, W, 3), true boxes (n, 4) as fractions of the picture (not clipped), and the visible share (n,).
    """
    rng = np.random.default_rng(7)
    background = _texture(rng, HEIGHT, WIDTH, (0.8, 1, 0.8))
    square = _texture(rng, 64, 64, (1, 0.5, 0.4), 4)
    post = _texture(rng, HEIGHT, WIDTH, (0.5, 0.5, 0.8))
    frames, boxes, visible = [], [], []
    for t in range(n):
        (x, y), s = centre(t), side(t)
        place = np.array([[s / 64, 0, x - s / 2], [0, s / 64, y - s / 2]])
        alpha = cv2.warpAffine(np.ones((64, 64), np.float32), place, (WIDTH, HEIGHT))
        drawn = cv2.warpAffine(square, place, (WIDTH, HEIGHT))
        frame = background * (1 - alpha[..., None]) + drawn * alpha[..., None]
        if bar:
            columns = slice(*bar)
            frame[:, columns] = post[:, columns]
            alpha[:, columns] = 0
        frames.append(frame.astype(np.uint8))
        boxes.append([x - s / 2, y - s / 2, x + s / 2, y + s / 2])
        visible.append(alpha.sum() / s**2)
    scale = [WIDTH, HEIGHT, WIDTH, HEIGHT]
    return np.array(frames), np.array(boxes) / scale, np.array(visible)


@pytest.fixture
def moving_square() -> Callable:
    return _moving_square


@pytest.fixture(scope="session")
def moving_square_factory() -> Callable:
    """`moving_square` for fixtures that outlive a test."""
    return _moving_square


@pytest.fixture
def iou() -> Callable:
    def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])
        shared = np.maximum(high - low, 0).prod(axis=1)
        areas = [(box[:, 2:] - box[:, :2]).prod(axis=1) for box in (a, b)]
        return shared / (areas[0] + areas[1] - shared)

    return overlap
