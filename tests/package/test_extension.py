"""The archive holds what Blender needs and nothing else, and works in a clean profile."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
INSTALL = Path(__file__).with_name("install_in_blender.py")
LIMIT_S = 180


def test_what_is_in_it(archive: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        names = file.namelist()
    top = {name.split("/")[0] for name in names}
    wanted = {"__init__.py", "blender_manifest.toml", "LICENSE", "blender_addon", "backend"}
    assert wanted <= top <= wanted | {"README.md"}
    assert {
        "blender_addon/__init__.py",
        "backend/pyproject.toml",
        "backend/sonic4d/worker.py",
    } <= set(names)
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
    assert not [name for name in names if "/tests/" in name or ".egg-info" in name]


def test_manifest(archive: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        manifest = tomllib.loads(file.read("blender_manifest.toml").decode())
        backend = file.read("backend/sonic4d/__init__.py").decode()
    assert manifest["schema_version"] == "1.0.0"
    assert (manifest["id"], manifest["name"], manifest["type"]) == ("sonic4d", "Sonic4D", "add-on")
    assert f'"{manifest["version"]}"' in backend
    assert archive.name == f"sonic4d-{manifest['version']}.zip"
    assert len(manifest["tagline"]) <= 64
    assert not manifest["tagline"].endswith(".")
    assert manifest["maintainer"]
    assert manifest["copyright"]
    assert manifest["license"] == ["SPDX:GPL-3.0-or-later"]
    assert manifest["blender_version_min"] == "4.5.0"
    assert "wheels" not in manifest
    assert "platforms" not in manifest
    assert set(manifest["tags"]) <= {
        "3D View",
        "Animation",
        "Camera",
        "Import-Export",
        "Sequencer",
    }
    assert set(manifest["permissions"]) == {"files", "network", "clipboard"}
    assert all(
        len(reason) <= 64 and not reason.endswith(".")
        for reason in manifest["permissions"].values()
    )


def test_the_whole_backend_travels(archive: Path) -> None:
    """Every module that the worker may import, and the data that it reads."""
    with zipfile.ZipFile(archive) as file:
        names = set(file.namelist())
    source = ROOT / "backend"
    for path in source.rglob("*"):
        if path.suffix in (".py", ".npz") and "__pycache__" not in path.parts:
            assert f"backend/{path.relative_to(source).as_posix()}" in names
    assert not [name for name in names if name.endswith((".whl", ".so", ".dll", ".exe"))]


def test_a_repository_for_hosting(builder: ModuleType, archive: Path, tmp_path: Path) -> None:
    shutil.copy(archive, tmp_path)
    data = json.loads(builder.index(tmp_path).read_text(encoding="utf-8"))
    [entry] = data["data"]
    assert entry["id"] == "sonic4d"
    assert entry["archive_url"] == f"./{archive.name}"
    assert entry["archive_size"] == archive.stat().st_size
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert entry["archive_hash"] == f"sha256:{digest}"
    assert "sonic4d" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_install_use_and_uninstall_in_a_clean_profile(archive: Path, tmp_path: Path) -> None:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environ["BLENDER_USER_RESOURCES"] = str(tmp_path / "profile")
    done = subprocess.run(
        [sys.executable, str(INSTALL), str(archive)],
        cwd=tmp_path,
        env=environ,
        timeout=LIMIT_S,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("uninstalled")
    assert not list((tmp_path / "profile").rglob("sonic4d/__init__.py"))
