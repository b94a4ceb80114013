"""The command line. Every command that does work makes a job and runs it as the worker would."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from . import __version__
from .commands.job import BAD_USAGE, FAILED, INTERRUPTED
from .commands.options import Parser
from .protocol import PROTOCOL_VERSION, Sonic4DError

COMMANDS = {  # each is a module of `commands`
    "generate": "make a scene bundle from a video",
    "shot": "make a shot from a scene bundle",
    "render": "render the sound of a shot",
    "decode": "make an AmbiX file binaural, for headphones",
    "preview": "render a shot's picture and sound without Blender",
    "enhance": "make a shot's picture without holes",
    "evaluate": "measure how right things are, by the field's own measures",
    "mux": "put a picture and a sound into one movie",
    "retrack": "track a source again from a frame where its place is known",
    "models": "list, download and remove pretrained models",
    "doctor": "tell whether everything is in working order",
    "run": "run a job from a file",
    "worker": "run jobs for Blender over pipes",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status: 0 done, 1 failed, 2 bad usage, 130 interrupted."""
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        parser = _parser(chosen=argv[:1])
        arguments = vars(parser.parse_args(argv))
        if arguments["command"] is None:
            parser.print_help()
            return BAD_USAGE
        command = import_module(f".commands.{arguments.pop('command')}", __package__)
        status: int = command.run(arguments)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # whoever read the output has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Sonic4DError as error:
        print(error.message, error.hint, sep="\n", file=sys.stderr)
        return FAILED
    except ImportError as error:
        print(
            f"The installation is damaged: {error}.",
            "Run: sonic4d doctor",
            sep="\n",
            file=sys.stderr,
        )
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser(chosen: list[str]) -> Parser:
    """Only the chosen command gets its options: their defaults come from modules that take time to load."""
    parser = Parser(
        prog="sonic4d",
        description="From a monocular video to a 4D scene with binaural sound that follows the camera.",
        epilog="Exit status: 0 done, 1 failed, 2 bad usage, 130 interrupted.",
    )
    version = f"%(prog)s {__version__}, protocol {PROTOCOL_VERSION}"
    parser.add_argument("--version", action="version", version=version)
    subparsers = parser.add_subparsers(metavar="COMMAND", dest="command")
    for name, text in COMMANDS.items():
        subparser = subparsers.add_parser(
            name,
            help=text,
            description=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name in chosen:
            import_module(f".commands.{name}", __package__).add_options(subparser)
    return parser
