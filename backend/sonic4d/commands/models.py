"""sonic4d models"""

from __future__ import annotations

import json
import sys
from typing import Any

from .job import BAD_USAGE, DONE, job
from .options import Parser


def add_options(parser: Parser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", dest="action", required=True)
    action = actions.add_parser("list", help="what there is, and what is on this machine")
    action.add_argument("--json", action="store_true", help="print the list as JSON")
    action = actions.add_parser("show", help="all that is known of a model")
    action.add_argument("model", metavar="NAME")
    action = actions.add_parser("download", help="bring a model onto this machine")
    action.add_argument("model", metavar="NAME")
    text = "accept the model's licence without being asked"
    action.add_argument("--accept-licence", action="store_true", help=text)
    action = actions.add_parser("remove", help="delete a model from this machine")
    action.add_argument("model", metavar="NAME")
    action.add_argument("--yes", action="store_true", help="delete without being asked")


def run(arguments: dict[str, Any]) -> int:
    from ..experts import listing, registry

    action = arguments.pop("action")
    if action == "list":
        entries = listing.entries()
        print(json.dumps(entries) if arguments["json"] else listing.table(entries))
        return DONE
    model = registry.find(arguments["model"])
    if action == "show":
        print(listing.description(model))
        return DONE
    if action == "remove":
        if not arguments.pop("yes") and not _agreed(f"Delete {model.name} from this machine?"):
            return BAD_USAGE
        return job("remove-model")(arguments)
    if not arguments["accept_licence"] and sys.stdin.isatty():
        print(listing.description(model), file=sys.stderr)
        arguments["accept_licence"] = _agreed("Do you accept the licence, and is it to be loaded?")
        if not arguments["accept_licence"]:
            return BAD_USAGE
    return job("download-model")(arguments)


def _agreed(question: str) -> bool:
    """Whether the user says yes; no, where there is nobody to ask."""
    if not sys.stdin.isatty():
        print("Nobody is there to be asked; see --help.", file=sys.stderr)
        return False
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
