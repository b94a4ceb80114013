"""How the cost of hifi grows: with the reflection order, the sources, the length, the reverberation time; of the paper's
mode: with the segments."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sonic4d.acoustics.hifi import render_hifi
from sonic4d.acoustics.paper import render_paper
from sonic4d.monitor import SILENT
from sonic4d.shot import MAX_REFLECTION_ORDER, Shot

from .task import Table, measured, noise, reference_shot

_RUNS = 3


def growth() -> list[Table]:
    """Cost as one thing grows and everything else stays as in the reference task."""
    orders = range(MAX_REFLECTION_ORDER + 1)
    return [
        _grown("reflection order", orders, render_hifi, lambda n: {"reflection_order": n}),
        _grown("sources", (1, 2, 4, 8), render_hifi, lambda n: {"sources": n}),
        _grown("length s", (5, 10, 20, 40), render_hifi, lambda n: {"seconds": n}),
        _grown("RT60 s", (0.2, 0.5, 1.0, 2.0), render_hifi, lambda t: {"rt60_s": t}),
        _grown("segments M", (25, 50, 100, 200, 400), render_paper, lambda n: {"segments": n}),
    ]


def _grown(
    what: str,
    values: Iterable[float],
    render: Callable[..., Any],
    setting: Callable[[Any], dict[str, Any]],
) -> Table:
    mode = "paper" if render is render_paper else "hifi"
    works: dict[str, Callable[[], object]] = {}
    for value in values:
        settings = setting(value)
        seconds = settings.get("seconds", 10)
        shot = reference_shot(24 * seconds, mode=mode, **settings)
        works[str(value)] = lambda shot=shot: _render(render, shot)
        works[str(value)]()
    rows: list[tuple[str | float, ...]] = [
        (float(value), wall, processor)
        for value, (wall, processor) in measured(works, _RUNS).items()
    ]
    return Table(f"{mode}: cost and {what}", (what, "wall s", "CPU s"), rows)


def _render(render: Callable[..., Any], shot: Shot) -> None:
    render(shot, [noise(shot, seed) for seed in range(len(shot.sources))], SILENT)
