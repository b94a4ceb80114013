"""sonic4d mux"""

from __future__ import annotations

from .job import job
from .options import Adder, Parser


def add_options(parser: Parser) -> None:
    from ..mux import CODECS, MuxSettings

    add = Adder(parser, MuxSettings)
    add("picture", "a movie, or a folder of numbered pictures", metavar="PICTURE")
    add("audio", "the sound file", required=True)
    add("output", "the movie to write (.mp4, .mov or .mkv)", "-o", required=True)
    add("codec", "how the sound is stored", choices=CODECS)
    add("frame_rate", 'of pictures in a folder, such as "24" or "24000/1001"')
    add("audio_start", "frame of the picture at which the sound begins", type=int)


run = job("mux")
