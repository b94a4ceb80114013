"""Finding Pythons on this machine, and the commands that make environments with them.

Standard library only and without relative imports: scripts use this file before any environment exists.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_PROBE_TIMEOUT_S = 20
_NEWEST_MINOR = 99
_WINDOWS = sys.platform == "win32"
# Says version and interpreter (that of the installation, where it is asked of a virtual environment).
_PROBE = "import sys; print(*sys.version_info[:2], getattr(sys, '_base_executable', '') or sys.executable)"


def child_environment() -> dict[str, str]:
    """This process's environment without what would lead another Python astray."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return {**kept, "PYTHONNOUSERSITE": "1", "PYTHONUTF8": "1"}


def find_uv() -> Path | None:
    """The uv program: $SONIC4D_UV, else the one on the PATH that runs."""
    named = os.environ.get("SONIC4D_UV") or shutil.which("uv")
    return Path(named) if named and _output([named, "--version"]) else None


def find_pythons(minimum: str, maximum: str | None = None) -> list[Path]:
    """Interpreters from version `minimum` to `maximum` ("3.11"; both included) that run and can make environments."""
    return list(_matching(minimum, maximum))


def find_python(version: str, newest: str | None = None) -> Path | None:
    """The first interpreter of this version ("3.13"), or of one from there to `newest`."""
    return next(_matching(version, newest or version), None)


def environment_python(folder: Path) -> Path:
    """The interpreter of the virtual environment in `folder`."""
    return folder / ("Scripts/python.exe" if _WINDOWS else "bin/python")


def make_environment_command(python: Path, folder: Path) -> list[str]:
    """Command that makes an empty virtual environment in `folder`: by uv where there is one, else by venv."""
    uv = find_uv()
    if uv:
        return [str(uv), "venv", "--quiet", "--python", str(python), str(folder)]
    return [str(python), "-I", "-m", "venv", str(folder)]


def install_command(folder: Path, *what: str, wheelhouse: Path | None = None) -> list[str]:
    """Command that installs into the environment in `folder`; with `wheelhouse`, from that folder of wheels alone."""
    python = str(environment_python(folder))
    uv = find_uv()
    if uv:
        command = [str(uv), "pip", "install", "--python", python]
    else:
        command = [python, "-I", "-m", "pip", "install", "--no-input"]
        command += ["--disable-pip-version-check", "--progress-bar", "off"]
    if wheelhouse:
        command += ["--no-index", "--find-links", str(wheelhouse)]
    return [*command, *what]


def _matching(minimum: str, maximum: str | None) -> Iterator[Path]:
    low = _version(minimum)
    high = _version(maximum) if maximum else (3, _NEWEST_MINOR)
    needs_ensurepip = find_uv() is None
    seen = set()
    for candidate in _candidates(range(low[1], high[1] + 1)):
        version, python = _probe(candidate)
        real = os.path.realpath(python)
        if not low <= version <= high or real in seen:
            continue
        seen.add(real)
        # Debian's Python comes without ensurepip unless python3-venv is installed.
        if needs_ensurepip and not _output([str(python), "-I", "-c", "import ensurepip; print(1)"]):
            continue
        yield python


def _probe(candidate: Path) -> tuple[tuple[int, int], Path]:
    """Version and interpreter of a candidate; version 0.0 if it isn't a Python that runs."""
    try:
        major, minor, python = _output([str(candidate), "-I", "-c", _PROBE]).strip().split(" ", 2)
        return (int(major), int(minor)), Path(python)
    except ValueError:
        return (0, 0), candidate


def _candidates(minors: range) -> Iterator[Path]:
    """What may be a Python; `minors`: the versions 3.x that are of interest."""
    yield Path(sys.executable or "python3")
    versions = [f"python3.{minor}" for minor in reversed(minors)]
    for name in ("python3", "python", *versions):
        found = shutil.which(name)
        if found:
            yield Path(found)
    yield from _pyenv_pythons()
    if _WINDOWS:
        for line in _output(["py", "-0p"]).splitlines():
            # " -V:3.13 *        C:\\Program Files\\Python313\\python.exe"
            words = line.split(None, 2)
            yield from (Path(word.strip("* ")) for word in words[1:] if word.endswith(".exe"))
    uv = find_uv()
    if uv:
        listed = _output([str(uv), "python", "list", "--only-installed", "--offline"])
        for line in listed.splitlines():
            name, _, path = line.partition(" ")
            yield Path(path.split(" -> ")[0].strip())


def _pyenv_pythons() -> Iterator[Path]:
    root = Path(os.environ.get("PYENV_ROOT") or Path(os.path.expanduser("~")) / ".pyenv")
    for versions in (root / "versions", root / "pyenv-win" / "versions"):
        if versions.is_dir():
            for folder in sorted(versions.iterdir(), reverse=True):
                yield from (
                    p for p in (folder / "bin/python3", folder / "python.exe") if p.is_file()
                )


def _version(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)


def _output(command: list[str]) -> str:
    """What the command prints; nothing where it can't be run or fails, as shims without a Python behind them do."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_PROBE_TIMEOUT_S,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""
