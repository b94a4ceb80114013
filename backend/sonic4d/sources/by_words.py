"""Finding what is named: things a grounding model sees, ranked by how sure it is and by how they go with the sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from ..experts.protocols import GroundingModel, TrackingModel
from ..monitor import Monitor
from ..scene.depth import Frames
from ..scene.motion import MotionAnalysis, Mover
from .grounding import detections, keyframes, overlap
from .motion_link import SoundLink, sound_links
from .objects import Thing, things

Array = npt.NDArray[np.float64]

# Two things are one where their boxes overlap so much on the frames that show both.
SAME_THING = 0.5
# A thing takes the motion of the moving thing that its boxes overlap so much; else it has that of its own boxes.
SAME_MOTION = 0.3
# Moving with the sound makes up for being found half as surely, not for less.
SURE_ENOUGH = 0.5
FLOW_LONG_SIDE_PX = 320  # the picture that `Mover.speed_px` is measured in


@dataclass(frozen=True)
class Ranked:
    """A thing found by words, and why it is taken, in the user's words."""

    thing: Thing
    reason: str


def find_by_words(
    frames: Frames,
    mono: npt.NDArray[np.floating],
    rate: Fraction,
    motion: MotionAnalysis,
    words: Sequence[str | None],
    model: GroundingModel,
    track: TrackingModel,
    keyframe_step: int | None,
    monitor: Monitor,
) -> list[Ranked | None]:
    """For each of `words` the likeliest thing that isn't taken by an earlier one; None where nothing is left.

    words: None stands for whatever makes the sound. mono (samples,) at 48 kHz; the same words twice ask for two things.
    """
    indices = keyframes(len(frames), rate, model.interval_s, keyframe_step)
    ranked: dict[str | None, list[Ranked]] = {}
    for phrase in dict.fromkeys(words):
        found = detections(frames, indices, phrase, model, monitor)
        ranked[phrase] = _ranked(
            things(frames, found, track, monitor), len(indices), mono, rate, motion
        )
    result: list[Ranked | None] = []
    for phrase in words:
        taken = [other.thing for other in result if other is not None]
        free = (r for r in ranked[phrase] if not any(_same(r.thing, other) for other in taken))
        result.append(next(free, None))
    return result


def _ranked(
    found: list[Thing],
    asked: int,
    mono: npt.NDArray[np.floating],
    rate: Fraction,
    motion: MotionAnalysis,
) -> list[Ranked]:
    """The likeliest first: those that clearly move with the sound, else the surest."""
    if not found:
        return []
    links, _ = sound_links([_moving(thing, motion) for thing in found], mono, rate)
    best = max(thing.score for thing in found)

    def rank(i: int) -> tuple[float, float]:
        sounding = bool(links) and links[i].is_clear and found[i].score >= SURE_ENOUGH * best
        return (links[i].correlation if sounding else 0.0, found[i].score)

    order = sorted(range(len(found)), key=rank, reverse=True)
    return [
        Ranked(
            found[i],
            _reason(
                found[i],
                asked,
                links[i] if links else None,
                [found[j] for j in order if j != i],
            ),
        )
        for i in order
    ]


def _reason(thing: Thing, asked: int, link: SoundLink | None, others: list[Thing]) -> str:
    reason = f"found on {len(thing.on)} of {asked} frames asked about, confidence {thing.score:.2f}"
    if link is not None and link.is_clear:
        reason += f"; {link}"
    if others:
        reason += f"; also found: {', '.join(map(_place, others))}"
    return reason


def _place(thing: Thing) -> str:
    """Where a thing can be marked, for who wants it instead."""
    index = thing.on[0]
    x, y = (thing.boxes[index, :2] + thing.boxes[index, 2:]) / 2
    return (
        f"{thing.label or 'something'} (confidence {thing.score:.2f}, {x:.0%} from the left and "
        f"{y:.0%} from the top of frame {index})"
    )


def _same(a: Thing, b: Thing) -> bool:
    return _agreement(a.boxes, b.boxes) > SAME_THING


def _agreement(a: Array, b: Array) -> float:
    """Mean overlap of two tracks on the frames that show both; 0 where there are none."""
    both = np.isfinite(a).all(axis=1) & np.isfinite(b).all(axis=1)
    return float(np.mean([overlap(*pair) for pair in zip(a[both], b[both], strict=True)] or [0.0]))


def _moving(thing: Thing, motion: MotionAnalysis) -> Mover:
    """How a thing moves: as the moving thing there does, else as its boxes do."""
    agreements = [_agreement(thing.boxes, mover.boxes) for mover in motion.movers]
    if agreements and max(agreements) > SAME_MOTION:
        return motion.movers[int(np.argmax(agreements))]
    height, width = motion.labels.shape[1:]
    side = np.array([width, height]) / max(width, height) * FLOW_LONG_SIDE_PX
    centre = (thing.boxes[:, :2] + thing.boxes[:, 2:]) / 2 * side
    velocity = np.diff(centre, axis=0, prepend=centre[:1])
    change = np.diff(velocity, axis=0, prepend=velocity[:1])
    area = (thing.boxes[:, 2:] - thing.boxes[:, :2]).prod(axis=1)
    speed, turn = (np.nan_to_num(np.linalg.norm(v, axis=1)) for v in (velocity, change))
    return Mover(thing.boxes, speed, turn, np.nan_to_num(area))
