"""A backend environment of its own, in a path with spaces and umlauts, with the kinds of jobs for tests."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BACKEND = ROOT / "backend"
EXTRA_JOBS = ROOT / "tests" / "backend" / "extra_jobs.py"

# The client as it is imported in an installed extension, but without the packages around it, which need bpy.
for name, folder in (("extension", ROOT), ("extension.blender_addon", ROOT / "blender_addon")):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [str(folder)]


@pytest.fixture(scope="session")
def backend_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ein schöner Ort") / "env"
    make_environment(folder)
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def make_environment(folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    startup = f"import runpy; runpy.run_path({str(EXTRA_JOBS)!r})"  # runs with -I, too
    lines = f"{BACKEND}\n{sysconfig.get_path('purelib')}\n{startup}\n"
    (packages / "backend.pth").write_text(lines, encoding="utf-8")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Logs go to the test's folder."""
    for variable in ("XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, str(tmp_path / "state"))
    return tmp_path / "state"
