"""Cuts: where a trajectory jumps instead of moving, as at a camera's cut or a teleport.

Between two frames everything moves smoothly (`trajectories`), and a jump would be heard as a flight past at a hundred
metres per second. So a shot is rendered in stretches from cut to cut, which are crossfaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .image_source import SPEED_OF_SOUND

Array = npt.NDArray[np.float64]

_LONGEST_FADE_S = 0.01
FASTEST_M_S = 0.9 * SPEED_OF_SOUND
# A step of one frame that is so much longer than the two on either side, and so long, is a jump.
_OUTSTANDING, _LEAST_M, _LEAST_DEG = 8.0, 0.5, 15.0


def find_cuts(places: Array, heads: Array, frame_rate: float) -> list[int]:
    """The frames, ascending, that are reached by a jump from the frame before.

    places (n, frames, 3) of the listener and of all sources in metres; heads (frames, 3, 3) the listener's rotation.
    """
    if len(heads) < 2:
        return []
    steps_m = np.linalg.norm(np.diff(places, axis=1), axis=2)
    traces = np.einsum("fij,fij->f", heads[1:], heads[:-1])
    turns_deg = np.degrees(np.arccos(np.clip((traces - 1) / 2, -1, 1)))
    jumps = (steps_m * frame_rate > FASTEST_M_S).any(axis=0)
    jumps |= _outstanding(steps_m, _LEAST_M).any(axis=0)
    jumps |= _outstanding(turns_deg[None], _LEAST_DEG)[0]
    return [int(step) + 1 for step in np.flatnonzero(jumps)]


def _outstanding(steps: Array, least: float) -> npt.NDArray[np.bool_]:
    padded = np.pad(steps, ((0, 0), (2, 2)))
    count = steps.shape[1]
    around = np.max([padded[:, i : i + count] for i in (0, 1, 3, 4)], axis=0)
    return (steps > least) & (steps > _OUTSTANDING * around)


@dataclass(frozen=True)
class Stretch:
    """Frames `first` to `last` (exclusive) without a jump; it is heard from `start_s` to `end_s`, including fades of
    `fade_s` at a cut."""

    first: int
    last: int
    start_s: float
    end_s: float
    fade_s: float

    def is_whole(self, first_s: float, last_s: float) -> bool:
        """Whether nothing else is heard between these times."""
        return self.start_s + self.fade_s <= first_s and last_s <= self.end_s - self.fade_s

    def gain(self, times_s: Array) -> Array:
        """Raised cosines that add up to one with those of the stretches before and after."""
        rising = np.clip((times_s - self.start_s) / self.fade_s, 0, 1)
        falling = np.clip((self.end_s - times_s) / self.fade_s, 0, 1)
        return np.sin(np.pi / 2 * rising) ** 2 * np.sin(np.pi / 2 * falling) ** 2


def stretches(cuts: list[int], frame_count: int, frame_rate: float) -> Iterator[Stretch]:
    """The shot from cut to cut. A cut is heard in the middle between its two frames."""
    fade_s = min(_LONGEST_FADE_S, 1 / frame_rate)
    bounds = [0, *cuts, frame_count]
    for first, last in zip(bounds[:-1], bounds[1:], strict=True):
        start_s = (first - 0.5) / frame_rate - fade_s / 2 if first else -np.inf
        end_s = (last - 0.5) / frame_rate + fade_s / 2 if last < frame_count else np.inf
        yield Stretch(first, last, start_s, end_s, fade_s)
