"""What the experts of each job take and give. A module that implements one has `load(ready, machine)`, which returns it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from ..monitor import Monitor
from ..scene.depth import Frames
from ..scene.novel_view import Frame, View

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DepthEstimate:
    """What a depth model says of a clip.

    values: (n, H, W) float32. kind: "metric" for the distance along the viewing axis in metres; "disparity" for its reciprocal
    up to an unknown scale and shift. steady: whether scale and shift are the same for all frames. focal_px: (n,) as
    the model estimates it, of pictures of width W, or None.
    """

    values: npt.NDArray[np.float32]
    kind: Literal["metric", "disparity"]
    steady: bool
    focal_px: Array | None = None


class DepthModel(Protocol):
    """frames: (n, H, W, 3) uint8 RGB of one continuous shot. Raises `Cancelled`, `Sonic4DError`."""

    def __call__(self, frames: Frames, monitor: Monitor) -> DepthEstimate: ...


@dataclass(frozen=True)
class Detection:
    """box: (4,) x0, y0, x1, y1 as fractions of the picture; confidence: 0..1; label: what the model calls it, may be empty."""

    box: Array
    confidence: float
    label: str = ""


class GroundingModel(Protocol):
    """Finds in a picture, (H, W, 3) uint8 RGB, what `words` describe, or whatever makes the sound if they are None; the best
    first, nothing if nothing fits.

    interval_s: how often in a clip an answer is worth its time; in between, things are tracked. Raises `Cancelled`.
    """

    interval_s: float

    def __call__(
        self, picture: npt.NDArray[np.uint8], words: str | None, monitor: Monitor
    ) -> list[Detection]: ...


class TrackingModel(Protocol):
    """Follows what is in `box` (fractions of the picture) of frame `frame_index` through frames (n, H, W, 3), forwards and
    backwards; boxes (n, 4), NaN where it isn't seen, confidence (n,), 0 there. `sources.tracking.track_box` is one."""

    def __call__(
        self,
        frames: Frames,
        box: tuple[float, float, float, float],
        frame_index: int,
        monitor: Monitor,
    ) -> tuple[Array, Array]: ...


@dataclass(frozen=True)
class SilentVideo:
    """The pictures of one continuous shot, as often and as few of them as wanted.

    pictures: a call with ascending frame numbers gives these (number, (H, W, 3) uint8 RGB), one after the other; all are
    of one size, as large as the file has them.
    """

    pictures: Callable[[Sequence[int]], Iterator[tuple[int, npt.NDArray[np.uint8]]]]
    frame_rate: Fraction
    frame_count: int

    @property
    def duration_s(self) -> Fraction:
        return self.frame_count / self.frame_rate


@dataclass(frozen=True)
class GeneratedSound:
    """samples: (n,) float32 in -1..1, from the video's first frame on, at least as long as the video."""

    samples: npt.NDArray[np.float32]
    rate_hz: int


class AudioModel(Protocol):
    """Makes a video's sound. The same seed makes the same sound. Raises `Cancelled`, `Sonic4DError`."""

    def __call__(
        self, video: SilentVideo, prompt: str, negative_prompt: str, seed: int, monitor: Monitor
    ) -> GeneratedSound: ...


@dataclass(frozen=True)
class Sampling:
    """How a novel-view model is to paint. prompt: what the scene shows; None: found out by a captioner, if there is one. steps, size
    (width, height, multiples of 16): None for the model's own. memory: "auto" or one of `novel_view.memory.PRESETS`.
    models: local folders to take models from (see `store.locate`)."""

    prompt: str | None = None
    seed: int = 0
    steps: int | None = None
    size: tuple[int, int] | None = None
    memory: str = "auto"
    models: Mapping[str, Path] = field(default_factory=dict)


class NovelViewModel(Protocol):
    """Yields a picture of the view's size for each frame of the shot. Before it loads anything it raises `Sonic4DError` if this
    machine's memory can't suffice."""

    def __call__(self, view: View, sampling: Sampling, monitor: Monitor) -> Iterator[Frame]: ...
