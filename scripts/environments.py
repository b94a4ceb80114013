"""The environments that demo.py and test.py run in: made once, kept apart, under .venv/. Standard library only."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"

sys.path.insert(0, str(ROOT / "blender_addon" / "client"))
from pythons import child_environment, find_python  # noqa: E402

BLENDER_PYTHONS = {"4.5": "3.11", "5.2": "3.13"}  # the Python each bpy wheel is built for
BACKEND_PYTHONS = ("3.11", "3.12", "3.13")
OLDEST_BLENDER = (4, 5)
TORCH = "torch==2.13.0"  # what the frozen numbers of the experts' tests were computed with

# What `import bpy` and its renderers link to and a bare Debian or Ubuntu lacks.
SYSTEM_LIBRARIES = (
    "libegl1",
    "libegl-mesa0",
    "libgl1",
    "libgl1-mesa-dri",
    "libice6",
    "libsm6",
    "libx11-6",
    "libxfixes3",
    "libxi6",
    "libxkbcommon0",
    "libxrender1",
    "libxxf86vm1",
)


APT_INSTALL = ("apt-get", "install", "-y", "--no-install-recommends")
BROWSER_PACKAGES = ("chromium", "chromium-driver")


class SetupError(Exception):
    """Something the user has to do first; the message says what."""


@dataclass(frozen=True)
class Blender:
    """How to run a Python script with bpy: the command in front of the script's arguments."""

    name: str
    command: tuple[str, ...]

    def run_script(self, script: Path, *arguments: str) -> list[str]:
        if len(self.command) == 1:
            return [self.command[0], str(script), *arguments]
        return [*self.command, "--python", str(script), "--", *arguments]


def backend(say: Callable[[str], None], *extras: str) -> Path:
    """The Python of the backend's environment, made if need be, with the named extras of backend/pyproject.toml."""
    return _backend("backend", [], extras, say)


def experts(say: Callable[[str], None]) -> Path:
    """The Python of an environment of the backend with everything that pretrained experts need."""
    return _backend("experts", [TORCH], ("experts", "test"), say)


def _backend(
    name: str, first: list[str], extras: tuple[str, ...], say: Callable[[str], None]
) -> Path:
    for version in BACKEND_PYTHONS:
        python = find_python(version)
        if python is not None:
            break
    else:
        raise SetupError(
            f"The backend needs Python {', '.join(BACKEND_PYTHONS[:-1])} or {BACKEND_PYTHONS[-1]}. "
            "Install one of them and start again."
        )
    project = (ROOT / "backend" / "pyproject.toml").read_text(encoding="utf-8")
    packages = [*first, *(f"--editable={ROOT / 'backend'}[{extra}]" for extra in extras)]
    return _environment(name, python, packages, project, say)


def bpy(version: str, say: Callable[[str], None]) -> Path | None:
    """The Python of an environment with bpy `version` ("4.5"), made if need be; None without the Python it needs."""
    python = find_python(BLENDER_PYTHONS[version])
    if python is None:
        return None
    packages = [f"bpy=={version}.*", "pytest", "pytest-timeout"]
    environment_python = _environment(f"bpy-{version}", python, packages, "", say)
    _ensure_imports(environment_python, say)
    return environment_python


def browser(say: Callable[[str], None]) -> tuple[str, str] | None:
    """Chromium and its driver, installed where that is possible without asking; None without them."""
    found = shutil.which("chromium"), shutil.which("chromedriver")
    if None in found and _is_debian_root():
        say("Installing Chromium")
        _apt_install(BROWSER_PACKAGES)
        found = shutil.which("chromium"), shutil.which("chromedriver")
    return None if None in found else (str(found[0]), str(found[1]))


def find_blender(say: Callable[[str], None]) -> Blender:
    """$BLENDER, else `blender` on the PATH, else the newest bpy wheel there is a Python for."""
    chosen = os.environ.get("BLENDER")
    executable = chosen or shutil.which("blender")
    if executable is not None:
        version = _blender_version(executable)
        if version is not None and version >= OLDEST_BLENDER:
            name = f"Blender {version[0]}.{version[1]} ({executable})"
            flags = ("-b", "--factory-startup", "--python-exit-code", "1")
            return Blender(name, (executable, *flags))
        if chosen:
            raise SetupError(f"$BLENDER ({chosen}) is not a Blender 4.5 or newer that runs.")
    for version in sorted(BLENDER_PYTHONS, reverse=True):
        python = bpy(version, say)
        if python is not None:
            return Blender(f"Blender {version} LTS (the bpy package)", (str(python),))
    pairs = " or ".join(f"Python {p} (for bpy {b} LTS)" for b, p in BLENDER_PYTHONS.items())
    raise SetupError(
        f"No Blender was found. Set BLENDER to a Blender 4.5 or newer, or install {pairs}."
    )


def _blender_version(executable: str) -> tuple[int, int] | None:
    try:
        result = subprocess.run(
            [executable, "--version"], capture_output=True, text=True, timeout=60
        )
        major, minor = result.stdout.split()[1].split(".")[:2]
        return int(major), int(minor)
    except (OSError, subprocess.TimeoutExpired, IndexError, ValueError):
        return None


def _environment(
    name: str, python: Path, packages: list[str], project: str, say: Callable[[str], None]
) -> Path:
    """.venv/NAME with at least these packages. A broken one, or one for an older `project`, is made anew."""
    folder = VENV / name
    stamp = hashlib.sha256("\n".join([str(python), str(folder), project]).encode()).hexdigest()
    marker = folder / "sonic4d-environment"
    inside = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    there = marker.read_text(encoding="utf-8").splitlines() if marker.is_file() else []
    if there[:1] != [stamp] or not inside.exists():
        say(f"Making the environment {name} (once; some minutes)")
        shutil.rmtree(folder, ignore_errors=True)
        call([str(python), "-m", "venv", str(folder)])
        there = [stamp]
    for package in packages:
        if package not in there:
            pip = [str(inside), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            call([*pip, package])
            there.append(package)
            marker.write_text("\n".join(there), encoding="utf-8")
    return inside


def _ensure_imports(python: Path, say: Callable[[str], None]) -> None:
    """Check once that bpy loads; where system libraries are missing, install them or tell how."""
    marker = python.parent.parent / "bpy-loads"
    if marker.exists():
        return
    check = [str(python), "-c", "import bpy"]
    if (
        subprocess.run(check, capture_output=True, env=child_environment(), timeout=300).returncode
        != 0
    ):
        if not _is_debian_root():
            command = " ".join(["sudo", *APT_INSTALL, *SYSTEM_LIBRARIES])
            debian = shutil.which("apt-get") is not None
            advice = f"type: {command}" if debian else "install Blender's libraries"
            raise SetupError(f"Blender's Python package does not load here. To mend it, {advice}")
        say("Installing the system libraries that Blender needs")
        _apt_install(SYSTEM_LIBRARIES)
        call(check)
    marker.touch()


def _is_debian_root() -> bool:
    return shutil.which("apt-get") is not None and hasattr(os, "geteuid") and os.geteuid() == 0


def _apt_install(packages: tuple[str, ...]) -> None:
    call(["apt-get", "update", "-qq"])
    call([*APT_INSTALL, "-qq", *packages])


def call(command: list[str]) -> None:
    """Run a set-up command; raises `SetupError` with the end of its output where it fails."""
    result = subprocess.run(command, capture_output=True, text=True, env=child_environment())
    if result.returncode != 0:
        tail = "\n".join((result.stdout + result.stderr).strip().splitlines()[-12:])
        raise SetupError(f"This command failed: {' '.join(command)}\n{tail}")
