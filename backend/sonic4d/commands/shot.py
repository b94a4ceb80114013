"""sonic4d shot"""

from __future__ import annotations

from .job import job
from .options import Adder, Parser


def add_options(parser: Parser) -> None:
    from .. import moves
    from ..shot import MODES
    from ..staging import ShotSettings

    parser.epilog = moves.__doc__.split("\n\n", 1)[1]
    add = Adder(parser, ShotSettings)
    add("bundle", "the scene bundle", metavar="NAME.sonic4d")
    add("output", "the shot.json to write, beside the bundle", "-o", required=True)
    add(
        "move",
        "the camera move, see below, or a camera file (JSON, or TrajectoryCrafter's three lines as .txt)",
    )
    add("mode", "how the sound will be rendered", choices=MODES)
    add("rt60_s", "reverberation time in seconds; else the bundle's", type=float)


run = job("shot")
