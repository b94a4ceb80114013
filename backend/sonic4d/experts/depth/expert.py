"""The depth of a clip by learned models: chosen, run, steadied, brought to metres, made a scene of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...geometry.cameras import Intrinsics
from ...monitor import Monitor
from ...protocol import Sonic4DError
from ...scene.depth import DepthResult, Frames
from ...scene.flow import Map
from ...scene.geometric.horizon import sky_mask
from ...scene.motion import MotionAnalysis
from ..choose import Choice, choose, load
from ..machine import Machine
from ..running import free_memory
from ..store import Ready
from .alignment import steadied
from .metres import in_crafter_units, in_metres, metres_by_samples
from .scene import scene_of

METRIC = ("depth-anything-indoor", "depth-anything-outdoor")
SKY_SHARE = 0.01
LEAST_M = 1e-4

_NO_METRES = "Lengths are not metres, the nearest is taken to be 2.56 m away: {error}"


@dataclass(frozen=True)
class ModelDepth:
    """result: the scene. models: what was used, the main one first."""

    result: DepthResult
    models: tuple[Ready, ...]


def model_depth(
    choice: Choice,
    frames: Frames,
    motion: MotionAnalysis,
    intrinsics: Intrinsics,
    eye_height_m: float,
    units: str,
    overrides: Mapping[str, Path],
    machine: Machine,
    monitor: Monitor,
) -> ModelDepth:
    """The scene of one continuous shot by the chosen model.

    units: "metres", "trajectorycrafter" (the scale of its pipeline, not metres), or "auto": metres if a metric model is here.
    overrides: model -> local folder, as for `choose`. Raises `Sonic4DError`, `Cancelled`.
    """
    assert choice.ready is not None
    estimate = load(choice.ready, machine)(frames, monitor)
    free_memory()  # before the next model is loaded
    _check(estimate.values, choice.ready)
    values, metres = estimate.values, None
    if estimate.kind == "metric":
        metres = values[_some(len(values))].copy()
        np.reciprocal(np.maximum(values, LEAST_M), out=values)
    if not estimate.steady:
        values = steadied(values, frames, monitor)
    models, warnings = (choice.ready,), choice.warnings
    try:
        if units == "trajectorycrafter":
            depth_m, metric = in_crafter_units(values), False
        elif metres is not None:
            depth_m, metric = metres_by_samples(values, values[_some(len(values))], metres), True
        else:
            helper = _metric_model(frames, overrides, machine)
            depth_m, metric = in_metres(values, frames, load(helper, machine), monitor), True
            models = (*models, helper)
    except Sonic4DError as error:
        if units == "metres" or error.code not in ("missing_model", "no_metres"):
            raise
        depth_m, metric = in_crafter_units(values), False
        warnings = (*warnings, _NO_METRES.format(error=error))
    result = scene_of(depth_m, frames, motion, intrinsics, eye_height_m, monitor)
    assumptions = {**result.assumptions, "depth_units": "metres" if metric else "relative"}
    if estimate.focal_px is not None:
        focal, width = float(np.median(estimate.focal_px)), frames.shape[2]
        assumptions["model_fov_deg"] = 2 * float(np.degrees(np.arctan(width / 2 / focal)))
    warnings = (*warnings, *result.warnings)
    result = replace(result, metric=metric, assumptions=assumptions, warnings=warnings)
    return ModelDepth(result, models)


def _metric_model(frames: Frames, overrides: Mapping[str, Path], machine: Machine) -> Ready:
    """The metric model for outdoors, if there is a sky, or indoors; else the other of the two.

    Raises `Sonic4DError` "missing_model" of the first where none is here.
    """
    outdoors = sky_mask(frames[0]).mean() > SKY_SHARE
    others = {name: path for name, path in overrides.items() if name != "depth"}
    missing = None
    for option in reversed(METRIC) if outdoors else METRIC:
        try:
            ready = choose("depth", option, others, machine).ready
            assert ready is not None
            return ready
        except Sonic4DError as error:
            if error.code != "missing_model":
                raise
            missing = missing or error
    assert missing is not None
    raise missing


def _some(count: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, 8).astype(int))


def _check(values: Map, ready: Ready) -> None:
    if not np.isfinite(values).all() or float(np.ptp(values)) <= 0:
        raise Sonic4DError(
            "no_depth",
            f"{ready.model.name} found no depth in this clip: its answer is flat or not a number.",
            "Use another model, or --depth geometric.",
        )
