"""Which backend is used, whether it works, and making one: offline, from a stand-in for the backend's source."""

from __future__ import annotations

import os
import sys
import time
import zipfile
from pathlib import Path

import pytest
from extension.backend.sonic4d.protocol import PROTOCOL_VERSION, Sonic4DError
from extension.blender_addon.client import environment
from extension.blender_addon.client.environment import (
    check,
    create_environment,
    environment_key,
    resolve,
)
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
    assert {path.name for path in folder.iterdir()} == {ours, "76543210", "notes"}

    said.clear()
    assert create_environment(folder, source, report=said.append) == python
    assert said == []


@posix_only
@pytest.mark.parametrize(
    ("says", "code", "words"),
    [
        ("*pip*) echo ERROR: No dependency.; exit 1", "install_failed", "ERROR: No dependency."),
        ("*doctor*) echo broken on arrival >&2; exit 1", "backend_broken", "broken on arrival"),
        ("*venv*) echo no venv here; exit 1", "install_failed", "no venv here"),
    ],
)
def test_failed_installation_leaves_nothing(
    tmp_path: Path, source: Path, says: str, code: str, words: str
) -> None:
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
    assert list(folder.iterdir()) == []


def test_cancelled_installation_leaves_nothing(tmp_path: Path, source: Path) -> None:
    folder = tmp_path / "managed"
    with pytest.raises(Sonic4DError) as caught:
        create_environment(folder, source, Path(sys.executable), should_stop=lambda: True)
    assert caught.value.code == "cancelled"
    assert list(folder.iterdir()) == []


def test_leftovers_of_an_interrupted_installation_go(tmp_path: Path, source: Path) -> None:
    folder = tmp_path / "managed"
    for name, age_s in ((".new-old", 2 * 86400), (".new-running", 60)):
        (folder / name).mkdir(parents=True)
        then = time.time() - age_s
        os.utime(folder / name, (then, then))
    with pytest.raises(Sonic4DError):
        create_environment(folder, source, Path(sys.executable), should_stop=lambda: True)
    assert [path.name for path in folder.iterdir()] == [".new-running"]


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
