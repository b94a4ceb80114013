"""What the sections found, as text, Markdown, JSON and plots."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict
from datetime import date
from pathlib import Path

import numpy as np
import sonic4d

from .task import RUNS, Table

_ABOUT = """# Benchmarks

Made by `python3 scripts/benchmark.py --output docs` (medians of {runs} interleaved runs in one process where nothing else is
said). {machine}

Times depend on the machine; compare within a table.
"""


def _cell(value: str | float) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) or float(value).is_integer():
        return f"{value:.0f}"
    return f"{value:.2e}" if abs(value) < 1e-3 else f"{value:.4g}"


def as_text(table: Table) -> str:
    """The table for a terminal."""
    cells = [list(table.columns), *[[_cell(value) for value in row] for row in table.rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(table.columns))]
    lines = ["  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in cells]
    return "\n".join([table.title, *lines, table.note, ""])


def _as_markdown(table: Table) -> str:
    def line(cells: list[str]) -> str:
        return f"| {' | '.join(cells)} |"

    rows = [line([_cell(value) for value in row]) for row in table.rows]
    head = [line(list(table.columns)), line(["---"] * len(table.columns))]
    return "\n".join([f"## {table.title}", "", *head, *rows, "", table.note]).rstrip() + "\n"


def write(sections: dict[str, list[Table]], folder: Path) -> None:
    """benchmarks.md, benchmarks.json and, of the section growth, benchmarks.png."""
    folder.mkdir(parents=True, exist_ok=True)
    machine = _machine()
    data = {
        "machine": machine,
        "sections": {
            name: [asdict(table) for table in tables] for name, tables in sections.items()
        },
    }
    (folder / "benchmarks.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    parts = [_ABOUT.format(runs=RUNS, machine=machine)]
    if "growth" in sections:
        _plot(sections["growth"], folder / "benchmarks.png")
        parts.append("![Cost as one thing grows](benchmarks.png)\n")
    parts += [_as_markdown(table) for tables in sections.values() for table in tables]
    (folder / "benchmarks.md").write_text("\n".join(parts), encoding="utf-8")


def _machine() -> str:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if "model name" in line), model)
    return (
        f"{date.today()}: {os.cpu_count()} processors ({model}), {platform.system()}, Python "
        f"{platform.python_version()}, Sonic4D {sonic4d.__version__}."
    )


def _plot(tables: list[Table], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        1, len(tables), figsize=(3.2 * len(tables), 3), layout="constrained"
    )
    for axis, table in zip(axes, tables, strict=True):
        values = np.array([[float(value) for value in row] for row in table.rows])
        for column, name in ((1, "wall"), (2, "CPU")):
            axis.plot(values[:, 0], values[:, column], marker="o", label=name)
        axis.set(xlabel=table.columns[0], ylabel="seconds", title=table.title, ylim=(0, None))
        axis.title.set_fontsize(9)
        axis.grid(alpha=0.3)
        axis.legend()
    figure.savefig(path, dpi=90)
    pyplot.close(figure)
