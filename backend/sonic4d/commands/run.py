"""sonic4d run"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..progress import REPORTERS
from ..protocol import Sonic4DError
from .job import run_to_the_end
from .options import Parser


def add_options(parser: Parser) -> None:
    parser.add_argument("job", metavar="JOB.json", help='e.g. {"kind": "render", "shot": …}')
    parser.add_argument(
        "--progress",
        choices=REPORTERS,
        default="bar",
        help="how to tell what goes on: a bar for people, protocol events, or Open Job Description's lines "
        "(default: %(default)s)",
    )


def run(arguments: dict[str, Any]) -> int:
    from ..shot import read_json

    path = Path(arguments["job"])
    job = read_json(path, "a job")
    if not isinstance(job, dict):
        raise Sonic4DError("bad_file", f"{path} is not a job.", 'Write {"kind": "render", …}.')
    return run_to_the_end(job, REPORTERS[arguments["progress"]]())
