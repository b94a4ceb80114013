"""Finding Pythons among shims, wrong versions and things that only look like one."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from extension.blender_addon.client import pythons

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="stand-ins are shell scripts")
VERSION = "{}.{}".format(*sys.version_info)


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def fake_python(path: Path, version: str, ensurepip: bool = True) -> Path:
    """Answers as a Python of that version would."""
    answer = f"echo {version.replace('.', ' ')} '{path}'"
    return script(
        path, f'case "$3" in *ensurepip*) {str(ensurepip).lower()} && echo 1;; *) {answer};; esac'
    )


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any Python: folders for the PATH and for pyenv."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "py env"))
    monkeypatch.delenv("SONIC4D_UV", raising=False)
    return tmp_path


def test_this_python_comes_first() -> None:
    found = pythons.find_python(VERSION)
    answer = subprocess.run(
        [
            str(found),
            "-c",
            "import sys; print(*sys.version_info[:2], sys.prefix == sys.base_prefix)",
        ],
        capture_output=True,
        text=True,
    )
    assert answer.stdout.split() == [*VERSION.split("."), "True"]


def test_nothing_is_found_where_nothing_is(machine: Path) -> None:
    assert pythons.find_pythons("3.8") == []
    assert pythons.find_python("3.11") is None


def test_shims_and_broken_ones_are_passed_over(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pythons, "_PROBE_TIMEOUT_S", 0.5)
    script(machine / "bin/python3", "echo 'pyenv: python3: command not found' >&2; exit 127")
    script(machine / "bin/python", "exec /bin/sleep 30")
    script(machine / "bin/python3.14", "echo hello there you")
    (machine / "bin/python3.13").write_text("not a program")
    good = fake_python(machine / "bin/python3.12", "3.12")
    assert pythons.find_pythons("3.11") == [good]


def test_versions_are_bounded_on_both_sides(machine: Path) -> None:
    found = {v: fake_python(machine / f"bin/python{v}", v) for v in ("3.9", "3.11", "3.13", "3.14")}
    assert pythons.find_pythons("3.11", "3.13") == [found["3.13"], found["3.11"]]
    assert pythons.find_pythons("3.12") == [found["3.14"], found["3.13"]]
    assert pythons.find_python("3.9") == found["3.9"]
    assert pythons.find_python("3.12") is None


def test_pyenv_versions_are_found(machine: Path) -> None:
    python = fake_python(machine / "py env/versions/3.13.0/bin/python3", "3.13")
    assert pythons.find_python("3.13") == python


def test_one_python_under_two_names_is_one(machine: Path) -> None:
    python = fake_python(machine / "bin/python3.13", "3.13")
    (machine / "bin/python3").symlink_to(python)
    assert pythons.find_pythons("3.11") == [python]


def test_python_without_ensurepip_serves_only_with_uv(machine: Path) -> None:
    python = fake_python(machine / "bin/python3", "3.13", ensurepip=False)
    assert pythons.find_pythons("3.11") == []
    script(machine / "bin/uv", "echo uv 0.9")
    assert pythons.find_pythons("3.11") == [python]


def test_uv_tells_of_its_own_pythons(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = fake_python(machine / "uv pythons/python3.13", "3.13")
    uv = script(
        machine / "own uv",
        f'case "$1" in python) echo "cpython-3.13.0-linux-x86_64-gnu    {python}";; *) echo uv 0.9;; esac',
    )
    monkeypatch.setenv("SONIC4D_UV", str(uv))
    assert pythons.find_python("3.13") == python


def test_uv_that_does_not_run_is_none(machine: Path) -> None:
    script(machine / "bin/uv", "exit 1")
    assert pythons.find_uv() is None


def test_commands_for_uv_and_for_pip(machine: Path) -> None:
    folder = machine / "env"
    python = str(pythons.environment_python(folder))
    command = pythons.install_command(folder, "what", wheelhouse=machine / "wheels")
    assert command[:3] == [python, "-I", "-m"]
    assert command[-4:] == ["--no-index", "--find-links", str(machine / "wheels"), "what"]
    uv = script(machine / "bin/uv", "echo uv 0.9")
    command = pythons.install_command(folder, "what")
    assert command == [str(uv), "pip", "install", "--python", python, "what"]
    assert pythons.make_environment_command(Path("py"), folder)[0] == str(uv)


def test_file_can_be_used_alone(tmp_path: Path) -> None:
    source = Path(pythons.__file__)
    tree = ast.parse(source.read_text())
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level]
    code = "import pythons; print(pythons.find_python('3.0'))"
    environment = {**os.environ, "PYTHONPATH": str(source.parent)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment)
    assert done.stdout.strip() == b"None"
