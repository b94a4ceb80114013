"""sonic4d doctor"""

from __future__ import annotations

from typing import Any

from .job import DONE, FAILED
from .options import Parser


def add_options(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(arguments: dict[str, Any]) -> int:
    from ..doctor import examine, print_report

    report = examine()
    print_report(report, as_json=arguments["json"])
    return FAILED if report["problems"] else DONE
