"""How long work reports what it does and learns that it should stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class Cancelled(Exception):
    """The user asked for the work to stop."""


@dataclass(frozen=True)
class Monitor:
    """A job's line to whoever started it.

    `report` takes an event (see `protocol`), `should_stop` is polled; every method raises `Cancelled`
    once it says so. Call `progress` or `check` at least every 100 ms of work.
    """

    report: Callable[[dict[str, Any]], None]
    should_stop: Callable[[], bool]

    def check(self) -> None:
        if self.should_stop():
            raise Cancelled

    def progress(self, stage: str, done: int, total: int, message: str = "") -> None:
        self.check()
        event = {"event": "progress", "stage": stage, "done": done, "total": total}
        self.report({**event, "message": message})

    def log(self, message: str, level: str = "info") -> None:
        """`level` is "info" or "warning"; warnings are shown to the user, so write them in the user's words."""
        self.check()
        self.report({"event": "log", "level": level, "message": message})

    def artifact(self, kind: str, path: Path) -> None:
        """Tell that a finished file or folder is in its place."""
        self.report({"event": "artifact", "kind": kind, "path": str(path)})


SILENT = Monitor(lambda event: None, lambda: False)
