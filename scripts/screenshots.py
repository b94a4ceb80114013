"""Screenshots of every panel and of the way from a scene to its shot, in a real Blender with a window that nobody sees.

    BLENDER=blender python3 scripts/screenshots.py --bundle NAME.sonic4d [--output docs/blender]

Needs Xvfb, xdotool and ImageMagick (import, convert), and $SONIC4D_BACKEND_PYTHON. Blender gets a profile of its own with
the extension as it is built from here. What is shown is said in screenshot_story.py. Exit status 1 where something went wrong.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import build_extension

ROOT = Path(__file__).resolve().parent.parent
STORY = Path(__file__).with_name("screenshot_story.py")
TOOLS = ("Xvfb", "xdotool", "import", "convert")
SIZE = (1600, 1000)
LIMIT_S = 900
COLOURS = 200
WIDTH_PX = 1200  # of whole windows


class Failed(Exception):
    """A sentence for the user."""


@contextmanager
def display() -> Iterator[str]:
    """An X server of its own; gives its name."""
    read, write = os.pipe()
    screen = f"{SIZE[0]}x{SIZE[1]}x24"
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", screen, "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        with os.fdopen(read) as pipe:
            number = pipe.readline().strip()
        if not number:
            raise Failed("Xvfb doesn't start.")
        yield f":{number}"
    finally:
        server.terminate()
        server.wait()


def install(blender: str, environment: dict[str, str], folder: Path) -> None:
    archive = build_extension.build(folder)
    command = [blender, "-b", "--command", "extension", "install-file", "-r", "user_default", "-e"]
    done = subprocess.run([*command, str(archive)], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"The extension can't be installed: {done.stdout}{done.stderr}")


def tell(blender: str, environment: dict[str, str], bundle: Path, output: Path) -> None:
    """Let Blender tell its story; it writes PNG files into `output`."""
    window = ["-p", "0", "0", *map(str, SIZE), "--gpu-backend", "opengl"]
    story = ["--python", str(STORY), "--", str(bundle), str(output)]
    try:
        done = subprocess.run([blender, *window, *story], env=environment, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        raise Failed(f"Blender was not done within {LIMIT_S} s.") from None
    if done.returncode:
        raise Failed("The story broke off; Blender says why above.")


def publish(taken: Path, output: Path) -> None:
    """Small, and without what an empty sidebar shows below its panels."""
    output.mkdir(parents=True, exist_ok=True)
    for old in output.glob("*.png"):
        old.unlink()
    for picture in sorted(taken.glob("*.png")):
        panel = picture.name.startswith("panel_")
        trim = ["-shave", "2x2", "-trim", "+repage"] if panel else ["-resize", f"{WIDTH_PX}x"]
        target = output / picture.name
        few = ["-strip", "-dither", "None", "-colors", str(COLOURS)]
        few += ["-define", "png:compression-level=9"]
        subprocess.run(["convert", str(picture), *trim, *few, str(target)], check=True)
        print(f"{target.stat().st_size // 1000:4} kB  {target}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--bundle", type=Path, required=True, help="the scene to show")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "blender")
    args = parser.parse_args()
    try:
        missing = [tool for tool in TOOLS if shutil.which(tool) is None]
        if missing:
            raise Failed(f"Not installed: {', '.join(missing)}.")
        blender = os.environ.get("BLENDER") or shutil.which("blender")
        if not blender:
            raise Failed("No Blender was found. Set BLENDER.")
        with tempfile.TemporaryDirectory() as folder, display() as screen:
            profile, taken = Path(folder) / "profile", Path(folder) / "taken"
            profile.mkdir()
            taken.mkdir()
            environment = {
                **os.environ,
                "BLENDER_USER_RESOURCES": str(profile),
                "DISPLAY": screen,
                "LIBGL_ALWAYS_SOFTWARE": "1",
            }
            install(blender, environment, Path(folder))
            tell(blender, environment, args.bundle.resolve(), taken)
            publish(taken, args.output)
    except (Failed, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        return error.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
