"""Evaluate a whole ground-truth set and tell it: report.html, report.json and plots (`sonic4d evaluate run`)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import __version__
from ..files import new_folder, write_json
from ..monitor import Monitor
from ..room import Room
from .geometry import DEPTHS, FINDERS, Found, locate, scores
from .ground_truth.truth import REFERENCE, Truth, read_set
from .page import write_page
from .plots import plot_errors, plot_scene
from .settings import EvaluateSettings
from .signal import LISTENINGS, Listening, against_reference, lateral_errors_deg

Array = npt.NDArray[np.float64]

END_TO_END = tuple(one for one in LISTENINGS if one.format in ("stereo", "ambix1"))[:2]
_NOTHING = {"mean": None, "median": None, "p95": None}


def evaluate(settings: EvaluateSettings, monitor: Monitor) -> Path:
    """Write the report of a set into a new folder.

    "geometry": sources in the scene bundles of the clips, for each depth and way to find them. "signal": where each render
    mode's sound comes from when the sources are where they truly are. "reference": levels and waveforms against pyroomacoustics
    where the set has its sound. "end_to_end": the same of what was found in the clips.
    """
    truths = [
        truth
        for truth in read_set(settings.set)
        if not settings.scenes or truth.name in settings.scenes
    ]
    with new_folder(settings.output) as folder:
        found = _find_all(truths, monitor)
        heard = dict(_listen(truths, monitor))
        again = dict(_listen_to_found(found, monitor))
        report = {
            "sonic4d_evaluation": 1,
            "version": __version__,
            "scenes": [{"name": truth.name, "about": truth.about} for truth in truths],
            "geometry": [
                _geometry_row(depth, finder, all_) for (depth, finder), all_ in found.items()
            ],
            "signal": [
                {"listening": name, "where": where, **_figures(errors)}
                for (name, where), errors in heard.items()
            ],
            "reference": [
                {"scene": truth.name, "mode": mode, **against_reference(truth, mode, monitor)}
                for truth in truths
                for mode in ("paper", "fast")
                if (truth.folder / REFERENCE).is_file()
            ],
            "end_to_end": [
                {"finder": finder, "listening": name, **_figures(errors)}
                for (finder, name), errors in again.items()
            ],
        }
        write_json(folder / "report.json", report)
        for truth in truths:
            tracks = {
                f"{finder}, {depth} depth": [one for one in all_ if one.truth is truth]
                for (depth, finder), all_ in found.items()
            }
            plot_scene(folder / f"{truth.name}.png", truth, tracks)
        plot_errors(folder / "errors.png", found, heard)
        write_page(folder / "report.html", report)
    monitor.artifact("report", settings.output / "report.html")
    return settings.output / "report.html"


def _find_all(truths: Sequence[Truth], monitor: Monitor) -> dict[tuple[str, str], list[Found]]:
    pairs = [(depth, finder) for depth in DEPTHS for finder in FINDERS]
    found: dict[tuple[str, str], list[Found]] = {pair: [] for pair in pairs}
    total = len(pairs) * len(truths)
    for number, (truth, pair) in enumerate((t, p) for t in truths for p in pairs):
        monitor.progress("geometry", number, total, truth.name)
        found[pair] += locate(truth, *pair, monitor)
    monitor.progress("geometry", total, total)
    return found


def _listen(truths: Sequence[Truth], monitor: Monitor) -> Iterator[tuple[tuple[str, str], Array]]:
    places = {"open air": "free_field", "the scene's room or ground": None}
    total, number = len(places) * len(LISTENINGS) * len(truths), 0
    for where, kind in places.items():
        for listening in LISTENINGS:
            errors = []
            for truth in truths:
                monitor.progress("signal", number, total, f"{truth.name}: {listening.name}")
                number += 1
                room = truth.room if kind is None else replace(truth.room, kind=kind)
                errors += [
                    _heard(truth, i, room, listening, monitor) for i in range(len(truth.sources))
                ]
            yield (listening.name, where), np.concatenate(errors)


def _heard(truth: Truth, index: int, room: Room, listening: Listening, monitor: Monitor) -> Array:
    source = truth.sources[index]
    with tempfile.TemporaryDirectory() as work:
        return lateral_errors_deg(
            truth, source, source.positions, room, listening, Path(work), monitor
        )


def _listen_to_found(
    found: dict[tuple[str, str], list[Found]], monitor: Monitor
) -> Iterator[tuple[tuple[str, str], Array]]:
    """What zero-download experts found, rendered in the scene's room."""
    for finder in FINDERS:
        placed = [one for one in found["geometric", finder] if not one.problem]
        for listening in END_TO_END if placed else ():
            errors = []
            for number, one in enumerate(placed):
                monitor.progress("end to end", number, len(placed), one.truth.name)
                with tempfile.TemporaryDirectory() as work:
                    errors.append(
                        lateral_errors_deg(
                            one.truth,
                            one.source,
                            one.positions,
                            one.truth.room,
                            listening,
                            Path(work),
                            monitor,
                        )
                    )
            yield (finder, listening.name), np.concatenate(errors)


def _geometry_row(depth: str, finder: str, found: Sequence[Found]) -> dict[str, Any]:
    figures = scores(found).to_json()
    return {
        "depth": depth,
        "finder": finder,
        **{key: value for key, value in figures.items() if key != "per_class"},
        "sources": [
            {
                "scene": one.truth.name,
                "source": one.source.name,
                "angle_deg": _figures(one.angles_deg),
                "relative_distance_error": _figures(one.relative_distances),
                "problem": one.problem,
            }
            for one in found
        ],
    }


def _figures(errors: Array) -> dict[str, float | None]:
    known = abs(errors[np.isfinite(errors)])
    if not len(known):
        return dict(_NOTHING)
    return {
        "mean": float(known.mean()),
        "median": float(np.median(known)),
        "p95": float(np.percentile(known, 95)),
    }
