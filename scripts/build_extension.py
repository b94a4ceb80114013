"""Build the Blender extension into dist/ and check it, with Blender's own packager.

    python3 scripts/build_extension.py [--output DIR] [--repository]

--repository adds index.json and index.html: put the folder on any web server, and Blender installs and updates from it (Get
Extensions > Repositories > Add Remote Repository, with the URL of index.json).

The packager is looked for in the bpy module of this Python and of .venv/bpy-*, then in $BLENDER and `blender` on the PATH. What
goes into the archive is said in blender_manifest.toml.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGER = "*/scripts/addons_core/bl_pkg/cli/blender_ext.py"


def packager() -> list[str]:
    """The command that stands before `build` and `validate`. Raises `FileNotFoundError`."""
    for module in _bpy_modules():
        for script in sorted(module.glob(PACKAGER)):
            return [sys.executable, str(script)]
    blender = os.environ.get("BLENDER") or shutil.which("blender")
    if blender:
        return [blender, "--factory-startup", "--command", "extension"]
    raise FileNotFoundError(
        "Blender's packager was not found. Set BLENDER, or run scripts/test.py once."
    )


def _bpy_modules() -> Iterator[Path]:
    spec = importlib.util.find_spec("bpy")
    if spec is not None and spec.origin:
        yield Path(spec.origin).parent
    for environment in sorted((ROOT / ".venv").glob("bpy-*"), reverse=True):
        yield from environment.glob("[Ll]ib/**/site-packages/bpy")


def build(output: Path) -> Path:
    """Build and validate the archive in the folder `output`. Raises `subprocess.CalledProcessError`."""
    with (ROOT / "blender_manifest.toml").open("rb") as file:
        manifest = tomllib.load(file)
    archive = output / f"{manifest['id']}-{manifest['version']}.zip"
    output.mkdir(parents=True, exist_ok=True)
    command = packager()
    folders = [f"--source-dir={ROOT}", f"--output-dir={output}"]
    subprocess.run([*command, "build", *folders], check=True)
    subprocess.run([*command, "validate", str(archive)], check=True)
    return archive


def index(folder: Path) -> Path:
    """Write the index of a static repository of the archives in `folder`. Raises `subprocess.CalledProcessError`."""
    subprocess.run([*packager(), "server-generate", f"--repo-dir={folder}", "--html"], check=True)
    return folder / "index.json"


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the Blender extension and check it.")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="folder for the archive")
    parser.add_argument(
        "--repository", action="store_true", help="make the folder a repository that can be hosted"
    )
    args = parser.parse_args()
    try:
        print(build(args.output.resolve()))
        if args.repository:
            print(index(args.output.resolve()))
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        return error.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
