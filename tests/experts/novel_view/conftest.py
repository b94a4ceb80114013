"""The tests' own modules, also those of scenes with known truth, which need no torch."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "backend")]
