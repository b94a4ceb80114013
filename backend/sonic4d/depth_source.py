"""Where a shot's depth comes from: maps that were given, a learned model, or geometry alone (Stage I of `generate`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from . import LICENCE, __version__
from .bundle import Expert
from .experts.choose import AUTO, Choice, choose
from .experts.machine import Machine, has_torch, this_machine
from .experts.registry import of_job
from .experts.store import is_cached, parse_overrides
from .geometry.cameras import Intrinsics
from .kept_stages import Contents, kept_stage
from .media.video import Clip
from .monitor import Monitor
from .scene.depth import DepthResult, Points
from .scene.depth_maps import read_depth_maps
from .scene.geometric import geometric_depth
from .scene.motion import MotionAnalysis
from .settings import GenerateSettings

GEOMETRIC = "geometric"
_ARRAYS = ("depth_m", "camera_to_world", "confidence", "foreground")
_POINTS = "background_"


@dataclass(frozen=True)
class DepthSource:
    """maps: as given. choice, machine: of the learned model. reason: why geometric depth, where both are None."""

    maps: DepthResult | None = None
    choice: Choice | None = None
    machine: Machine | None = None
    reason: str = "Asked for."
    warnings: tuple[str, ...] = ()


def choose_depth(
    clip: Clip, first: int, end: int, settings: GenerateSettings, monitor: Monitor
) -> DepthSource:
    """Decide, before the long work, for the frames first:end of a clip. Raises `Sonic4DError` where what is asked for isn't there."""
    if settings.depth == GEOMETRIC:
        return DepthSource()
    names = [name for model in of_job("depth") for name in (model.option, model.name)]
    if settings.depth not in (AUTO, *names):
        return DepthSource(maps=_given(clip, first, end, settings, monitor))
    overrides = parse_overrides(settings.model)
    given = any(name in overrides for name in ("depth", *names))
    if settings.depth == AUTO and not given:
        here = [model.name for model in of_job("depth") if is_cached(model)]
        if not here:
            return DepthSource(
                reason="No depth model is on this machine; geometric depth needs none. It is approximate."
            )
        if not has_torch():
            return _fallback(f"{here[0]} can't be used without torch.")
    monitor.progress("loading", 0, 1)
    machine = this_machine()
    choice = choose("depth", settings.depth, overrides, machine)
    monitor.progress("loading", 1, 1)
    if choice.ready is None:
        return _fallback(choice.reason)
    monitor.log(f"Depth by {choice.ready.model.name}. {choice.reason}")
    return DepthSource(choice=choice, machine=machine)


def find_depth(
    source: DepthSource,
    shot: Clip,
    motion: MotionAnalysis,
    k: Intrinsics,
    settings: GenerateSettings,
    kept: Path,
    monitor: Monitor,
) -> tuple[DepthResult, tuple[Expert, ...]]:
    """The shot's depth, and whom it is from. `kept`: the folder of what an interrupted generation had finished."""
    if source.maps is not None:
        name = Path(settings.depth).name
        result = source.maps
        experts = (Expert("depth", name, "", "as given", "The depth maps that were given."),)
    else:
        ready = source.choice.ready if source.choice else None
        model = (ready.model.name, ready.commits, ready.folders) if ready else GEOMETRIC
        how = (model, settings.depth_units, settings.eye_height_m, settings.model)
        contents = kept_stage(
            kept,
            "depth",
            (shot.frames, k, *how),
            lambda: _packed(*_found(source, shot, motion, k, settings, monitor)),
            monitor,
        )
        result, experts = _unpacked(*contents)
    if settings.metres_per_unit is not None:
        result = _scaled(result, settings.metres_per_unit)
    return replace(result, warnings=(*source.warnings, *result.warnings)), experts


def _found(
    source: DepthSource,
    shot: Clip,
    motion: MotionAnalysis,
    k: Intrinsics,
    settings: GenerateSettings,
    monitor: Monitor,
) -> tuple[DepthResult, tuple[Expert, ...]]:
    if source.choice is not None:
        return _by_model(source, shot, motion, k, settings, monitor)
    result = geometric_depth(shot.frames, motion, k, settings.eye_height_m, monitor)
    return result, (Expert("depth", GEOMETRIC, __version__, LICENCE, source.reason),)


def _packed(depth: DepthResult, experts: tuple[Expert, ...]) -> Contents:
    plain = {name: getattr(depth, name) for name in _ARRAYS}
    points = vars(depth.background) if depth.background is not None else {}
    arrays = {**plain, **{_POINTS + name: array for name, array in points.items()}}
    info = {entry.name: getattr(depth, entry.name) for entry in fields(depth)}
    for name in (*_ARRAYS, "background"):
        del info[name]
    info["experts"] = [asdict(expert) for expert in experts]
    return {name: array for name, array in arrays.items() if array is not None}, info


def _unpacked(
    arrays: Mapping[str, Any], info: Mapping[str, Any]
) -> tuple[DepthResult, tuple[Expert, ...]]:
    points = {
        name.removeprefix(_POINTS): a for name, a in arrays.items() if name.startswith(_POINTS)
    }
    values = {
        **info,
        **{name: arrays.get(name) for name in _ARRAYS},
        "background": Points(**points) if points else None,
        "warnings": tuple(info["warnings"]),
    }
    experts = tuple(Expert(**expert) for expert in values.pop("experts"))
    return DepthResult(**values), experts


def _fallback(reason: str) -> DepthSource:
    return DepthSource(
        reason=f"{reason} Geometric depth needs no model. It is approximate.",
        warnings=(f"{reason} Geometric depth is used instead, which is approximate.",),
    )


def _by_model(
    source: DepthSource,
    shot: Clip,
    motion: MotionAnalysis,
    k: Intrinsics,
    settings: GenerateSettings,
    monitor: Monitor,
) -> tuple[DepthResult, tuple[Expert, ...]]:
    from .experts.depth.expert import model_depth

    assert source.choice is not None
    assert source.machine is not None
    depth = model_depth(
        source.choice,
        shot.frames,
        motion,
        k,
        settings.eye_height_m,
        settings.depth_units,
        parse_overrides(settings.model),
        source.machine,
        monitor,
    )
    reasons = (source.choice.reason, "Brings it to metres.")
    experts = tuple(
        Expert("depth", ready.model.name, ready.commit, ready.model.licence_text, reason)
        for ready, reason in zip(depth.models, reasons, strict=False)
    )
    return depth.result, experts


def _given(
    clip: Clip, first: int, end: int, settings: GenerateSettings, monitor: Monitor
) -> DepthResult:
    """The part first:end of depth maps that were given."""
    maps = read_depth_maps(
        Path(settings.depth),
        clip.frames.shape[:3],
        settings.depth_kind,
        settings.depth_scale,
        monitor,
    )
    return replace(
        maps, depth_m=maps.depth_m[first:end], camera_to_world=maps.camera_to_world[first:end]
    )


def _scaled(depth: DepthResult, factor: float) -> DepthResult:
    """All lengths times `factor`."""
    cameras = depth.camera_to_world.copy()
    cameras[:, :3, 3] *= factor
    background = depth.background
    if background is not None:
        background = replace(
            background,
            xyz=background.xyz * np.float32(factor),
            radius_m=background.radius_m * np.float32(factor),
        )
    return replace(
        depth,
        depth_m=depth.depth_m * np.float32(factor),
        camera_to_world=cameras,
        background=background,
        metric=False,
    )
