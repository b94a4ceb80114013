"""Kinds of jobs for tests, which real ones can't stand in for. Run as a script, it is `sonic4d` with them."""

from __future__ import annotations

import os
import sys
import time
import weakref
from pathlib import Path
from typing import Any

from sonic4d import jobs
from sonic4d.cli import main
from sonic4d.files import new_folder
from sonic4d.monitor import Monitor
from sonic4d.protocol import Sonic4DError


def count(parameters: dict[str, Any], monitor: Monitor) -> Path:
    """Makes the folder `output` in `steps` steps of 20 ms."""
    steps = parameters["steps"]
    output = Path(parameters["output"])
    with new_folder(output) as work:
        for i in range(steps):
            monitor.progress("counting", i, steps, f"step {i}")
            (work / f"{i}.txt").write_text("counted")
            time.sleep(0.02)
    monitor.log("careful", "warning")
    monitor.artifact("counted", output)
    return output


def noisy(parameters: dict[str, Any], monitor: Monitor) -> Path:
    print("python noise", flush=True)
    os.system("echo child noise")
    os.write(1, b"raw noise\n")
    print("input:", os.read(0, 1), flush=True)
    return Path("quiet")


def deaf(parameters: dict[str, Any], monitor: Monitor) -> Path:
    monitor.progress("sleeping", 0, 1)
    time.sleep(60)
    return Path("never")


def fast(parameters: dict[str, Any], monitor: Monitor) -> Path:
    for i in range(100_000):
        monitor.progress("fast", i + 1, 100_000)
    return Path("fast")


def refused(parameters: dict[str, Any], monitor: Monitor) -> Path:
    raise Sonic4DError(parameters["code"], "It is refused.", "Ask again.")


def broken(parameters: dict[str, Any], monitor: Monitor) -> Path:
    raise ZeroDivisionError("oops")


def full(parameters: dict[str, Any], monitor: Monitor) -> Path:
    raise OSError(28, "No space left on device")


def greedy(parameters: dict[str, Any], monitor: Monitor) -> Path:
    raise MemoryError


def crash(parameters: dict[str, Any], monitor: Monitor) -> Path:
    print("last words", file=sys.stderr, flush=True)
    os._exit(7)


class _Ring:
    """Goes only when the garbage is collected."""

    def __init__(self) -> None:
        self.itself = self


_rings: weakref.WeakSet[_Ring] = weakref.WeakSet()
_kept_ring: list[_Ring] = []


def keeping(parameters: dict[str, Any], monitor: Monitor) -> Path:
    """Keeps something until the next such job; tells how many of these there are."""
    _kept_ring[:] = [_Ring()]
    _rings.add(_kept_ring[0])
    return Path(str(len(_rings)))


KINDS = (count, noisy, deaf, fast, refused, broken, full, greedy, crash, keeping)
jobs.JOBS.update({kind.__name__: kind for kind in KINDS})

if __name__ == "__main__":
    sys.exit(main())
