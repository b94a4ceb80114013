"""What listeners answered, in the layout of the paper's Table 2: preference and mean opinion scores, by viewpoint."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from ... import checks
from ...protocol import Sonic4DError
from ...shot import read_json
from .kit import VIEWPOINTS

SOUNDS = ("mono", "spatial")
MEASURES = {"sla": "MOS-SLA", "avsa": "MOS-AVSA"}
CONFIDENCE = 0.95
MAX_ANSWERS = 1_000_000
_KEYS = ("participant", "case", "viewpoint", "position", "spatial_is", "preferred")
_RATINGS = tuple(f"{measure}_{sound}" for measure in MEASURES for sound in SOUNDS)


@dataclass(frozen=True)
class Answer:
    """One pair judged by one listener; ratings from 1 to 5 by "sla_mono", "sla_spatial", "avsa_mono", "avsa_spatial"."""

    participant: str
    case: str
    viewpoint: str
    preferred: str
    ratings: dict[str, int]


def read_answers(paths: Sequence[Path]) -> list[Answer]:
    """Answers from the JSON or CSV files that listeners downloaded; the same answer in several files counts once.

    Raises `Sonic4DError` naming file and answer.
    """
    answers: dict[tuple[str, str], Answer] = {}
    for path in paths:
        rows = _csv_rows(path) if path.suffix.lower() == ".csv" else _json_rows(path)
        if len(rows) > MAX_ANSWERS:
            raise Sonic4DError("bad_file", f"{path} has too many answers.")
        for number, row in enumerate(rows, 1):
            answer = _answer(row, f"{path.name}, answer {number}")
            answers[answer.participant, answer.case] = answer
    if not answers:
        raise Sonic4DError("no_answers", "There are no answers in these files.", "Check the paths.")
    return list(answers.values())


def analyse(answers: Sequence[Answer]) -> dict[str, Any]:
    """Preference for the spatial sound (Wilson interval, two-sided binomial test against one half) and mean opinion scores (t
    interval over answers), of all, of static and of dynamic viewpoints; `CONFIDENCE` intervals."""
    parts: dict[str, Callable[[Answer], bool]] = {"all": lambda answer: True}
    for viewpoint in VIEWPOINTS:
        parts[viewpoint] = lambda answer, viewpoint=viewpoint: answer.viewpoint == viewpoint
    return {
        "sonic4d_listening_results": 1,
        "listeners": len({answer.participant for answer in answers}),
        "answers": len(answers),
        **{name: _part([a for a in answers if belongs(a)]) for name, belongs in parts.items()},
    }


def _part(answers: Sequence[Answer]) -> dict[str, Any] | None:
    if not answers:
        return None
    chosen = sum(answer.preferred == "spatial" for answer in answers)
    test = stats.binomtest(chosen, len(answers), 0.5)
    interval = test.proportion_ci(CONFIDENCE, method="wilson")
    return {
        "answers": len(answers),
        "preference": {
            "spatial": chosen / len(answers),
            "interval": [float(interval.low), float(interval.high)],
            "p_value": float(test.pvalue),
        },
        **{key: _opinion([answer.ratings[key] for answer in answers]) for key in _RATINGS},
    }


def _opinion(ratings: Sequence[int]) -> dict[str, Any]:
    mean = float(np.mean(ratings))
    if len(ratings) < 2:
        return {"mean": mean, "interval": None}
    half = stats.t.ppf((1 + CONFIDENCE) / 2, len(ratings) - 1) * stats.sem(ratings)
    return {"mean": mean, "interval": [mean - float(half), mean + float(half)]}


def table(results: dict[str, Any]) -> str:
    """The results as text, rows and columns as in the paper's Table 2, with half the interval's width behind each mean."""
    parts = ("all", *VIEWPOINTS)
    lines = [f"{'':24}{''.join(f'{part.capitalize():>18}' for part in parts)}"]

    def row(name: str, cell: Callable[[dict[str, Any]], str]) -> None:
        cells = ("" if results[part] is None else cell(results[part]) for part in parts)
        lines.append(f"  {name:22}{''.join(f'{text:>18}' for text in cells)}".rstrip())

    lines.append("Preference (%)")
    row("mono", lambda part: f"{100 * (1 - part['preference']['spatial']):.2f}")
    row("spatial", lambda part: f"{100 * part['preference']['spatial']:.2f}")
    row(
        "  95 % interval",
        lambda part: "{:.1f} to {:.1f}".format(*(100 * v for v in part["preference"]["interval"])),
    )
    row("  p (binomial)", lambda part: f"{part['preference']['p_value']:.2g}")
    for key, name in MEASURES.items():
        lines.append(name)
        for sound in SOUNDS:
            row(sound, lambda part, key=f"{key}_{sound}": _opinion_text(part[key]))
    return "\n".join(lines)


def _opinion_text(opinion: dict[str, Any]) -> str:
    if opinion["interval"] is None:
        return f"{opinion['mean']:.3f}"
    half = (opinion["interval"][1] - opinion["interval"][0]) / 2
    return (
        f"{opinion['mean']:.3f} ± {half:.3f}" if math.isfinite(half) else f"{opinion['mean']:.3f}"
    )


def _json_rows(path: Path) -> list[Any]:
    data = read_json(path, "answers of a listening test")
    data = checks.fields(data, path.name, ("sonic4d_listening_test", "title", "answers"))
    if not isinstance(data["answers"], list):
        raise checks.fail(f"{path.name}: answers", "a list is expected")
    return data["answers"]


def _csv_rows(path: Path) -> list[Any]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows: list[Any] = list(csv.DictReader(file, restkey="more"))
    except FileNotFoundError:
        raise Sonic4DError("missing_file", f"There is no file {path}.", "Check the path.") from None
    except (OSError, UnicodeDecodeError, csv.Error):
        raise Sonic4DError("bad_file", f"{path} can't be read as a table of answers.") from None
    for row in rows:
        for key in ("position", *_RATINGS):
            if isinstance(row.get(key), str) and row[key].isdigit():
                row[key] = int(row[key])
    return rows


def _answer(row: Any, where: str) -> Answer:
    row = checks.fields(row, where, (*_KEYS, *_RATINGS))
    return Answer(
        checks.text(row["participant"], f"{where}: participant"),
        checks.text(row["case"], f"{where}: case"),
        checks.text(row["viewpoint"], f"{where}: viewpoint", VIEWPOINTS),
        checks.text(row["preferred"], f"{where}: preferred", SOUNDS),
        {key: checks.integer(row[key], f"{where}: {key}", 1, 5) for key in _RATINGS},
    )
