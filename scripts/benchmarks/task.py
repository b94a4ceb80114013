"""The reference task that everything is measured on, and how it is measured."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sonic4d.room import Room
from sonic4d.shot import Normalize, RenderSettings, Shot, ShotSource

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

RATE_HZ = 48_000
RUNS = 5
DURATION_S, SIZE_M, RT60_S = 10, (5.0, 4.0, 3.0), 0.5


@dataclass(frozen=True)
class Table:
    """What a section found: `rows` of texts or numbers under `columns`; `note` says how."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str | float, ...]]
    note: str = ""


def measured(works: dict[str, Callable[[], object]], runs: int = RUNS) -> dict[str, Array]:
    """Median wall and processor seconds of each; run in turn, so that a busy machine is unfair to nobody."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(runs):
        for name, work in works.items():
            wall, processor = time.perf_counter(), time.process_time()
            work()
            times[name].append((time.perf_counter() - wall, time.process_time() - processor))
    return {
        name: np.array([statistics.median(column) for column in zip(*spent, strict=True)])
        for name, spent in times.items()
    }


def reference_shot(
    frames: int,
    *,
    seconds: float = DURATION_S,
    rt60_s: float = RT60_S,
    sources: int = 1,
    kind: str = "shoebox",
    **render: Any,
) -> Shot:
    """A 5 x 4 x 3 m room; sources on a closed curve, about 1 m/s, and a listener who walks and turns. Every 10 s anew."""
    u = np.arange(frames) * (seconds / frames) / DURATION_S
    circle = 2 * np.pi * u
    heading = np.pi / 3 + 1.2 * np.sin(circle)
    right = np.stack([np.sin(heading), -np.cos(heading), 0 * u], axis=1)
    up = np.broadcast_to([0.0, 0, 1], right.shape)
    poses = np.tile(np.eye(4), (frames, 1, 1))
    poses[:, :3, :3] = np.stack([right, up, np.cross(right, up)], axis=2)
    walked = 0.5 - 0.5 * np.cos(circle)
    poses[:, :3, 3] = np.stack([1.2 + 2 * walked, 1 + 1.2 * walked**2, 1.5 + 0 * u], axis=1)

    def path(phase: float) -> Array:
        angle = circle + phase
        return np.stack(
            [
                2.5 + 1.6 * np.cos(angle),
                2 + 1.3 * np.sin(angle),
                1.4 + 0.5 * np.sin(2 * angle),
            ],
            axis=1,
        )

    settings: dict[str, Any] = {"mode": "hifi", "normalize": Normalize("none"), **render}
    return Shot(
        name="benchmark",
        frame_rate=Fraction(frames) / Fraction(seconds),
        frame_start=1,
        frame_end=frames,
        listener_poses=poses,
        sources=tuple(
            ShotSource(f"noise {i + 1}", f"noise{i + 1}.wav", path(2 * np.pi * i / sources))
            for i in range(sources)
        ),
        room=Room(kind, (2.5, 2.0, 1.5), SIZE_M, 0.0, rt60_s),
        render=RenderSettings(**settings),
        folder=Path(),
    )


def noise(shot: Shot, seed: int = 0) -> Float32:
    return np.random.default_rng(seed).standard_normal(shot.sample_count).astype(np.float32)


def tone(shot: Shot, frequency_hz: float) -> Float32:
    time_s = np.arange(shot.sample_count) / shot.render.sample_rate
    return np.sin(2 * np.pi * frequency_hz * time_s).astype(np.float32)
