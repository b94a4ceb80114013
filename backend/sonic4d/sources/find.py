"""Stage II, first half: where in the picture is the thing that sounds?"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..experts.protocols import GroundingModel, TrackingModel
from ..monitor import Monitor
from ..protocol import Sonic4DError
from ..scene.depth import Frames
from ..scene.motion import MotionAnalysis, Mover, working_size
from .by_words import find_by_words
from .click import box_around, mover_at
from .motion_link import choose_mover, is_steady, most_typical_frame
from .tracking import MIN_SIDE_PX, track_box

Array = npt.NDArray[np.float64]
FoundBy = Literal["point", "box", "sound", "motion", "words"]

# Share of the frames a mover's own boxes have to cover to be used as they are.
LASTING = 0.9

MARK_HINT = "Show it with --point X,Y@FRAME or --box X0,Y0,X1,Y1@FRAME."


@dataclass(frozen=True)
class SourceSettings:
    """How the user wants the source to be found.

    point: x, y, frame; box: x0, y0, x1, y1, frame; both as fractions of the picture, frames from 0. words: what sounds, one
    entry for each source. keyframe_step: see `grounding.keyframes`.
    """

    point: tuple[float, float, int] | None = None
    box: tuple[float, float, float, float, int] | None = None
    words: tuple[str, ...] = ()
    keyframe_step: int | None = None


@dataclass(frozen=True)
class Finders:
    """The experts for it. model: finds by words, or None, then why_not says why; required: nothing else may take its place."""

    model: GroundingModel | None = None
    required: bool = False
    why_not: str = ""
    track: TrackingModel = track_box


@dataclass(frozen=True)
class Finding:
    """A source in the picture: boxes (n, 4) as fractions of the picture, NaN rows where it is not seen, confidence (n,)."""

    name: str
    boxes: Array
    confidence: Array
    found_by: FoundBy
    reason: str
    warnings: tuple[str, ...] = ()


def find_sources(
    frames: Frames,
    mono: npt.NDArray[np.floating],
    frame_rate: Fraction,
    motion: MotionAnalysis,
    settings: SourceSettings,
    finders: Finders,
    monitor: Monitor,
) -> tuple[Finding, ...]:
    """Find the sounding objects of one continuous shot, one at least.

    frames (n, H, W, 3) RGB, mono (samples,) at 48 kHz from the first frame on, motion: the analysis of the same frames. A
    marked object is tracked; else a model finds what the words say; else it is the moving thing that goes with the sound, or
    the largest. Raises `Sonic4DError` where nothing is found, and what `check_source` raises.
    """
    check_source(settings, frames)
    track = finders.track
    name = settings.words[0] if len(settings.words) == 1 else ""
    if settings.box:
        *box, index = settings.box
        box = np.clip(box, 0, 1)
        how = "marked by a box"
        return (_tracked(frames, box, index, "box", how, name, track, monitor),)
    if settings.point:
        x, y, index = settings.point
        mover = mover_at((x, y), index, motion)
        if mover is not None:
            how = "marked by a point: the moving thing there"
            return (_moving(frames, mover, index, "point", how, name, track, monitor),)
        box, how = box_around(frames[index], (x, y))
        how = f"marked by a point: {how}"
        return (_tracked(frames, box, index, "point", how, name, track, monitor),)
    warnings: tuple[str, ...] = ()
    if finders.model is not None:
        found, warnings = _by_words(frames, mono, frame_rate, motion, settings, finders, monitor)
        if found:
            return found
    elif settings.words:
        what = " and ".join(f'"{phrase}"' for phrase in settings.words)
        warnings = (
            f"{finders.why_not} What sounds was looked for by motion and sound instead, not by the "
            f"words {what}. {MARK_HINT}".lstrip(),
        )
    monitor.check()
    choice = choose_mover(motion.movers, mono, frame_rate)
    best = most_typical_frame(choice.mover.boxes)
    finding = _moving(
        frames, choice.mover, best, choice.found_by, choice.reason, name, track, monitor
    )
    return (replace(finding, warnings=warnings + finding.warnings),)


def _by_words(
    frames: Frames,
    mono: npt.NDArray[np.floating],
    frame_rate: Fraction,
    motion: MotionAnalysis,
    settings: SourceSettings,
    finders: Finders,
    monitor: Monitor,
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """What the model finds, and a warning for what it doesn't, which goes to the first finding as well."""
    assert finders.model is not None
    words = settings.words or (None,)
    ranked = find_by_words(
        frames,
        mono,
        frame_rate,
        motion,
        words,
        finders.model,
        finders.track,
        settings.keyframe_step,
        monitor,
    )
    lacking = [
        phrase or "anything that sounds" for phrase, r in zip(words, ranked, strict=True) if not r
    ]
    found = [
        Finding(
            phrase or r.thing.label,
            r.thing.boxes,
            r.thing.confidence,
            "words",
            f"{r.reason}; {_seen(r.thing.boxes)}",
            _rarely_seen(r.thing.boxes),
        )
        for phrase, r in zip(words, ranked, strict=True)
        if r
    ]
    warnings: tuple[str, ...] = ()
    if lacking:
        what = " and ".join(f'"{phrase}"' for phrase in lacking)
        if finders.required and not found:
            raise Sonic4DError(
                "not_found",
                f"The grounding model doesn't find {what} in the clip.",
                f"Say it in other words, or show it. {MARK_HINT}",
            )
        warnings = (f"The grounding model doesn't find {what} in the clip. {MARK_HINT}",)
    if found:
        found[0] = replace(found[0], warnings=warnings + found[0].warnings)
    return tuple(found), warnings


