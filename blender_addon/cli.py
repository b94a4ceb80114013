"""The command line inside Blender: `blender --command sonic4d …`, and scripts/render_shot.py.

    generate VIDEO -o FILE.blend         a scene bundle of a video, and a .blend of it
    import BUNDLE -o FILE.blend          a .blend of a scene bundle
    render-audio [FILE.blend]            a new take in its sequencer; the file is saved
    export-shot [FILE.blend] -o SHOT     the finished shot
    shot --bundle BUNDLE -o FOLDER       all of it: shot.blend, binaural.wav, shot.mp4

Without FILE.blend they use the file that Blender was started with: `blender -b FILE.blend --command sonic4d …`.

Exit status: 0 done, 1 failed, 2 bad usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import bpy
from bpy.props import EnumProperty, FloatProperty, IntProperty, StringProperty

from ..backend.sonic4d.files import new_file
from ..backend.sonic4d.protocol import Sonic4DError
from . import tasks
from .client.environment import OVERRIDE
from .export.settings import CODECS, ENGINES, MAX_SIDE_PX, SIDECARS, SOUNDS
from .export.shot import export_shot, target_file
from .generate_settings import choices, for_backend
from .operators.export_shot import options_of
from .operators.generate import SUFFIX
from .operators.render_audio import render_audio
from .properties import MODES
from .scene.bundle import read_bundle
from .scene.camera import apply_move, new_shot_camera
from .scene.importer import import_bundle

DONE, FAILED, BAD_USAGE, INTERRUPTED = 0, 1, 2, 130
SAMPLES = 8
_KINDS = {StringProperty: str, EnumProperty: str, FloatProperty: float, IntProperty: int}

Report = Callable[[dict[str, Any]], None]


def main(argv: list[str]) -> int:
    """Run a command; returns the exit status. Errors are one sentence and a hint on standard error."""
    try:
        args = _parser().parse_args(argv)
    except SystemExit as end:
        return int(end.code or 0)
    with _reporter(args.progress) as report, _interruptible():
        try:
            if args.backend_python:
                os.environ[OVERRIDE] = str(args.backend_python.absolute())
            args.run(args, report)
        except Sonic4DError as error:
            report(
                {"event": "error", "code": error.code, "message": error.message, "hint": error.hint}
            )
            return FAILED
        except KeyboardInterrupt:
            report({"event": "cancelled"})
            return INTERRUPTED
        finally:
            tasks.shut_down()
    return DONE


def _generate(args: argparse.Namespace, report: Report) -> None:
    """A bundle of a video, beside a new .blend of it."""
    blend = _blend_file(args.output)
    args.bundle = blend.with_suffix(SUFFIX)
    _require_new(args.bundle)
    _make_folder(blend.parent)
    activity = tasks.Activity(notify=_progress(report))
    given = {
        name: getattr(args, name) for name in choices(set()) if getattr(args, name) is not None
    }
    job = {
        "kind": "generate",
        "video": str(args.video.absolute()),
        "output": str(args.bundle),
        **for_backend(given),
    }
    tasks.wait(tasks.job(job, activity))
    for warning in activity.warnings:
        report({"event": "log", "level": "warning", "message": warning})
    report({"event": "artifact", "kind": "bundle", "path": str(args.bundle)})
    _import(args, report)


def _blend_file(output: Path) -> Path:
    blend = output.absolute()
    if blend.suffix != ".blend":
        raise Sonic4DError(
            "bad_suffix", f"{blend.name} is no .blend file.", "Use a name ending in .blend."
        )
    _require_new(blend)
    return blend


def _import(args: argparse.Namespace, report: Report) -> None:
    """A new .blend of a bundle, with the move keyed."""
    blend = _blend_file(args.output)
    try:
        _new_blend(args, blend, report)
        _save(blend)
    except BaseException:
        blend.unlink(missing_ok=True)
        raise
    report({"event": "artifact", "kind": "blend", "path": str(blend)})


def _render_audio(args: argparse.Namespace, report: Report) -> None:
    blend = _open(args.blend)
    wav = _take(report)
    _save(blend)
    report({"event": "artifact", "kind": "audio", "path": str(wav)})


def _export_shot(args: argparse.Namespace, report: Report) -> None:
    _open(args.blend)
    given = {
        name: getattr(args, name)
        for name in ("camera", "engine", "samples", "sound", "codec", "overwrite")
        if getattr(args, name) is not None
    }
    if args.samples and not args.engine:
        given["engine"] = "CYCLES"
    if args.resolution:
        given |= {"size": "CUSTOM", "custom_size": args.resolution}
    if args.picture:
        given |= {"picture": "FILE", "picture_path": str(args.picture.absolute())}
    if args.lufs is not None:
        given |= {"level": "LOUDNESS", "lufs": args.lufs}
    if args.sidecars:
        given["sidecars"] = set(args.sidecars)
    _movie(args.output.absolute(), given, report)


def _shot(args: argparse.Namespace, report: Report) -> None:
    """From a bundle to the finished shot, all into one folder."""
    folder = args.output.absolute()
    blend, wav = folder / "shot.blend", folder / "binaural.wav"
    movie = target_file(folder / "shot", args.codec or "AAC")
    for file in (blend, wav, movie):
        _require_new(file)
    try:
        _new_blend(args, blend, report)
        take = _take(report)
        with new_file(wav) as path:
            shutil.copyfile(take, path)
        _save(blend)
    except BaseException:
        blend.unlink(missing_ok=True)
        raise
    report({"event": "artifact", "kind": "blend", "path": str(blend)})
    report({"event": "artifact", "kind": "audio", "path": str(wav)})
    given = {"engine": "CYCLES", "samples": args.samples, "codec": args.codec or "AAC"}
    _movie(movie, given, report)


def _new_blend(args: argparse.Namespace, blend: Path, report: Report) -> None:
    """Fill an empty file with the bundle, and save it: only then paths can be relative to it."""
    bundle = read_bundle(args.bundle.absolute())
    _make_folder(blend.parent)
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    _save(blend)
    scene = bpy.context.scene
    scene.name = bundle.name
    scene.frame_start = args.frame_start
    root, notes = import_bundle(scene, bundle, match_scene=True)
    for note in notes:
        report({"event": "log", "level": "warning", "message": note})
    new_shot_camera(scene, root)
    if args.resolution:
        scene.render.resolution_x, scene.render.resolution_y = args.resolution
    if args.mode:
        scene.sonic4d.mode = args.mode
    _, limit_deg = apply_move(scene, args.move)
    if limit_deg is not None:
        message = f"The move was reduced to {limit_deg:g} degrees around the source."
        report({"event": "log", "level": "warning", "message": message})
    for screen in bpy.data.screens:
        for area in screen.areas:
            if area.type == "VIEW_3D":
                space = area.spaces.active
                space.shading.type = "MATERIAL"
                space.region_3d.view_perspective = "CAMERA"


def _take(report: Report) -> Path:
    activity = tasks.Activity(notify=_progress(report))
    wav = tasks.wait(render_audio(bpy.context.scene, activity))
    for warning in activity.warnings:
        report({"event": "log", "level": "warning", "message": warning})
    return wav


def _movie(output: Path, given: dict[str, Any], report: Report) -> None:
    scene, activity = bpy.context.scene, tasks.Activity(notify=_progress(report))
    options = options_of(scene, {**given, "filepath": str(output)})
    movie = tasks.wait(export_shot(scene, activity, options))
    for warning in activity.warnings:
        report({"event": "log", "level": "warning", "message": warning})
    report({"event": "artifact", "kind": "movie", "path": str(movie)})


def _open(blend: Path | None) -> Path:
    """Open a file; without one, it is the file that is open. Returns its path."""
    if blend is None:
        if not bpy.data.filepath:
            raise Sonic4DError(
                "no_file", "No .blend file is open.", "Name one: render-audio FILE.blend."
            )
        return Path(bpy.data.filepath)
    blend = blend.absolute()
    if not blend.is_file():
        raise Sonic4DError("missing_file", f"There is no file {blend}.", "Check the path.")
    try:
        bpy.ops.wm.open_mainfile(filepath=str(blend))
    except RuntimeError as error:
        raise Sonic4DError("bad_blend", f"{blend} can't be opened: {error}.") from None
    return blend


def _save(blend: Path) -> None:
    """Save without leaving a backup of the state before."""
    filepaths = bpy.context.preferences.filepaths
    versions, filepaths.save_version = filepaths.save_version, 0
    try:
        bpy.ops.wm.save_as_mainfile(filepath=str(blend), check_existing=False)
    except RuntimeError as error:
        raise Sonic4DError(
            "not_written", f"{blend} can't be saved: {error}.", "Choose another folder."
        ) from None
    finally:
        filepaths.save_version = versions


def _require_new(file: Path) -> None:
    if file.exists():
        raise Sonic4DError(
            "exists", f"{file} exists already.", "Choose another name, or remove it first."
        )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Sonic4DError(
            "not_written", f"{folder} can't be made: {error.strerror}.", "Choose another folder."
        ) from None


def _progress(report: Report) -> Callable[[str, float], None]:
    def notify(stage: str, progress: float) -> None:
        event = {"event": "progress", "stage": stage, "done": round(progress * 1000), "total": 1000}
        report({**event, "message": ""})

    return notify


@contextmanager
def _reporter(kind: str) -> Iterator[Report]:
    """Tell people on standard error; or programs, by JSON lines on a standard output that nothing else writes to."""
    if kind == "jsonl":
        sys.stdout.flush()
        saved = os.dup(1)
        os.dup2(2, 1)
        try:
            with os.fdopen(os.dup(saved), "w", encoding="utf-8") as stream:
                yield lambda event: _write(stream, event)
        finally:
            os.dup2(saved, 1)
            os.close(saved)
    else:
        yield _Lines()


def _write(stream: IO[str], event: dict[str, Any]) -> None:
    stream.write(json.dumps(event) + "\n")
    stream.flush()


class _Lines:
    """A line for each stage and for what matters."""

    def __init__(self) -> None:
        self.stage = ""

    def __call__(self, event: dict[str, Any]) -> None:
        match event["event"]:
            case "progress":
                line = event["stage"] if event["stage"] != self.stage else ""
                self.stage = event["stage"]
            case "artifact":
                line = event["path"]
            case "error":
                line = f"{event['message']} {event['hint']}".strip()
            case "log":
                line = f"Note: {event['message']}"
            case _:
                line = "Stopped."
        if line:
            print(line, file=sys.stderr, flush=True)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C raise `KeyboardInterrupt`; Blender itself doesn't."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous or signal.SIG_DFL)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="blender --command sonic4d",
        description="Shots with binaural sound, without the UI.",
        epilog="Exit status: 0 done, 1 failed, 2 bad usage, 130 interrupted.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: Callable[..., None], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        added.add_argument("--progress", choices=("lines", "jsonl"), default="lines")
        added.add_argument(
            "--backend-python",
            type=Path,
            metavar="PATH",
            help=f"default: ${OVERRIDE}, or the installed one",
        )
        return added

    generating = command(
        "generate", _generate, "make a scene bundle of a video, and a .blend of it"
    )
    generating.add_argument("video", type=Path)
    for name, choice in choices(set()).items():
        unit_free = name.removesuffix("_s").replace("_", "-")
        kind = _KINDS[choice.function]
        text = choice.keywords["description"]
        names = [item[0] for item in choice.keywords.get("items", ())] or None
        generating.add_argument(f"--{unit_free}", dest=name, type=kind, choices=names, help=text)
    importing = command("import", _import, "make a .blend of a scene bundle")
    importing.add_argument("bundle", type=Path)
    for added in (generating, importing):
        added.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.blend")
    rendering = command("render-audio", _render_audio, "render a take into a .blend's sequencer")
    exporting = command("export-shot", _export_shot, "write the finished shot of a .blend")
    for added in (rendering, exporting):
        text = "default: the file that Blender was started with"
        added.add_argument("blend", type=Path, nargs="?", metavar="FILE.blend", help=text)
    exporting.add_argument("-o", "--output", type=Path, required=True, metavar="SHOT")
    exporting.add_argument(
        "--overwrite", action="store_true", default=None, help="replace existing files"
    )
    exporting.add_argument("--camera", metavar="NAME", help="what sees the picture")
    exporting.add_argument(
        "--picture", type=Path, metavar="PATH", help="a rendered movie, or a folder of pictures"
    )
    exporting.add_argument("--lufs", type=float, metavar="N", help="bring it to this loudness")
    for name, items in (("engine", ENGINES), ("sound", SOUNDS)):
        exporting.add_argument(f"--{name}", type=str.upper, choices=_names(items))
    exporting.add_argument(
        "--sidecars",
        type=str.upper,
        nargs="+",
        choices=_names(SIDECARS),
        help="more files of the same sound",
    )
    shot = command("shot", _shot, "from a scene bundle to the finished shot")
    shot.add_argument("--bundle", type=Path, required=True)
    shot.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    for added in (generating, importing, shot):
        added.add_argument("--move", default="static", help='such as "orbit:30" (default: static)')
        added.add_argument(
            "--mode", choices=[mode[0] for mode in MODES], help="how sound is computed"
        )
        added.add_argument("--frame-start", type=_whole(0, 1_000_000), default=1, metavar="N")
    for added in (generating, importing, exporting, shot):
        added.add_argument("--resolution", type=_resolution, metavar="WxH")
    for added, default in ((exporting, None), (shot, SAMPLES)):
        added.add_argument(
            "--audio-format",
            dest="codec",
            type=str.upper,
            choices=_names(CODECS),
            help="how the sound is stored",
        )
        added.add_argument(
            "--samples",
            type=_whole(1, 65536),
            default=default,
            metavar="N",
            help="render with Cycles",
        )
    return parser


def _names(items: Sequence[tuple[str, str, str]]) -> list[str]:
    return [name for name, _, _ in items]


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
            raise argparse.ArgumentTypeError(
                f'a number from {low} to {high} is expected, not "{text}"'
            )
        return int(text)

    return parse


def _resolution(text: str) -> tuple[int, int]:
    """From "640x360" to (640, 360)."""
    parse = _whole(2, MAX_SIDE_PX)
    width, _, height = text.partition("x")
    return parse(width), parse(height)


class _Registered:
    handle: Any = None


def register() -> None:
    _Registered.handle = bpy.utils.register_cli_command("sonic4d", main)


def unregister() -> None:
    bpy.utils.unregister_cli_command(_Registered.handle)
    _Registered.handle = None
