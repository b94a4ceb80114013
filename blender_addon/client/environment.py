"""The backend's own Python environment: which one to use, whether it works, and making it.

The managed environment lies in `folder / key`, where the key follows from the backend's source: an updated add-on finds
none and makes a new one. It is put together beside that place and renamed into it, so it is there whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from ...backend.sonic4d.protocol import PROTOCOL_VERSION, Sonic4DError, log_file
from .locks import locked
from .process import kill_group, last_line, start_detached
from .pythons import (
    child_environment,
    environment_python,
    find_python,
    install_command,
    make_environment_command,
)

OVERRIDE = "SONIC4D_BACKEND_PYTHON"
OLDEST_PYTHON = "3.11"
NEWEST_PYTHON = "3.14"
_CHECK_TIMEOUT_S = 120
LOCK = "install.lock"
_UNFINISHED, _OLD = ".new-", ".old-"
_MADE = "made"  # beside an unfinished environment that pip can install into
_EXTRAS = "sonic4d-extras"
_WINDOWS = sys.platform == "win32"
_WINDOWS_LIMIT = 259
_LONGEST_INSIDE = 200  # 172 in torch 2.13, below /Lib/site-packages/, and some for the next version
_NOT_COPIED = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
_KEY = re.compile("[0-9a-f]{8}")
_INSTALL = "Install the backend in the add-on's preferences."


def resolve(folder: Path, source: Path, explicit: Path | None = None) -> Path:
    """The backend's interpreter: $SONIC4D_BACKEND_PYTHON, else `explicit`, else the managed environment in `folder`.

    `source`: the backend/ folder that came with the add-on. Looks only, runs nothing (see `check`). Raises `Sonic4DError`
    ("no_backend").
    """
    override = os.environ.get(OVERRIDE)
    for origin, path in ((OVERRIDE, override), ("The add-on's preferences", explicit)):
        if path:
            if not Path(path).is_file():
                raise Sonic4DError(
                    "no_backend", f"{origin}: {path} is not a Python.", "Correct the path."
                )
            return Path(path)
    python = environment_python(folder / environment_key(source))
    if not python.is_file():
        raise Sonic4DError("no_backend", "The Sonic4D backend is not installed yet.", _INSTALL)
    return python


def environment_key(source: Path) -> str:
    """8 hex digits for what `source` contains. Short: Windows has a limit on the length of paths."""
    digest = hashlib.sha256()
    files = [source / "pyproject.toml", *(source / "sonic4d").rglob("*")]
    for path in sorted(path for path in files if path.is_file() and path.suffix != ".pyc"):
        digest.update(path.relative_to(source).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:8]


def check(python: Path) -> dict[str, Any]:
    """What the backend's doctor reports, "problems" that leave it usable among it. Takes seconds.

    Raises `Sonic4DError` where it can't be used with this add-on.
    """
    command = [str(python), "-I", "-m", "sonic4d", "doctor", "--json"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=child_environment(),
            timeout=_CHECK_TIMEOUT_S,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        report = json.loads(done.stdout)
        protocol, libraries = report["protocol"], report["libraries"]
    except OSError as error:
        raise Sonic4DError(
            "no_backend", f"{python} can't be started: {error.strerror}.", _INSTALL
        ) from None
    except subprocess.TimeoutExpired:
        raise Sonic4DError(
            "backend_broken", f"{python} gives no answer within {_CHECK_TIMEOUT_S} s.", _INSTALL
        ) from None
    except (ValueError, KeyError, TypeError):
        said = done.stderr.decode(errors="replace").strip().rsplit("\n", 1)[-1]
        raise Sonic4DError(
            "backend_broken", f"{python} is not a working Sonic4D backend. {said}".strip(), _INSTALL
        ) from None
    if protocol != PROTOCOL_VERSION:
        raise Sonic4DError(
            "protocol_mismatch",
            f"The backend of {python} does not fit this add-on: it speaks version {protocol} of their protocol, "
            f"the add-on version {PROTOCOL_VERSION}.",
            "Reinstall the backend in the add-on's preferences.",
        )
    broken = [name for name, version in libraries.items() if version is None]
    if broken:
        raise Sonic4DError(
            "backend_broken",
            f"The backend of {python} is incomplete: {', '.join(broken)} can't be loaded.",
            "Reinstall the backend in the add-on's preferences.",
        )
    return report


def create_environment(
    folder: Path,
    source: Path,
    python: Path | None = None,
    wheelhouse: Path | None = None,
    report: Callable[[str], None] = lambda line: None,
    should_stop: Callable[[], bool] = lambda: False,
    extras: Collection[str] = (),
) -> Path:
    """Make the managed environment for the backend in `source`; returns its interpreter. Takes minutes: never in Blender's
    main thread.

    python: what to make it with; else one is looked for. wheelhouse: a folder of wheels (setuptools' among them) to install
    from, without network. report: gets a line at a time of what is going on. extras: of the backend's pyproject.toml, such
    as "experts". Where the environment exists with them, nothing is done. What was interrupted goes on where it was; one
    installation at a time works in a folder. Raises `Sonic4DError`; "cancelled" once `should_stop` says so.
    """
    target = folder / environment_key(source)
    if environment_python(target).is_file() and set(extras) <= set(extras_of(target)):
        return environment_python(target)
    _check_path_length(target)
    report("Looking for a Python")
    base = python or find_python(OLDEST_PYTHON, NEWEST_PYTHON)
    if base is None:
        raise Sonic4DError(
            "no_python",
            f"No Python {OLDEST_PYTHON} to {NEWEST_PYTHON} that can make environments was found.",
            "Install one from python.org, or name one in the add-on's preferences.",
        )
    log = log_file("install.log")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Sonic4DError(
            "not_writable",
            f"{folder} can't be written: {error.strerror}.",
            "Choose another folder.",
        ) from None
    with locked(folder / LOCK):
        work = folder / (_UNFINISHED + target.name)
        try:
            for path in folder.glob(f"{_UNFINISHED}*"):  # of other versions
                if path != work:
                    shutil.rmtree(path, ignore_errors=True)
            environment = work / "env"
            copy = work / "backend"  # building writes beside the source, which may be read-only
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(source, copy, ignore=_NOT_COPIED)
            if not (work / _MADE).is_file():
                shutil.rmtree(environment, ignore_errors=True)
                report("Making the environment")
                _run(make_environment_command(base, environment), log, report, should_stop)
                (work / _MADE).touch()
            report("Installing the backend")
            what = str(copy) + (f"[{','.join(sorted(extras))}]" if extras else "")
            install = install_command(environment, what, wheelhouse=wheelhouse)
            _run(install, log, report, should_stop)
            report("Checking the backend")
            _check_new(work, environment)
            (environment / _EXTRAS).write_text("\n".join(sorted(extras)), encoding="utf-8")
            _put_in_place(environment, target)
        except OSError as error:
            raise Sonic4DError(
                "install_failed",
                f"The backend can't be installed in {folder}: {error.strerror or error}.",
                "Make room on the disk or choose another folder.",
            ) from None
        shutil.rmtree(work, ignore_errors=True)
        for old in folder.iterdir():
            if old != target and _KEY.fullmatch(old.name) and (old / "pyvenv.cfg").is_file():
                shutil.rmtree(old, ignore_errors=True)
    return environment_python(target)


def extras_of(environment: Path) -> tuple[str, ...]:
    """What was installed into an environment beyond the backend itself."""
    try:
        return tuple((environment / _EXTRAS).read_text(encoding="utf-8").split())
    except OSError:
        return ()


def installed_extras(folder: Path) -> tuple[str, ...]:
    """Of all environments in the managed folder, also those of earlier versions: an update keeps them."""
    names = {name for file in folder.glob(f"*/{_EXTRAS}") for name in extras_of(file.parent)}
    return tuple(sorted(names))


def _check_new(work: Path, environment: Path) -> None:
    """One that doesn't work must not be gone on with."""
    try:
        check(environment_python(environment))
    except Sonic4DError:
        shutil.rmtree(work, ignore_errors=True)
        raise


def _put_in_place(environment: Path, target: Path) -> None:
    """The old one, if there is any, makes room; if that fails it stays."""
    old = target.with_name(_OLD + target.name)
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        os.replace(target, old)
    try:
        os.replace(environment, target)
    except OSError:
        if old.exists():
            os.replace(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _check_path_length(target: Path) -> None:
    """Windows opens no longer paths unless it is told to."""
    longest = len(str(target)) + len(_UNFINISHED) + len("/env") + _LONGEST_INSIDE
    if not _WINDOWS or longest <= _WINDOWS_LIMIT or _long_paths_allowed():
        return
    raise Sonic4DError(
        "path_too_long",
        f"The folder {target.parent} has too long a name for Windows: files in it would have paths of {longest} "
        f"characters, and {_WINDOWS_LIMIT} are allowed.",
        "Choose a folder with a short path in the add-on's preferences, such as C:\\sonic4d.",
    )


def _long_paths_allowed() -> bool:
    import winreg

    key = r"SYSTEM\CurrentControlSet\Control\FileSystem"
    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, key) as system:  # type: ignore[attr-defined]
            return bool(winreg.QueryValueEx(system, "LongPathsEnabled")[0])  # type: ignore[attr-defined]
    except OSError:
        return False


def _run(
    command: list[str], log: Path, report: Callable[[str], None], should_stop: Callable[[], bool]
) -> None:
    with log.open("ab") as output:
        start = output.tell()
        process = start_detached(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    said = ""
    while True:
        try:
            status = process.wait(0.2)
        except subprocess.TimeoutExpired:
            if should_stop():
                kill_group(process)
                raise Sonic4DError("cancelled", "The installation was cancelled.") from None
        else:
            break
        line = last_line(log, start)
        if line != said:
            report(line)
            said = line
    if status:
        raise Sonic4DError(
            "install_failed",
            f"The backend can't be installed: {last_line(log, start)}",
            f"Check the network, or install from a folder of wheels. Details are in {log}.",
        )
