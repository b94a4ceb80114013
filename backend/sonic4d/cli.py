"""The command line. Every command that does work makes a job and runs it as the worker would."""

from __future__ import annotations

import argparse
import dataclasses
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from . import __version__
from .jobs import run_job
from .progress import REPORTERS, Bar
from .protocol import FINAL_EVENTS, PROTOCOL_VERSION, Sonic4DError

DONE, FAILED, BAD_USAGE, INTERRUPTED = 0, 1, 2, 130

Parser = argparse.ArgumentParser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit status: 0 done, 1 failed, 2 bad usage, 130 interrupted."""
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        parser = _parser(chosen=argv[:1])
        arguments = vars(parser.parse_args(argv))
        if arguments["command"] is None:
            parser.print_help()
            return BAD_USAGE
        return COMMANDS[arguments.pop("command")].run(arguments)
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
    for name, command in COMMANDS.items():
        subparser = subparsers.add_parser(
            name,
            help=command.help,
            description=command.help,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name in chosen:
            command.add_options(subparser)
    return parser


# Options of the commands. They are named after the fields of the job's settings; one that isn't given isn't in the job.


def _generate_options(parser: Parser) -> None:
    from .settings import DEPTH_KINDS, ROOMS, GenerateSettings

    add = _Adder(parser, GenerateSettings)
    add("video", "anything that FFmpeg can read", metavar="VIDEO")
    add("output", "the scene bundle to make, a folder NAME.sonic4d", "-o", required=True)
    group = parser.add_argument_group("what of the video")
    add = _Adder(group, GenerateSettings)
    add("start_s", "where to begin, in seconds", type=float)
    add("duration_s", "how much to use, in seconds; else all", type=float)
    add("max_frames", "use at most so many frames", type=int)
    add("height", "work on pictures of this height in pixels at most", type=int)
    group = parser.add_argument_group(
        "sound and its source",
        "Pixels are those of the original clip, counted from its upper left corner; frames count from 0 at --start.",
    )
    add = _Adder(group, GenerateSettings)
    add("audio", "track (the video's own), or a sound file that begins with the video")
    add("sound_source", "what sounds, e.g. helicopter", metavar="TEXT")
    add("grounding", "how to find it if it isn't marked")
    either = group.add_mutually_exclusive_group()
    add = _Adder(either, GenerateSettings)
    add("point", "a point on what sounds", metavar="X,Y[@FRAME]", type=_mark(2))
    add("box", "a box around what sounds", metavar="X0,Y0,X1,Y1[@FRAME]", type=_mark(4))
    group = parser.add_argument_group("depth and scale")
    add = _Adder(group, GenerateSettings)
    add("depth", "auto, geometric, or the path of depth maps (.npz, folder of PNG or EXR)")
    add("depth_kind", "what given depth maps hold", choices=DEPTH_KINDS)
    add("depth_scale", "integer values a metre in given PNG depth maps", type=float)
    text = "horizontal field of view in degrees; else by the metadata, else 60"
    add("fov_deg", text, type=float)
    add("eye_height_m", "the camera's height over the ground in metres", type=float)
    add("metres_per_unit", "multiply all lengths by this", type=float)
    add("max_points", "points of one frame at most", type=int)
    group = parser.add_argument_group("trajectory and room")
    add = _Adder(group, GenerateSettings)
    add("patch", "the depth of the source is the mean of so many pixels squared", type=int)
    add("dbscan_eps", "DBSCAN's neighbourhood in metres; else by the trajectory", type=float)
    add("dbscan_min_samples", "DBSCAN's core size; else by the trajectory", type=int)
    add(
        "room",
        "what surrounds the sound; auto: the ground under open sky, else a room",
        choices=ROOMS,
    )
    add("rt60_s", "reverberation time in seconds", type=float)
    add("name", "the scene's name; else that of the folder")
    add("credits", "whom to credit for the video")


def _shot_options(parser: Parser) -> None:
    from . import moves
    from .shot import MODES
    from .staging import ShotSettings

    parser.epilog = moves.__doc__.split("\n\n", 1)[1]
    add = _Adder(parser, ShotSettings)
    add("bundle", "the scene bundle", metavar="NAME.sonic4d")
    add("output", "the shot.json to write, beside the bundle", "-o", required=True)
    add("move", "the camera move, see below, or a camera file (JSON)")
    add("mode", "how the sound will be rendered", choices=MODES)
    add("rt60_s", "reverberation time in seconds; else the bundle's", type=float)


def _render_options(parser: Parser) -> None:
    parser.add_argument("shot", metavar="SHOT.json", help="the shot")
    parser.add_argument("-o", "--output", required=True, help="the audio file to write (WAV)")
    parser.add_argument(
        "--set",
        action="append",
        metavar="KEY=VALUE",
        default=argparse.SUPPRESS,
        help="replace a value of the shot, e.g. render.mode=paper or room.rt60_s=0.8; may be repeated",
    )


def _preview_options(parser: Parser) -> None:
    from .preview import PreviewSettings

    add = _Adder(parser, PreviewSettings)
    add("bundle", "the scene bundle", metavar="NAME.sonic4d")
    add("shot", "the shot.json", required=True)
    add("output", "the video to write (MP4)", "-o", required=True)
    add("audio", "the rendered audio; else it is rendered now")
    add("width_px", "width of the picture; else the bundle's", type=int)


def _doctor_options(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def _run_options(parser: Parser) -> None:
    parser.add_argument("job", metavar="JOB.json", help='e.g. {"kind": "render", "shot": …}')
    parser.add_argument(
        "--progress",
        choices=REPORTERS,
        default="bar",
        help="how to tell what goes on: a bar for people, protocol events, or Open Job Description's lines "
        "(default: %(default)s)",
    )


def _no_options(parser: Parser) -> None:
    """The command takes none."""


_UNITS = ("s", "m", "deg", "px")


def _flag(field: str) -> str:
    """The option of a field: --eye-height for eye_height_m."""
    name, _, unit = field.rpartition("_")
    return "--" + (name if unit in _UNITS else field).replace("_", "-")


class _Adder:
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
        if default not in (None, "", dataclasses.MISSING):
            text = f"{text} (default: {default})"
        if options.get("type") in (int, float):
            unit = field.rpartition("_")[2]
            options["metavar"] = unit.upper() if unit in _UNITS else "N"
        self._parser.add_argument(
            *short, _flag(field), dest=field, help=text, default=argparse.SUPPRESS, **options
        )


def _mark(count: int) -> Callable[[str], str]:
    """Reads a place in the clip: `count` pixel coordinates and a frame."""

    def read(text: str) -> str:
        from .settings import Mark

        try:
            Mark.from_json(text, "", count)
        except Sonic4DError:
            form = "X,Y or X,Y@FRAME"
            if count == 4:
                form = "X0,Y0,X1,Y1 or X0,Y0,X1,Y1@FRAME, with the upper left corner first"
            raise argparse.ArgumentTypeError(f'"{text}" is not {form}') from None
        return text

    return read


# What the commands do; each returns the exit status.


def _do_job(kind: str) -> Callable[[dict[str, Any]], int]:
    def do(arguments: dict[str, Any]) -> int:
        bar = Bar()

        def report(event: dict[str, Any]) -> None:
            if event["event"] == "error" and event["code"] == "bad_option":
                field, colon, what = event["message"].partition(": ")
                if colon and field.isidentifier():  # a setting: the user knows it by its option
                    event = {**event, "message": f"{_flag(field)}: {what}"}
            bar(event)

        return run({"kind": kind, **arguments}, report)

    return do


def _do_file(arguments: dict[str, Any]) -> int:
    from .shot import read_json

    path = Path(arguments["job"])
    job = read_json(path, "a job")
    if not isinstance(job, dict):
        raise Sonic4DError("bad_file", f"{path} is not a job.", 'Write {"kind": "render", …}.')
    return run(job, REPORTERS[arguments["progress"]]())


def _do_doctor(arguments: dict[str, Any]) -> int:
    from .doctor import examine, print_report

    report = examine()
    print_report(report, as_json=arguments["json"])
    return FAILED if report["problems"] else DONE


def _do_worker(arguments: dict[str, Any]) -> int:
    from .worker import main

    return main()


def run(job: dict[str, Any], reporter: Callable[[dict[str, Any]], None]) -> int:
    """Run a job; SIGINT and SIGTERM cancel it. Returns the exit status."""
    stop = threading.Event()
    last: dict[str, Any] = {}

    def interrupt(number: int, frame: FrameType | None) -> None:
        if stop.is_set():  # asked again: don't wait for the job to notice
            raise KeyboardInterrupt
        stop.set()

    def report(event: dict[str, Any]) -> None:
        if event["event"] in FINAL_EVENTS:
            last.update(event)
        try:
            reporter(event)
        except BrokenPipeError:  # whoever read the output has gone
            stop.set()

    previous = {n: signal.signal(n, interrupt) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        run_job(job, report, stop.is_set)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if last["event"] == "error":
        return BAD_USAGE if last["code"] == "bad_option" else FAILED
    return INTERRUPTED if last["event"] == "cancelled" else DONE


@dataclasses.dataclass(frozen=True)
class Command:
    help: str
    add_options: Callable[[Parser], None]
    run: Callable[[dict[str, Any]], int]


COMMANDS = {
    "generate": Command("make a scene bundle from a video", _generate_options, _do_job("generate")),
    "shot": Command("make a shot from a scene bundle", _shot_options, _do_job("shot")),
    "render": Command("render the sound of a shot", _render_options, _do_job("render")),
    "preview": Command(
        "render a shot's picture and sound without Blender", _preview_options, _do_job("preview")
    ),
    "doctor": Command("tell whether everything is in working order", _doctor_options, _do_doctor),
    "run": Command("run a job from a file", _run_options, _do_file),
    "worker": Command("run jobs for Blender over pipes", _no_options, _do_worker),
}
