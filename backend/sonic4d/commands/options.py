"""Options named after the fields of a job's settings; one that isn't given isn't in the job."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from typing import Any

from ..protocol import Sonic4DError

Parser = argparse.ArgumentParser

_UNITS = ("s", "m", "deg", "px")


def flag(field: str) -> str:
    """The option of a field: --eye-height for eye_height_m."""
    name, _, unit = field.rpartition("_")
    return "--" + (name if unit in _UNITS else field).replace("_", "-")


class Adder:
    """Adds options named after the fields of a settings class; the help shows their defaults."""

    def __init__(self, parser: Any, settings: type) -> None:
        self._parser = parser
        self._defaults = {field.name: field.default for field in dataclasses.fields(settings)}

    def __call__(self, field: str, text: str, *short: str, **options: Any) -> None:
        """`field` becomes positional if it has no default and isn't `required`; `short`: a second name such as "-o"."""
        default = self._defaults[field]
        if default is dataclasses.MISSING and not options.get("required"):
            self._parser.add_argument(field, help=text, **options)
            return
        if default not in (None, "", (), dataclasses.MISSING):
            text = f"{text} (default: {default})"
        if options.get("type") in (int, float):
            unit = field.rpartition("_")[2]
            options["metavar"] = unit.upper() if unit in _UNITS else "N"
        self._parser.add_argument(
            *short, flag(field), dest=field, help=text, default=argparse.SUPPRESS, **options
        )


def mark(count: int) -> Callable[[str], str]:
    """Reads a place in the clip: `count` pixel coordinates and a frame."""

    def read(text: str) -> str:
        from ..settings import Mark

        try:
            Mark.from_json(text, "", count)
        except Sonic4DError:
            form = "X,Y or X,Y@FRAME"
            if count == 4:
                form = "X0,Y0,X1,Y1 or X0,Y0,X1,Y1@FRAME, with the upper left corner first"
            raise argparse.ArgumentTypeError(f'"{text}" is not {form}') from None
        return text

    return read