def check_source(settings: SourceSettings, frames: Frames) -> None:
    """Raises `Sonic4DError` for a mark outside the clip and for one that can't be followed."""
    if settings.point and settings.box:
        raise Sonic4DError("bad_option", "Both a point and a box are given.", "Give one of them.")
    if settings.box:
        *box, index = settings.box
        _check_box(box, frames)
        _check_frame(index, len(frames))
    elif settings.point:
        x, y, index = settings.point
        _check_point(x, y)
        _check_frame(index, len(frames))


def _moving(
    frames: Frames,
    mover: Mover,
    index: int,
    found_by: FoundBy,
    how: str,
    name: str,
    track: TrackingModel,
    monitor: Monitor,
) -> Finding:
    """A mover's own boxes; where these jump (things merge, the camera moves) or miss frames, it is tracked from frame `index`.

    A thing that is only coming or going has no boxes before or after: the tracker knows as well, but finds one that rests.
    """
    seen = np.isfinite(mover.boxes).all(axis=1)
    if is_steady(mover.boxes) and seen.mean() > LASTING:
        reason = f"{how}; {_seen(mover.boxes)}"
        return Finding(name, mover.boxes, seen.astype(np.float64), found_by, reason)
    how += f"; as its outline jumps or is missing, it was followed by its looks from frame {index}"
    return _tracked(frames, mover.boxes[index], index, found_by, how, name, track, monitor)


def _tracked(
    frames: Frames,
    box: Array,
    index: int,
    found_by: FoundBy,
    how: str,
    name: str,
    track: TrackingModel,
    monitor: Monitor,
) -> Finding:
    boxes, confidence = track(frames, tuple(box), index, monitor)
    seen = np.isfinite(boxes).all(axis=1)
    reason = f"{how}; recognised in {seen.sum()} of {len(frames)} frames"
    if seen.any():
        reason += f", mean similarity {confidence[seen].mean():.2f}"
    return Finding(name, boxes, confidence, found_by, reason, _rarely_seen(boxes))


def _seen(boxes: Array) -> str:
    return f"seen in {np.isfinite(boxes).all(axis=1).sum()} of {len(boxes)} frames"


def _rarely_seen(boxes: Array) -> tuple[str, ...]:
    seen = np.isfinite(boxes).all(axis=1)
    if seen.mean() >= 0.5:
        return ()
    return (
        f"The object was recognised in only {seen.sum()} of {len(boxes)} frames; "
        "elsewhere its position is interpolated or held.",
    )


def _check_point(x: float, y: float) -> None:
    if not (0 <= x < 1 and 0 <= y < 1):
        raise Sonic4DError(
            "point_outside",
            "The point lies outside the picture.",
            "Count pixels from the picture's upper left corner.",
        )


def _check_frame(index: int, n: int) -> None:
    if not 0 <= index < n:
        raise Sonic4DError(
            "frame_out_of_range",
            f"Frame {index} is not in the clip: it has {n} frames, counted from 0.",
            f"Give a frame from 0 to {n - 1}.",
        )


def _check_box(box: list[float], frames: Frames) -> None:
    corners = "Give the upper left corner first: X0,Y0,X1,Y1 in pixels."
    x0, y0, x1, y1 = box
    if not all(map(math.isfinite, box)) or x1 <= x0 or y1 <= y0:
        raise Sonic4DError("bad_box", "The box is empty or its corners are swapped.", corners)
    inside = np.clip([x0, y0, x1, y1], 0, 1)
    sides = inside[2:] - inside[:2]
    if (sides <= 0).any():
        raise Sonic4DError("box_outside", "The box lies outside the picture.", corners)
    height, width = frames.shape[1:3]
    scale = working_size(height, width)[1] / width
    if (sides * (width, height) * scale < MIN_SIDE_PX).any():
        raise Sonic4DError(
            "box_too_small",
            "The box is too small to be followed.",
            "Draw it larger, or give a --point instead.",
        )
