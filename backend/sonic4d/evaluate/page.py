"""The evaluation's report as a page that any browser shows, without a network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

# Table 1 of the paper: F at 20 degrees, azimuth error, distance errors.
PAPER_TABLE_1 = (
    ("Ground truth", "6.5 %", "7.2", "23.67", "0.15"),
    ("ViSAGE", "0.4 %", "31.5", "101.18", "0.49"),
    ("Sonic4D", "4.0 %", "18.6", "75.20", "0.44"),
)

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 64rem; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; } caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { padding: .25rem .8rem; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; } img { max-width: 100%; display: block; margin: 1rem 0; }
"""

_COMPARABLE = """The paper's figures come from another task: a trained network (SELDnet) listened to stereo renders of excerpts
of STARSS23, which also have classes to tell apart and distances given in another unit. The figures here are of rendered scenes whose truth
is exact: "in scene bundles" compares the tracked source itself, before any sound is rendered; "rendered sound" asks estimators of
direction. Directions (DOA error) can be compared in kind, F and distances can't."""


def write_page(path: Path, report: dict[str, Any]) -> None:
    """Write the page of report.json; the plots lie beside it."""
    scenes = report["scenes"]
    parts = [
        "<h1>Sonic4D against ground truth</h1>",
        f"<p>Version {escape(report['version'])}; {len(scenes)} scenes.</p>",
        _table(
            "Sources in scene bundles",
            ("found by", "depth", "F20 %", "DOA error deg", "distance error m", "relative", "SELD"),
            (
                (
                    row["finder"],
                    row["depth"],
                    _number(row["f20"], 100),
                    _number(row["doae_deg"]),
                    _number(row["distance_error_m"]),
                    _number(row["relative_distance_error"]),
                    _number(row["seld"]),
                )
                for row in report["geometry"]
            ),
        ),
        '<p>"box": marked where it is first seen, then tracked; "motion": nothing marked.</p>',
        _table(
            "Rendered sound, sources where they truly are: error of the lateral angle, degrees",
            ("heard by", "where", "mean", "median", "95 %"),
            ((row["listening"], row["where"], *_three(row)) for row in report["signal"]),
        ),
        _table(
            "From the video to the sound, geometric depth: error of the lateral angle, degrees",
            ("found by", "heard by", "mean", "median", "95 %"),
            ((row["finder"], row["listening"], *_three(row)) for row in report["end_to_end"]),
        ),
        _table(
            "Rendered sound against pyroomacoustics: two microphones, the scene's own sounds",
            ("scene", "mode", "level dB", "correlation"),
            (
                (row["scene"], row["mode"], _number(row["level_db"]), _number(row["correlation"]))
                for row in report["reference"]
            ),
        ),
        '<img src="errors.png" alt="How errors are distributed">',
        _table(
            "The paper's Table 1",
            ("", "F20", "azimuth error deg", "distance error", "relative"),
            PAPER_TABLE_1,
        ),
        f"<p>{escape(_COMPARABLE)}</p>",
        "<h2>Scene by scene</h2>",
        _table(
            "Error of direction in degrees",
            ("scene, source", "found by", "depth", "mean", "95 %", "relative distance", ""),
            (
                (
                    f"{source['scene']}, {source['source']}",
                    row["finder"],
                    row["depth"],
                    _number(source["angle_deg"]["mean"]),
                    _number(source["angle_deg"]["p95"]),
                    _number(source["relative_distance_error"]["mean"]),
                    source["problem"],
                )
                for row in report["geometry"]
                for source in row["sources"]
            ),
        ),
        *(
            f"<h3>{escape(scene['name'])}: {escape(scene['about'])}</h3>"
            f'<img src="{escape(scene["name"])}.png" alt="Trajectories of {escape(scene["name"])}">'
            for scene in scenes
        ),
    ]
    head = f'<meta charset="utf-8"><title>Sonic4D: evaluation</title><style>{_STYLE}</style>'
    page = f"<!doctype html><html lang='en'><head>{head}</head><body>{''.join(parts)}</body></html>"
    path.write_text(page, encoding="utf-8")


def _table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return f"<table><caption>{escape(caption)}</caption><tr>{head}</tr>{body}</table>"


def _three(row: dict[str, Any]) -> tuple[str, str, str]:
    return _number(row["mean"]), _number(row["median"]), _number(row["p95"])


def _number(value: float | None, factor: float = 1.0) -> str:
    return "none" if value is None else f"{value * factor:.3g}"
