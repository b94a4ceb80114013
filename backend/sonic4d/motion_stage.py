"""What moves in a shot, for `generate`: analysed once, also where the generation is interrupted later on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from .kept_stages import Contents, kept_stage
from .monitor import Monitor
from .scene.depth import Frames
from .scene.motion import MotionAnalysis, Mover, analyse_motion

_ARRAYS = ("to_reference", "labels", "plate", "never_seen")
_PLAIN = ("is_static", "inlier_share")
_OF_MOVER = tuple(field.name for field in fields(Mover))


def motion_of_shot(frames: Frames, kept: Path, monitor: Monitor) -> MotionAnalysis:
    """`analyse_motion` of (n, H, W, 3) RGB frames. `kept`: the folder of what an interrupted generation had finished."""
    contents = kept_stage(
        kept, "motion", (frames,), lambda: _packed(analyse_motion(frames, monitor)), monitor
    )
    return _unpacked(*contents)


def _packed(motion: MotionAnalysis) -> Contents:
    arrays = {name: getattr(motion, name) for name in _ARRAYS}
    for number, mover in enumerate(motion.movers):
        arrays |= {f"{name}_{number}": getattr(mover, name) for name in _OF_MOVER}
    info = {name: getattr(motion, name) for name in _PLAIN}
    info["movers"] = len(motion.movers)
    return {name: array for name, array in arrays.items() if array is not None}, info


def _unpacked(arrays: Mapping[str, Any], info: Mapping[str, Any]) -> MotionAnalysis:
    movers = tuple(
        Mover(**{name: arrays[f"{name}_{number}"] for name in _OF_MOVER})
        for number in range(info["movers"])
    )
    plain = {name: info[name] for name in _PLAIN}
    return MotionAnalysis(movers, **plain, **{name: arrays.get(name) for name in _ARRAYS})
