"""Running a job as the worker would, from the command line."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from ..jobs import run_job
from ..progress import Bar
from ..protocol import FINAL_EVENTS
from .options import flag

DONE, FAILED, BAD_USAGE, INTERRUPTED = 0, 1, 2, 130


def job(kind: str) -> Callable[[dict[str, Any]], int]:
    """The `run` of a command that makes a job of this kind of its options."""

    def do(arguments: dict[str, Any]) -> int:
        bar = Bar()

        def report(event: dict[str, Any]) -> None:
            if event["event"] == "error" and event["code"] == "bad_option":
                field, colon, what = event["message"].partition(": ")
                if colon and field.isidentifier():  # a setting: the user knows it by its option
                    event = {**event, "message": f"{flag(field)}: {what}"}
            bar(event)

        return run_to_the_end({"kind": kind, **arguments}, report)

    return do


def run_to_the_end(job: dict[str, Any], reporter: Callable[[dict[str, Any]], None]) -> int:
    """Run a job; SIGINT and SIGTERM cancel it. Returns the exit status."""
    stop = threading.Event()
    last: dict[str, Any] = {}

    def interrupt(number: int, frame: FrameType | None) -> None:
        if stop.is_set():  # asked again: don't wait for the job to notice
            raise KeyboardInterrupt
        stop.set()

    def report(event: dict[str, Any]) -> None:
        if event["event"] in FINAL_EVENTS:
            last.update(event)
        try:
            reporter(event)
        except BrokenPipeError:  # whoever read the output has gone
            stop.set()

    previous = {n: signal.signal(n, interrupt) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        run_job(job, report, stop.is_set)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if last["event"] == "error":
        return BAD_USAGE if last["code"] == "bad_option" else FAILED
    return INTERRUPTED if last["event"] == "cancelled" else DONE
