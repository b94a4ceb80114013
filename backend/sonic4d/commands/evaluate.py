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
    text = "evaluate everything on such scenes and write report.html (long)"
    _run_options(subparsers.add_parser("run", help=text, description=text))
    text = "find instruments in a copy of STARSS23 and score where they are found (long)"
    _starss_options(subparsers.add_parser("starss23", help=text, description=text))
    text = "tell what DCASE2024's SELDnet hears in AmbiX sound, as a label file"
    _listen_options(subparsers.add_parser("listen", help=text, description=text))
    text = "make a listening test: a page for any browser, no server needed"
    kit = subparsers.add_parser("listening-test", help=text, description=text)
    kit.add_argument(
        "cases",
        type=Path,
        metavar="CASES.json",
        help='{"title": "...", "cases": [{"name": "...", "viewpoint": "static" or "dynamic", '
        '"spatial": "a.mp4", "mono": "b.mp4"}]}',
    )
    kit.add_argument("-o", "--output", type=Path, required=True, help="the folder to make")
    text = "tell what listeners answered, in the layout of the paper's Table 2"
    results = subparsers.add_parser("listening-results", help=text, description=text)
    results.add_argument(
        "answers", type=Path, nargs="+", metavar="ANSWERS", help="files that they downloaded"
    )
    results.add_argument("--json", action="store_true", help="print the results as JSON")


def _make_set_options(parser: Parser) -> None:
    from ..evaluate.settings import MakeSetSettings

    add = Adder(parser, MakeSetSettings)
    add("output", "the folder to make", "-o", required=True)
    add("blender", "Blender's program, or a Python that has bpy; else $BLENDER or the PATH")
    add("scenes", "only these, joined by commas", metavar="NAMES")


def _run_options(parser: Parser) -> None:
    from ..evaluate.settings import EvaluateSettings

    add = Adder(parser, EvaluateSettings)
    add("set", "the set that make-set made", metavar="SET")
    add("output", "the folder to make", "-o", required=True)
    add("scenes", "only these, joined by commas", metavar="NAMES")


def _starss_options(parser: Parser) -> None:
    from ..evaluate.settings import StarssSettings

    add = Adder(parser, StarssSettings)
    add("folder", "holds metadata_dev, foa_dev and video_dev", metavar="STARSS23")
    add("output", "the folder to make", "-o", required=True)
    add("limit", "clips at most", type=int)


def _listen_options(parser: Parser) -> None:
    from ..evaluate.settings import ListenSettings

    add = Adder(parser, ListenSettings)
    add("audio", "first-order AmbiX or more", metavar="AMBIX.wav")
    add("weights", "3_1_dev_split0_multiaccdoa_foa_model.h5", required=True)
    add("output", "the label file to write (.csv)", "-o", required=True)


def run(arguments: dict[str, Any]) -> int:
    what = arguments.pop("what")
    own = {"seld": _seld, "listening-test": _kit, "listening-results": _results}
    if what in own:
        return own[what](arguments)
    return job({"run": "evaluate"}.get(what, what))(arguments)


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


def _kit(arguments: dict[str, Any]) -> int:
    from ..evaluate.listening.kit import make_kit

    print(f"Open {make_kit(arguments['cases'], arguments['output'])} in a browser.")
    return DONE


def _results(arguments: dict[str, Any]) -> int:
    from ..evaluate.listening.results import analyse, read_answers, table

    results = analyse(read_answers(arguments["answers"]))
    print(json.dumps(results, allow_nan=False) if arguments["json"] else table(results))
    return DONE
