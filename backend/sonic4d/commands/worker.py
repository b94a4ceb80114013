"""sonic4d worker"""

from __future__ import annotations

from typing import Any

from .options import Parser


def add_options(parser: Parser) -> None:
    """The command takes none."""


def run(arguments: dict[str, Any]) -> int:
    from ..worker import main

    return main()
