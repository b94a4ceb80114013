"""What a depth expert takes and gives (Stage I)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..geometry.cameras import Intrinsics
from ..monitor import Monitor

Frames = npt.NDArray[np.uint8]  # (n_frames, H, W, 3) RGB


@dataclass(frozen=True)
class Points:
    """A point set in world axes and metres.

    xyz (n, 3) float32, rgb (n, 3) uint8, confidence (n,) float32 in 0..1, radius_m (n,) float32: half the size of the patch
    a point stands for; synthetic (n,) bool: made up to close a gap, not seen in the video.
    """

    xyz: npt.NDArray[np.float32]
    rgb: npt.NDArray[np.uint8]
    confidence: npt.NDArray[np.float32]
    radius_m: npt.NDArray[np.float32]
    synthetic: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.xyz)


@dataclass(frozen=True)
class DepthResult:
    """Depth of a clip.

    depth_m: (n_frames, H, W) float32, distance along the viewing axis in metres; NaN where nothing is known.
    camera_to_world: (n_frames, 4, 4), see `geometry.cameras`; the first camera stands at the origin and heads along +Y.
    confidence: (n_frames, H, W) float32 in 0..1, or None (everywhere 1).
    foreground: (n_frames, H, W) bool: the pixels that belong into a frame's own points; None means all of them.
    background: points that stand still, shown with every frame; None where there are none.
    move_limit_deg: how far a camera may travel around the scene before the picture falls apart; None: no limit known.
    """

    depth_m: npt.NDArray[np.float32]
    camera_to_world: npt.NDArray[np.float64]
    confidence: npt.NDArray[np.float32] | None = None
    foreground: npt.NDArray[np.bool_] | None = None
    background: Points | None = None
    metric: bool = True
    approximate: bool = True
    move_limit_deg: float | None = None
    assumptions: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class DepthExpert(Protocol):
    """One way to depth. `frames` is one continuous shot."""

    def __call__(self, frames: Frames, intrinsics: Intrinsics, monitor: Monitor) -> DepthResult: ...
