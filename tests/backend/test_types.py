"""The add-on's types fit together, and with the files that it shares with the backend."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_addon_is_clean(tmp_path: Path) -> None:
    """As a package, under a name that is one: the repository's folder may be called anything."""
    (tmp_path / "extension").symlink_to(ROOT, target_is_directory=True)
    options = ["--config-file", str(ROOT / "pyproject.toml"), f"--cache-dir={tmp_path / 'cache'}"]
    mypy = [sys.executable, "-m", "mypy", *options, "-p", "extension.blender_addon"]
    done = subprocess.run(mypy, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
