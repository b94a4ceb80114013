"""Where a shot's depth comes from: maps that were given, a learned model, or geometry alone (Stage I of `generate`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from . import LICENCE, __version__
from .bundle import Expert
from .experts.choose import AUTO, Choice, choose
from .experts.machine import Machine, has_torch, this_machine
from .experts.registry import of_job
from .experts.store import is_cached, parse_overrides
from .geometry.cameras import Intrinsics
from .media.video import Clip
from .monitor import Monitor
from .scene.depth import DepthResult
from .scene.depth_maps import read_depth_maps
from .scene.geometric import geometric_depth
from .scene.motion import MotionAnalysis
from .settings import GenerateSettings

GEOMETRIC = "geometric"


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
    monitor: Monitor,
) -> tuple[DepthResult, tuple[Expert, ...]]:
    """The shot's depth, and whom it is from."""
    if source.maps is not None:
        name = Path(settings.depth).name
        result = source.maps
        experts = (Expert("depth", name, "", "as given", "The depth maps that were given."),)
    elif source.choice is not None:
        result, experts = _by_model(source, shot, motion, k, settings, monitor)
    else:
        result = geometric_depth(shot.frames, motion, k, settings.eye_height_m, monitor)
        experts = (Expert("depth", GEOMETRIC, __version__, LICENCE, source.reason),)
    if settings.metres_per_unit is not None:
        result = _scaled(result, settings.metres_per_unit)
    return replace(result, warnings=(*source.warnings, *result.warnings)), experts


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
