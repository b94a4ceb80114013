"""sonic4d preview"""

from __future__ import annotations

from .job import job
from .options import Adder, Parser


def add_options(parser: Parser) -> None:
    from ..preview import PreviewSettings

    add = Adder(parser, PreviewSettings)
    add("bundle", "the scene bundle", metavar="NAME.sonic4d")
    add("shot", "the shot.json", required=True)
    add("output", "the video to write (MP4)", "-o", required=True)
    add("audio", "the rendered audio; else it is rendered now")
    add("width_px", "width of the picture; else the bundle's", type=int)


run = job("preview")
