"""Are sources where the scene bundle says they are? Stages I and II against ground truth."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bundle import read_bundle
from ..generate import generate
from ..monitor import Monitor
from ..protocol import Sonic4DError
from ..settings import GenerateSettings
from .ground_truth.truth import CLIP, DEPTH, TrueSource, Truth, labels
from .seld import Scores, score

Array = npt.NDArray[np.float64]

DEPTHS = ("truth", "geometric")
FINDERS = ("box", "motion")


@dataclass(frozen=True)
class Found:
    """A source that was looked for in a scene.

    positions (n_frames, 3): where it was found, carried over to the truth's cameras; all NaN where it wasn't, `problem` says
    why. angles_deg, relative_distances: errors in the frames in which the source is in the picture.
    """

    truth: Truth
    source: TrueSource
    positions: Array
    angles_deg: Array
    relative_distances: Array
    problem: str = ""


def locate(truth: Truth, depth: str, finder: str, monitor: Monitor) -> list[Found]:
    """Make bundles of the scene's clip with one of `DEPTHS` and one of `FINDERS`; tell where the sources are in them.

    "box": each source is marked where it is first seen, then tracked. "motion": nothing is marked; of several sources one is
    looked for, and taken to be the one that is nearest to what was found.
    """
    if finder == "box":
        return [
            _compare(truth, source, *_bundle_positions(truth, depth, source, monitor))
            for source in truth.sources
        ]
    positions, problem = _bundle_positions(truth, depth, None, monitor)
    found = [_compare(truth, source, positions, problem) for source in truth.sources]
    return [min(found, key=lambda one: float(np.nan_to_num(one.angles_deg, nan=180).mean()))]


def scores(found: Sequence[Found]) -> Scores:
    """SELD scores of all that was looked for: macro over the classes that occur."""
    classes = sorted({one.source.class_index for one in found})
    pairs = []
    for one in found:
        number = classes.index(one.source.class_index)
        true = np.where(_in_picture(one.source)[:, None], one.source.positions, np.nan)
        estimate = np.where(np.isfinite(true), one.positions, np.nan)
        cameras, rate = one.truth.cameras, one.truth.frame_rate
        pairs.append(
            (
                labels([(number, true)], cameras, rate),
                labels([(number, estimate)], cameras, rate),
            )
        )
    return score(pairs, len(classes))


def _bundle_positions(
    truth: Truth, depth: str, marked: TrueSource | None, monitor: Monitor
) -> tuple[Array, str]:
    """Where the bundle's source is (n_frames, 3), seen from the truth's cameras; NaN and a reason where there is none."""
    options: dict[str, Any] = {
        "video": str(truth.folder / CLIP),
        "depth": str(truth.folder / DEPTH) if depth == "truth" else depth,
        "max_points": 2000,  # nobody looks at them
    }
    if marked is not None:
        frame = int(np.argmax(_in_picture(marked)))
        options["box"] = ",".join(f"{v:.1f}" for v in marked.boxes[frame]) + f"@{frame}"
    with tempfile.TemporaryDirectory() as work:
        options["output"] = str(Path(work) / "found.sonic4d")
        quiet = replace(monitor, report=lambda event: None)
        try:
            bundle = read_bundle(generate(GenerateSettings.from_json(options), quiet))
        except Sonic4DError as error:
            return np.full((truth.frame_count, 3), np.nan), error.message
    positions = np.full((truth.frame_count, 3), np.nan)
    for i, place in enumerate(bundle.sources[0].positions):
        view = np.linalg.inv(bundle.cameras[i]) @ [*place, 1]
        positions[i] = (truth.cameras[i] @ view)[:3]
    return positions, ""


def _compare(truth: Truth, source: TrueSource, positions: Array, problem: str) -> Found:
    seen = _in_picture(source)
    eyes = truth.cameras[seen, :3, 3]
    true, found = source.positions[seen] - eyes, positions[seen] - eyes
    true_m, found_m = np.linalg.norm(true, axis=1), np.linalg.norm(found, axis=1)
    cosines = (true * found).sum(axis=1) / (true_m * found_m)
    angles_deg = np.degrees(np.arccos(np.clip(cosines, -1, 1)))
    return Found(truth, source, positions, angles_deg, abs(found_m - true_m) / true_m, problem)


def _in_picture(source: TrueSource) -> npt.NDArray[np.bool_]:
    return np.isfinite(source.boxes).all(axis=1)
