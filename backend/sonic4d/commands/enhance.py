"""sonic4d enhance"""

from __future__ import annotations

from .job import job
from .options import Adder, Parser


def add_options(parser: Parser) -> None:
    from ..enhance import EnhanceSettings

    add = Adder(parser, EnhanceSettings)
    add("bundle", "the scene bundle", metavar="NAME.sonic4d")
    add("shot", "the shot.json", required=True)
    add("output", "the video to write (MP4)", "-o", required=True)
    add("audio", "the rendered audio; else the video is silent")
    add("width_px", "width of the picture; else the bundle's", type=int)
    group = parser.add_argument_group("how holes are closed")
    add = Adder(group, EnhanceSettings)
    add("expert", "auto, fill (no model), wan-vace or trajectorycrafter")
    add("prompt", "what the scene shows, in a sentence", metavar="TEXT")
    add("seed", "for another result of the same expert", type=int)
    add("steps", "steps of the expert's sampler; else its own number", type=int)


run = job("enhance")
