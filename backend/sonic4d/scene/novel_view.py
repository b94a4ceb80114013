"""What a novel-view expert works on (Stage I): a shot's camera before a scene of points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..geometry.cameras import Intrinsics
from ..geometry.splat import Picture, splat
from .depth import Frames, Points

Frame = npt.NDArray[np.uint8]  # (H, W, 3) RGB


@dataclass(frozen=True)
class View:
    """A camera before a scene of points.

    lens: of the pictures wanted. poses (n, 4, 4): camera-to-world, one per frame of the shot. shown (n,): which frame of the
    scene each of them shows. cloud(i): the points of the scene's frame i. background: points that stand still, seen in the
    video; made_up: those that were not; None where there are none. video(indices): the source video's pictures of
    those frames of the scene, (len(indices), H, W, 3).
    """

    lens: Intrinsics
    poses: npt.NDArray[np.float64]
    shown: npt.NDArray[np.intp]
    cloud: Callable[[int], Points]
    background: Points | None
    made_up: Points | None
    video: Callable[[Sequence[int]], Frames]

    @property
    def frame_count(self) -> int:
        return len(self.poses)

    def render(self, frame: int, lens: Intrinsics | None = None) -> Picture:
        """Equation 2 of what the video has seen: made-up points are left out, so that holes are where it saw nothing."""
        layers = [self.cloud(int(self.shown[frame]))]
        if self.background is not None:
            layers.append(self.background)
        return splat(layers, lens or self.lens, self.poses[frame])
