"""sonic4d render"""

from __future__ import annotations

import argparse

from .job import job
from .options import Parser


def add_options(parser: Parser) -> None:
    parser.add_argument("shot", metavar="SHOT.json", help="the shot")
    parser.add_argument("-o", "--output", required=True, help="the audio file to write (WAV)")
    parser.add_argument(
        "--set",
        action="append",
        metavar="KEY=VALUE",
        default=argparse.SUPPRESS,
        help="replace a value of the shot, e.g. render.mode=paper or room.rt60_s=0.8; may be repeated",
    )


run = job("render")
