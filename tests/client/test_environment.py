"""Which backend is used, whether it works, and making one: offline, from a stand-in for the backend's source."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from extension.backend.sonic4d.protocol import PROTOCOL_VERSION, Sonic4DError
from extension.blender_addon.client import environment
from extension.blender_addon.client.environment import (
    LOCK,
    check,
    create_environment,
    environment_key,
    installed_extras,
    resolve,
)
from extension.blender_addon.client.locks import locked
from extension.blender_addon.client.pythons import child_environment, environment_python

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="stand-ins are shell scripts")

DOCTOR = f"""
import dependency, json
print(json.dumps({{"protocol": {PROTOCOL_VERSION}, "libraries": {{"dependency": "1"}}, "problems": []}}))
"""
# Builds the stand-in's wheel (PEP 517) with nothing but the standard library.
BUILDER = """
import zipfile

def build_wheel(folder, *settings):
    name = "sonic4d-1-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        wheel.write("sonic4d/__main__.py")
        info = "Metadata-Version: 2.1\\nName: sonic4d\\nVersion: 1\\nRequires-Dist: dependency\\n"
        wheel.writestr("sonic4d-1.dist-info/METADATA", info)
        wheel.writestr("sonic4d-1.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr("sonic4d-1.dist-info/RECORD", "")
    return name
"""
PYPROJECT = """
[build-system]
requires = []
build-backend = "builder"
backend-path = ["."]
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A stand-in for backend/, with one dependency."""
    folder = tmp_path / "add on" / "backend"
    (folder / "sonic4d").mkdir(parents=True)
    (folder / "sonic4d" / "__main__.py").write_text(DOCTOR)
    (folder / "pyproject.toml").write_text(PYPROJECT)
    (folder / "builder.py").write_text(BUILDER)
    return folder


@pytest.fixture
def wheelhouse(tmp_path: Path) -> Path:
    folder = tmp_path / "wheel house"
    folder.mkdir()
    with zipfile.ZipFile(folder / "dependency-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("dependency.py", "")
        wheel.writestr(
            "dependency-1.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: dependency\nVersion: 1\n",
        )
        wheel.writestr(
            "dependency-1.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr("dependency-1.dist-info/RECORD", "")
    return folder


@pytest.fixture(autouse=True)
def _no_override(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(environment.OVERRIDE, raising=False)
    monkeypatch.delenv("SONIC4D_UV", raising=False)


def test_order_of_what_is_used(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "managed"
    with pytest.raises(Sonic4DError, match="not installed yet"):
        resolve(folder, source)
    managed = environment_python(folder / environment_key(source))
    explicit, override = tmp_path / "explicit", tmp_path / "override"
    for path in (managed, explicit, override):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert resolve(folder, source) == managed
    assert resolve(folder, source, explicit) == explicit
    monkeypatch.setenv(environment.OVERRIDE, str(override))
    assert resolve(folder, source, explicit) == override
    override.unlink()
    with pytest.raises(Sonic4DError, match=f"{environment.OVERRIDE}.*override is not a Python"):
        resolve(folder, source, explicit)


def test_key_follows_the_source(source: Path) -> None:
    key = environment_key(source)
    (source / "sonic4d" / "__pycache__").mkdir()
    (source / "sonic4d" / "__pycache__" / "x.cpython-311.pyc").write_bytes(b"x")
    assert environment_key(source) == key
    (source / "sonic4d" / "new.py").touch()
    assert environment_key(source) != key


def test_environment_of_blender_does_not_lead_the_backend_astray(
    backend_python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise ImportError('the wrong json')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONHOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    report = check(backend_python)
    assert report["protocol"] == PROTOCOL_VERSION
    assert report["libraries"]["numpy"]
    assert {key for key in child_environment() if key.startswith("PYTHON")} == {
        "PYTHONNOUSERSITE",
        "PYTHONUTF8",
    }


@posix_only
@pytest.mark.parametrize(
    ("says", "code", "words"),
    [
        ("echo No module named sonic4d >&2; exit 1", "backend_broken", "No module named sonic4d"),
        ("echo 5", "backend_broken", "not a working Sonic4D backend"),
        ("echo '{}'", "backend_broken", "not a working Sonic4D backend"),
        ("exec sleep 30", "backend_broken", "no answer"),
        ('echo \'{"protocol": 99, "libraries": {}}\'', "protocol_mismatch", "version 99"),
        (
            f'echo \'{{"protocol": {PROTOCOL_VERSION}, "libraries": {{"numba": null}}}}\'',
            "backend_broken",
            "numba can't be loaded",
        ),
    ],
)
def test_unfit_backend_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, code: str, words: str
) -> None:
    monkeypatch.setattr(environment, "_CHECK_TIMEOUT_S", 1)
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{says}\n")
    python.chmod(0o755)
    with pytest.raises(Sonic4DError) as caught:
        check(python)
    assert caught.value.code == code
    assert words in caught.value.message
    assert caught.value.hint


def test_environment_is_made_offline_and_replaces_the_old_one(
    tmp_path: Path, source: Path, wheelhouse: Path
) -> None:
    folder = tmp_path / "größer" / "managed"
    for name in ("01234567/pyvenv.cfg", "76543210/thesis.txt", "notes/pyvenv.cfg"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).touch()
    said: list[str] = []
    python = create_environment(folder, source, wheelhouse=wheelhouse, report=said.append)
    assert python == resolve(folder, source)
    assert check(python)["libraries"] == {"dependency": "1"}
    assert said[0] == "Looking for a Python"
    ours = environment_key(source)
    assert {path.name for path in folder.iterdir()} == {ours, "76543210", "notes", LOCK}

    said.clear()
    assert create_environment(folder, source, report=said.append) == python
    assert said == []


@posix_only
@pytest.mark.parametrize(
    ("says", "code", "words", "goes_on"),
    [
        ("*pip*) echo ERROR: Nothing.; exit 1", "install_failed", "ERROR: Nothing.", True),
        ("*doctor*) echo broken on arrival >&2; exit 1", "backend_broken", "on arrival", False),
        ("*venv*) echo no venv here; exit 1", "install_failed", "no venv here", True),
    ],
)
def test_failed_installation_is_never_found(
    tmp_path: Path, source: Path, says: str, code: str, words: str, goes_on: bool
) -> None:
    """What can be gone on with stays; an environment that doesn't work goes."""
    base = tmp_path / "python"  # makes environments whose Python is this script again
    base.write_text(
        f"""#!/bin/sh
case "$*" in
    {says} ;;
    *venv*) mkdir -p "$4/bin"; cp "$0" "$4/bin/python" ;;
esac
"""
    )
    base.chmod(0o755)
    folder = tmp_path / "managed"
    with pytest.raises(Sonic4DError) as caught:
        create_environment(folder, source, python=base)
    assert caught.value.code == code
    assert words in caught.value.message
    unfinished = f".new-{environment_key(source)}"
    assert {path.name for path in folder.iterdir()} == {LOCK, *[unfinished] * goes_on}
    with pytest.raises(Sonic4DError, match="not installed yet"):
        resolve(folder, source)


def test_an_interrupted_installation_goes_on_where_it_was(
    tmp_path: Path, source: Path, wheelhouse: Path
) -> None:
    folder = tmp_path / "managed"
    (folder / ".new-01234567").mkdir(parents=True)  # of another version
    lines: list[str] = []
    with pytest.raises(Sonic4DError) as caught:
        create_environment(
            folder,
            source,
            Path(sys.executable),
            report=lines.append,
            should_stop=lambda: "Installing the backend" in lines,
        )
    assert caught.value.code == "cancelled"
    unfinished = folder / f".new-{environment_key(source)}"
    assert {path.name for path in folder.iterdir()} == {LOCK, unfinished.name}
    (unfinished / "env" / "kept").touch()
    lines.clear()
    python = create_environment(folder, source, wheelhouse=wheelhouse, report=lines.append)
    assert "Making the environment" not in lines
    assert (python.parent.parent / "kept").is_file()
    assert check(python)["libraries"] == {"dependency": "1"}
    assert not unfinished.exists()


def test_two_installations_at_once_are_one_too_many(tmp_path: Path, source: Path) -> None:
    folder = tmp_path / "managed"
    folder.mkdir()
    with locked(folder / LOCK), pytest.raises(Sonic4DError) as caught:
        create_environment(folder, source, Path(sys.executable))
    assert caught.value.code == "busy"
    holder = "import sys, fcntl, os; fcntl.flock(os.open(sys.argv[1], os.O_RDWR), fcntl.LOCK_EX)"
    killed = f"{holder}; os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", killed, str(folder / LOCK)])
    with locked(folder / LOCK):  # a process that was killed holds nothing
        pass


