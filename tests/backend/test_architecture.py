"""The walls of the design: who may import what, and what shipped code never does."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BACKEND = ROOT / "backend" / "sonic4d"
ADDON = ROOT / "blender_addon"
CLIENT = ADDON / "client"
SHIPPED = (BACKEND, ADDON, ROOT / "scripts")
STAGES = ("scene", "sources", "acoustics")
SHARED = ("protocol", "moves", "files", "materials", "unfinished")
MAX_LINES = 500


def files(*folders: Path) -> list[Path]:
    found = sorted(path for folder in folders for path in folder.rglob("*.py"))
    assert found
    return found


def imports(path: Path) -> Iterator[str]:
    """Full names of all that a file imports, at any depth, relative to the repository's root or the backend's folder."""
    base = ROOT / "backend" if path.is_relative_to(BACKEND) else ROOT
    package = path.relative_to(base).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package[: len(package) - node.level + 1] if node.level else ()
            name = ".".join([*parts, *([node.module] if node.module else [])])
            yield from (f"{name}.{alias.name}" for alias in node.names)


def offenders(paths: list[Path], *forbidden: str) -> list[str]:
    """Imports of the forbidden modules or of anything in them."""
    return [
        f"{path.relative_to(ROOT)}: {name}"
        for path in paths
        for name in imports(path)
        if any(name == bad or name.startswith(bad + ".") for bad in forbidden)
    ]


def test_the_walls_would_be_seen_to_fall(tmp_path: Path) -> None:
    found = set(imports(BACKEND / "jobs.py"))
    assert {"sonic4d.protocol.Sonic4DError", "sonic4d.generate.generate", "os"} <= found
    found = set(imports(CLIENT / "process.py"))
    assert "backend.sonic4d.protocol.encode" in found
    assert offenders([BACKEND / "jobs.py"], "sonic4d.protocol")
    assert not offenders([BACKEND / "jobs.py"], "sonic4d.proto")


def test_backend_and_client_know_nothing_of_blender() -> None:
    assert not offenders(files(BACKEND, CLIENT), "bpy", "mathutils", "bmesh", "aud", "gpu")


def test_no_stage_imports_a_later_one() -> None:
    for i, stage in enumerate(STAGES):
        later = [f"sonic4d.{name}" for name in STAGES[i + 1 :]]
        assert not offenders(files(BACKEND / stage), *later)


def test_acoustics_stands_alone() -> None:
    others = ("sonic4d.scene", "sonic4d.sources", "sonic4d.experts")
    assert not offenders(files(BACKEND / "acoustics"), *others)


def test_nothing_below_imports_the_front_ends() -> None:
    parts = ("acoustics", "evaluate", "experts", "geometry", "media", "scene", "sources")
    paths = [path for path in files(BACKEND) if path.relative_to(BACKEND).parts[0] in parts]
    assert not offenders(paths, "sonic4d.jobs", "sonic4d.worker", "sonic4d.cli", "sonic4d.commands")


def test_addon_shares_few_files_with_the_backend() -> None:
    used = {
        name
        for path in files(ADDON)
        for name in imports(path)
        if name.startswith(("backend", "sonic4d"))
    }
    assert used
    assert {name.rpartition(".")[0] for name in used} <= {f"backend.sonic4d.{s}" for s in SHARED}


def test_shared_files_and_client_need_the_standard_library_only() -> None:
    paths = [*(BACKEND / f"{name}.py" for name in SHARED), *files(CLIENT)]
    own = ("sonic4d", "backend", "blender_addon", "__future__")
    foreign = {
        f"{path.name}: {name}"
        for path in paths
        for name in imports(path)
        if name.split(".")[0] not in (*sys.stdlib_module_names, *own)
    }
    assert not foreign


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        ("protocol jobs worker cli", "numpy scipy numba cv2 sklearn av torch transformers tqdm"),
        ("bundle shot staging settings", "scipy numba cv2 sklearn av torch transformers"),
    ],
)
def test_entry_modules_load_nothing_heavy(modules: str, heavy: str) -> None:
    names = ", ".join(f"sonic4d.{name}" for name in modules.split())
    code = f"import json, sys, {names}; print(json.dumps([*sys.modules]))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "backend")}
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, env=environment
    ).stdout
    assert not set(heavy.split()) & set(json.loads(loaded))


def test_shipped_code_runs_no_foreign_code() -> None:
    assert not offenders(files(*SHIPPED), "pickle", "marshal", "shelve", "joblib", "dill")
    for path in files(*SHIPPED):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            where = f"{path.relative_to(ROOT)}:{node.lineno}"
            called = ast.unparse(node.func)
            assert called not in ("eval", "exec", "os.system", "os.popen"), where
            for keyword in node.keywords:
                false = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                assert keyword.arg not in ("shell", "allow_pickle") or false, where


def test_files_stay_readable() -> None:
    long = {
        f"{path.relative_to(ROOT)}: {lines} lines"
        for path in files(*SHIPPED, ROOT / "tests")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES
    }
    assert not long


@pytest.mark.parametrize("command", ["check", "format --check"])
def test_ruff_is_content(command: str) -> None:
    options = ["--no-cache", "--output-format=concise", str(ROOT)]
    ruff = [sys.executable, "-m", "ruff", *command.split(), *options]
    done = subprocess.run(ruff, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
