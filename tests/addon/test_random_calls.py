"""Some seconds of random calls (see random_calls.py, which runs as long as one likes)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("random_calls.py")
SECONDS = 20
LIMIT_S = 300


def test_nothing_breaks_and_nothing_is_left(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--seed", "5", "--seconds", str(SECONDS)],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    # Blender's own prints go through another buffer, and may come after it.
    assert "nothing is left\n" in done.stdout
    assert list(tmp_path.glob("sonic4d_random_*")) == []
