"""The archive holds what Blender needs and nothing else, and works in a clean profile."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

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
    assert manifest["id"] == "sonic4d"
    assert manifest["name"] == "Sonic4D"
    assert manifest["license"] == ["SPDX:GPL-3.0-or-later"]
    assert manifest["blender_version_min"] == "4.5.0"
    assert set(manifest["permissions"]) == {"files", "network"}
    assert all(
        len(reason) <= 64 and not reason.endswith(".")
        for reason in manifest["permissions"].values()
    )


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
