"""How a job's events are shown: a bar for people, JSON lines for programs, Open Job Description's lines for farms."""

from __future__ import annotations

import os
import sys
from typing import IO, Any

from .protocol import encode


def take_stdout() -> IO[bytes]:
    """Reserve standard output for the caller: whatever else is printed, by C code too, goes to standard error."""
    sys.stdout.flush()
    stream = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return stream


def send_line(stream: IO[bytes], line: bytes) -> None:
    """Write a line at once. Raises `BrokenPipeError` where nobody reads; what is written after that is lost silently."""
    try:
        stream.write(line)
        stream.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        raise BrokenPipeError from None


class JsonLines:
    """The events of `protocol`, one a line, on standard output."""

    def __init__(self) -> None:
        self._stream = take_stdout()

    def __call__(self, event: dict[str, Any]) -> None:
        send_line(self._stream, encode(event, None))


class OpenJobDescription:
    """The lines that an Open Job Description session understands, on standard output."""

    def __init__(self) -> None:
        self._stream = take_stdout()

    def __call__(self, event: dict[str, Any]) -> None:
        match event["event"]:
            case "progress":
                percent = 100 * min(event["done"] / event["total"], 1) if event["total"] else 0
                self._say("progress", f"{percent:.1f}")
                self._say("status", f"{event['stage']} {event['message']}")
            case "log":
                self._say("status", event["message"])
            case "error":
                self._say("fail", f"{event['message']} {event['hint']}")
            case "cancelled":
                self._say("fail", "Cancelled.")

    def _say(self, what: str, text: str) -> None:
        send_line(self._stream, f"openjd_{what}: {' '.join(text.split())}\n".encode())


class Bar:
    """A progress bar a stage on a terminal, nothing elsewhere; warnings and errors on standard error, results on standard
    output."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._bar: Any = None
        self._stage = ""

    def __call__(self, event: dict[str, Any]) -> None:
        match event["event"]:
            case "progress" if self._terminal:
                self._progress(event)
            case "log" if event["level"] == "warning":
                self._say(f"Warning: {event['message']}")
            case "log" if self._terminal:
                self._say(event["message"])
            case "done":
                self._close()
                print(*event["results"], sep="\n")
            case "error":
                self._close()
                self._say(f"{event['message']}\n{event['hint']}".strip())
            case "cancelled":
                self._close()
                self._say("Cancelled.")

    def _progress(self, event: dict[str, Any]) -> None:
        from tqdm import tqdm

        if self._bar is None or event["stage"] != self._stage:
            self._close()
            self._stage = event["stage"]
            self._bar = tqdm(desc=self._stage, total=event["total"], file=sys.stderr, leave=True)
        self._bar.set_postfix_str(event["message"], refresh=False)
        self._bar.update(event["done"] - self._bar.n)

    def _say(self, text: str) -> None:
        """Print above the bar."""
        if self._bar is not None:
            self._bar.clear()
        print(text, file=sys.stderr, flush=True)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.refresh()
            self._bar.close()
            self._bar = None


REPORTERS = {"jsonl": JsonLines, "bar": Bar, "openjd": OpenJobDescription}
