"""sonic4d enhance"""

from __future__ import annotations

from .job import job
from .options import Adder, Parser


def add_options(parser: Parser) -> None:
    from ..enhance import EnhanceSettings
    from ..experts.novel_view.memory import PRESETS

    add = Adder(parser, EnhanceSettings)
    add("bundle", "the scene bundle", metavar="NAME.sonic4d")
    add("shot", "the shot.json", required=True)
    add("output", "the video to write (MP4)", "-o", required=True)
    add("audio", "the rendered audio; else the video is silent")
    add("width_px", "width of the picture; else the bundle's", type=int)
    group = parser.add_argument_group("how holes are closed")
    add = Adder(group, EnhanceSettings)
    add("expert", "auto, fill (no model) or a novel-view model (see: sonic4d models list)")
    add(
        "model",
        "take a model from a folder; NAME: a model, or novel_view (may be repeated)",
        metavar="NAME=PATH",
        action="append",
    )
    add("prompt", "what the scene shows, in a sentence", metavar="TEXT")
    add("seed", "for another result of the same expert", type=int)
    add("steps", "steps of the expert's sampler; else its own number", type=int)
    add("working_size", "size the expert paints, e.g. 480x272; else its own", metavar="WxH")
    presets = ", ".join(f"{name} ({text})" for name, text in PRESETS.items())
    add("memory", f"auto, {presets}")


run = job("enhance")
