"""Compiled code is used again until anything that it was made from changes, in whichever file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CONSTANTS = "SIZE = {size}\n"
CALLED = """
from sonic4d.compiled import njit

@njit()
def twice(x):
    return {factor} * x
"""
CALLER = """
from called import twice
from constants import SIZE
from sonic4d.compiled import njit

@njit(fastmath=True)
def compute(x):
    return twice(x) + SIZE

print(compute(10), sum(compute.stats.cache_hits.values()))
"""


@pytest.fixture
def computed(tmp_path: Path) -> object:
    """`computed(size, factor)`: what a new process computes, and how often it found compiled code."""

    def run(size: int, factor: int) -> list[int]:
        (tmp_path / "constants.py").write_text(CONSTANTS.format(size=size))
        (tmp_path / "called.py").write_text(CALLED.format(factor=factor))
        (tmp_path / "caller.py").write_text(CALLER)
        command = [sys.executable, "-B", "caller.py"]
        said = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, text=True)
        return [int(number) for number in said.stdout.split()]

    return run


def test_code_compiled_before_is_used_only_while_it_is_right(computed: object) -> None:
    assert callable(computed)
    assert computed(1, 2) == [21, 0]
    assert computed(1, 2) == [21, 1]
    assert computed(5, 2) == [25, 0]
    assert computed(5, 3) == [35, 0]
    assert computed(1, 2) == [21, 1]
