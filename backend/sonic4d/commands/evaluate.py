"""sonic4d evaluate"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from .job import DONE, job
from .options import Adder, Parser


def add_options(parser: Parser) -> None:
    subparsers = parser.add_subparsers(metavar="WHAT", dest="what", required=True)
    text = "score label files as DCASE's challenge on sound event localisation and detection does"
    seld = subparsers.add_parser("seld", help=text, description=text)
    seld.add_argument("truth", type=Path, metavar="TRUTH.csv", help="a metadata file, or a folder")
    seld.add_argument("estimate", type=Path, metavar="ESTIMATE.csv", help="the same of estimates")
    seld.add_argument(
        "--average",
        choices=("macro", "micro"),
        default="macro",
        help="over classes or over events (default: %(default)s)",
    )
    seld.add_argument(
        "--stereo", action="store_true", help="azimuths alone, folded to the front (DCASE2025)"
    )
    seld.add_argument(
        "--classes", type=int, default=13, metavar="N", help="how many (default: %(default)s)"
    )
    seld.add_argument("--json", action="store_true", help="print the scores as JSON")
    text = "render scenes of which everything is known, with Blender (some minutes)"
    _make_set_options(subparsers.add_parser("make-set", help=text, description=text))


def _make_set_options(parser: Parser) -> None:
    from ..evaluate.settings import MakeSetSettings

    add = Adder(parser, MakeSetSettings)
    add("output", "the folder to make", "-o", required=True)
    add("blender", "Blender's program, or a Python that has bpy; else $BLENDER or the PATH")
    add("scenes", "only these, joined by commas", metavar="NAMES")


def run(arguments: dict[str, Any]) -> int:
    what = arguments.pop("what")
    return _seld(arguments) if what == "seld" else job(what)(arguments)


def _seld(arguments: dict[str, Any]) -> int:
    from .. import checks
    from ..evaluate.seld import score
    from ..evaluate.seld_labels import MAX_CLASSES, read_pairs

    classes = checks.integer(arguments["classes"], "--classes", 1, MAX_CLASSES)
    pairs = read_pairs(arguments["truth"], arguments["estimate"])
    scores = score(pairs, classes, arguments["average"], arguments["stereo"])
    if arguments["json"]:
        print(json.dumps(scores.to_json(), allow_nan=False))
        return DONE
    rows = (
        ("F at 20 degrees", 100 * scores.f20, "%"),
        ("DOA error", scores.doae_deg, "degrees"),
        ("distance error", scores.distance_error_m, "m"),
        ("relative distance error", scores.relative_distance_error, ""),
        ("localisation recall", 100 * scores.recall, "%"),
        ("SELD", scores.seld, ""),
    )
    for name, value, unit in rows:
        shown = "nothing matched" if math.isnan(value) else f"{value:.4g} {unit}"
        print(f"{name:24} {shown}".rstrip())
    return DONE