def test_extras_are_added_by_a_new_environment_in_its_place(
    tmp_path: Path, source: Path, wheelhouse: Path
) -> None:
    """The old one is used until the new one works, and an update keeps the extras."""
    folder = tmp_path / "managed"
    python = create_environment(folder, source, wheelhouse=wheelhouse)
    (python.parent.parent / "old").touch()
    assert installed_extras(folder) == ()
    assert create_environment(folder, source, wheelhouse=wheelhouse, extras=["experts"]) == python
    assert not (python.parent.parent / "old").exists()
    assert check(python)
    assert installed_extras(folder) == ("experts",)
    said: list[str] = []
    create_environment(folder, source, extras=["experts"], report=said.append)
    create_environment(folder, source, report=said.append)
    assert said == []


def test_paths_that_windows_can_not_open_are_refused(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "_WINDOWS", True)
    monkeypatch.setattr(environment, "_long_paths_allowed", lambda: False)
    folder = tmp_path / ("long" * 20)
    with pytest.raises(Sonic4DError) as caught:
        create_environment(folder, source, Path(sys.executable))
    assert caught.value.code == "path_too_long"
    assert not folder.exists()
    monkeypatch.setattr(environment, "_long_paths_allowed", lambda: True)
    with pytest.raises(Sonic4DError, match="cancelled"):
        create_environment(folder, source, Path(sys.executable), should_stop=lambda: True)


def test_no_python_is_told(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "find_python", lambda *versions: None)
    with pytest.raises(Sonic4DError) as caught:
        create_environment(tmp_path / "managed", source)
    assert caught.value.code == "no_python"
    assert "python.org" in caught.value.hint


def test_place_that_is_not_writable_is_told(tmp_path: Path, source: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Sonic4DError) as caught:
        create_environment(tmp_path / "file" / "managed", source, python=Path(sys.executable))
    assert caught.value.code == "not_writable"
