"""How a clip is cut into stretches that the models know, and how much of what they see and make belongs to each.

No torch here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt

CLIP_HZ = 8  # pictures a second that CLIP sees
SYNC_HZ = 25  # pictures a second that Synchformer sees
SEGMENT, HOP = 16, 8  # pictures of one Synchformer segment, and from one to the next
TRAINED_S = 8  # the models were trained on clips of this length
SHORTEST_S = 1  # shorter clips are made so long and cut
LONGEST_S = 10  # longer ones are made in windows of TRAINED_S
OVERLAP_S = 2  # at least; whole seconds are steps of both picture rates


@dataclass(frozen=True)
class Window:
    """A stretch of the clip: where it begins, and what belongs to it."""

    start_s: int
    first_latent: int
    latents: int
    clip_frames: int
    sync_segments: int

    @property
    def clip_times_s(self) -> list[Fraction]:
        return [self.start_s + Fraction(i, CLIP_HZ) for i in range(self.clip_frames)]

    @property
    def sync_times_s(self) -> list[Fraction]:
        count = SEGMENT + HOP * (self.sync_segments - 1)
        return [self.start_s + Fraction(i, SYNC_HZ) for i in range(count)]


def window(duration_s: Fraction, latents_a_second: Fraction, start_s: int = 0) -> Window:
    """A stretch of any length of at least SHORTEST_S; it counts as upstream's SequenceConfig does."""
    return Window(
        start_s,
        round(start_s * latents_a_second),
        math.ceil(duration_s * latents_a_second),
        math.floor(duration_s * CLIP_HZ),
        (math.floor(duration_s * SYNC_HZ) - SEGMENT) // HOP + 1,
    )


def windows(duration_s: Fraction, latents_a_second: Fraction) -> list[Window]:
    """One window, or as many of TRAINED_S as cover the clip, evenly spread; the last may reach beyond its end."""
    if duration_s <= LONGEST_S:
        return [window(max(duration_s, Fraction(SHORTEST_S)), latents_a_second)]
    last_s = math.ceil(duration_s) - TRAINED_S
    steps = math.ceil(last_s / (TRAINED_S - OVERLAP_S))
    starts = [i * last_s // steps for i in range(steps + 1)]
    plan = [window(Fraction(TRAINED_S), latents_a_second, start_s) for start_s in starts]
    # Where a window begins is rounded to a latent; the last one must not end early for that.
    rest = math.ceil(duration_s * latents_a_second) - plan[-1].first_latent
    return [*plan[:-1], replace(plan[-1], latents=max(plan[-1].latents, rest))]


def latent_count(plan: list[Window]) -> int:
    return plan[-1].first_latent + plan[-1].latents


def weights(plan: list[Window], latents_a_second: Fraction) -> list[npt.NDArray[np.float32]]:
    """How much each window counts at each of its latents: ramps of OVERLAP_S between neighbours; they sum to 1."""
    ramp = int(OVERLAP_S * latents_a_second)
    total = np.zeros(latent_count(plan))
    tapers = []
    for i, part in enumerate(plan):
        position = np.arange(part.latents)
        rise = (position + 1) / (ramp + 1) if i > 0 else np.ones(part.latents)
        fall = (part.latents - position) / (ramp + 1) if i < len(plan) - 1 else rise * 0 + 1
        tapers.append(np.minimum(1, np.minimum(rise, fall)))
        total[part.first_latent : part.first_latent + part.latents] += tapers[-1]
    return [
        (taper / total[part.first_latent : part.first_latent + part.latents]).astype(np.float32)
        for part, taper in zip(plan, tapers, strict=True)
    ]


def frame_shown(time_s: Fraction, frame_rate: Fraction, frame_count: int) -> int:
    """The first picture at or after a time; the last one stays."""
    return min(math.ceil(time_s * frame_rate), frame_count - 1)
