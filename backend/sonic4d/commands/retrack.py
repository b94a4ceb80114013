"""sonic4d retrack"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from .job import job
from .options import Adder, Parser


def add_options(parser: Parser) -> None:
    from ..retrack import DIRECTIONS, RetrackSettings

    add = Adder(parser, RetrackSettings)
    add("bundle", "the scene bundle", metavar="NAME.sonic4d")
    add("source", "name of the source", required=True)
    add("output", "the track to write (JSON)", "-o", required=True)
    add("frame", "where it is known, counted from 0", type=int, required=True)
    add("point", "its place there, as fractions of the picture", metavar="X,Y", type=_numbers(2))
    add("position", "or its place in the scene, in metres", metavar="X,Y,Z", type=_numbers(3))
    add("direction", "which way to track from there", choices=DIRECTIONS)


def _numbers(count: int) -> Callable[[str], list[float]]:
    def read(text: str) -> list[float]:
        try:
            numbers = [float(number) for number in text.split(",")]
        except ValueError:
            numbers = []
        if len(numbers) != count:
            raise argparse.ArgumentTypeError(f"{count} numbers are expected, not {text}")
        return numbers

    return read


run = job("retrack")
