"""sonic4d decode"""

from __future__ import annotations

from ..acoustics.decoder import DecodeSettings
from .job import job
from .options import Adder, Parser


def add_options(parser: Parser) -> None:
    add = Adder(parser, DecodeSettings)
    add("input", "an AmbiX file (ACN, SN3D) of order 1 to 3", metavar="AMBIX.wav")
    add("output", "the binaural WAV file to write", "-o", required=True)
    add("hrtf", "whose head: kemar, or a SOFA file")
    add("yaw_deg", "how far the head is turned to the left", type=float)
    add("pitch_deg", "how far up", type=float)
    add("roll_deg", "how far to the right shoulder", type=float)


run = job("decode")
