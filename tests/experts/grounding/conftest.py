"""A red square that goes from left to right, and models that know two of its pictures."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_grounding
from sonic4d.experts.grounding import grounding_gpt, qwen_vl
from sonic4d.media.audio import write_wav
from sonic4d.media.video import write_video

WIDTH, HEIGHT, FRAMES, RATE, SIDE = 128, 96, 8, Fraction(25), 32


def left_edge(index: int) -> int:
    return 16 + 8 * index


@pytest.fixture(scope="session")
def frames() -> np.ndarray:
    coarse = np.random.default_rng(0).uniform(0.3, 1, (HEIGHT // 8, WIDTH // 8, 1))
    wall = (np.kron(coarse, np.ones((8, 8, 1))) * np.full(3, 150)).astype(np.uint8)
    grain = np.random.default_rng(1).uniform(0.5, 1, (SIDE // 4, SIDE // 4, 1))
    square = (np.kron(grain, np.ones((4, 4, 1))) * (255, 60, 40)).astype(np.uint8)
    clip = np.repeat(wall[None], FRAMES, 0)
    for index in range(FRAMES):
        clip[index, 32 : 32 + SIDE, left_edge(index) : left_edge(index) + SIDE] = square
    return clip


@pytest.fixture(scope="session")
def truth() -> np.ndarray:
    """Boxes (n, 4)."""
    left = np.array([left_edge(index) for index in range(FRAMES)])
    top = np.full(FRAMES, 32)
    corners = np.stack([left, top, left + SIDE, top + SIDE], axis=1)
    return corners / [WIDTH, HEIGHT, WIDTH, HEIGHT]


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory, frames: np.ndarray) -> Path:
    """clip.mp4 with sound and depth.npz."""
    folder = tmp_path_factory.mktemp("media")
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(48000) / 48000)
    write_wav(folder / "tone.wav", tone.astype("f4"), 48000)
    write_video(folder / "clip.mp4", frames, RATE, folder / "tone.wav")
    np.savez(folder / "depth.npz", depth=np.full((FRAMES, HEIGHT, WIDTH), 3.0, np.float32))
    return folder


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """folder_of("grounding_dino"): the folder of a tiny model of that kind, made once."""
    made: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp(kind)
            getattr(tiny_grounding, kind)(made[kind])
        return made[kind]

    return folder


@pytest.fixture(scope="session")
def learnt(
    folder_of: Callable[[str], Path], frames: np.ndarray
) -> Callable[[str], tuple[Any, Path]]:
    """learnt("qwen_vl"): an expert that finds "a red square" in the clip's first and last picture, and its folder."""
    made: dict[str, tuple[Any, Path]] = {}

    def teach(kind: str) -> tuple[Any, Path]:
        folder = folder_of(kind).with_name(f"{kind}_learnt")
        shutil.copytree(folder_of(kind), folder)
        boxes = ((0, tiny_grounding.LEFT), (tiny_grounding.LAST, tiny_grounding.RIGHT))
        if kind == "qwen_vl":
            lessons = [
                (frames[i], qwen_vl.question("a red square"), _in_json(box)) for i, box in boxes
            ]
            lessons += [(frames[0], qwen_vl.question(None), _in_json(tiny_grounding.LEFT))]
            expert = tiny_grounding.taught(folder, "qwen-vl-2b", qwen_vl.load, lessons)
        else:
            asked = grounding_gpt.question("a red square")
            lessons = [(frames[i], asked, _in_square(box)) for i, box in boxes]
            expert = tiny_grounding.taught(folder, "grounding-gpt", grounding_gpt.load, lessons)
        tiny_grounding.write_taught(expert, kind, folder)
        return expert, folder

    def get(kind: str) -> tuple[Any, Path]:
        if kind not in made:
            made[kind] = teach(kind)
        return made[kind]

    return get


def _in_json(box: tuple[float, ...]) -> str:
    return f'[{{"bbox_2d": {[round(1000 * value) for value in box]}, "label": "it"}}]'


def _in_square(box: tuple[float, ...]) -> str:
    """Of the square that a picture of 128 x 96 is padded to; then the model goes on talking."""
    x0, y0, x1, y1 = box
    return f"[{x0:.3f}, {0.75 * y0 + 0.125:.3f}, {x1:.3f}, {0.75 * y1 + 0.125:.3f}]###Human: no"
