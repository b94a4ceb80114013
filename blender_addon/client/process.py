"""Child processes that Blender starts: detached, in a clean environment, killed with all their children."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Any

from ...backend.sonic4d.protocol import (
    FINAL_EVENTS,
    MAX_LINE_BYTES,
    Sonic4DError,
    decode_event,
    encode,
    log_file,
)
from .pythons import child_environment

HELLO_TIMEOUT_S = 60.0
CANCEL_GRACE_S = 5.0
STOP_GRACE_S = 2.0
_REINSTALL = "Reinstall the backend in the add-on's preferences."


def start_detached(command: list[str], **streams: Any) -> subprocess.Popen[bytes]:
    """Start a child out of reach of the terminal's Ctrl-C, as head of a process group, without a console window.

    Raises `Sonic4DError` where it can't be started.
    """
    options: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        options = {"creationflags": flags}
    try:
        return subprocess.Popen(command, env=child_environment(), **options, **streams)
    except OSError as error:
        raise Sonic4DError(
            "not_started", f"{command[0]} can't be started: {error.strerror}.", _REINSTALL
        ) from None


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a child of `start_detached` with all its descendants."""
    if process.poll() is None:
        if sys.platform == "win32":
            tree = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
            subprocess.run(tree, capture_output=True, creationflags=subprocess.CREATE_NO_WINDOW)
        else:
            with suppress(OSError):  # it has ended just now
                os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def last_line(log: Path, start: int) -> str:
    """The last line with text in a log from the byte `start` on; empty if there is none."""
    with log.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(start, file.tell() - 4096))
        lines = file.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


class WorkerProcess:
    """One running backend. A thread reads what it says; no method but `stop` blocks longer than it is told to."""

    def __init__(self, python: Path) -> None:
        self.log_path = log_file("worker.log")
        self.ready = False
        self._events: SimpleQueue[dict[str, Any] | Sonic4DError | None] = SimpleQueue()
        self._deadline: float | None = time.monotonic() + HELLO_TIMEOUT_S
        with self.log_path.open("ab") as log:
            log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {python}\n".encode())
            log.flush()
            self._log_start = log.tell()
            self._process = start_detached(
                [str(python), "-I", "-u", "-m", "sonic4d", "worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self._process.stdin is not None
        self._input = self._process.stdin
        threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def send(self, command: dict[str, Any], job_id: int | None = None) -> None:
        """Raises `Sonic4DError` for a command that can't be written as one line. A dead worker is told by `receive`."""
        line = encode(command, job_id)
        with suppress(OSError):
            self._input.write(line)
            self._input.flush()

    def cancel(self, job_id: int) -> None:
        """Ask the worker to drop a job; if it hasn't after a grace time, `receive` kills it."""
        if self._deadline is None:
            self._deadline = time.monotonic() + CANCEL_GRACE_S
        self.send({"command": "cancel"}, job_id)

    def receive(self, timeout_s: float = 0.0) -> dict[str, Any] | None:
        """The next event, or None if there is none within `timeout_s`.

        Raises `Sonic4DError` when the worker is gone: died, killed because it ignored a cancel or a start, or of another
        protocol version.
        """
        if self._deadline is not None and time.monotonic() > self._deadline:
            self._deadline = None
            self._kill()
        try:
            event = self._events.get(timeout=timeout_s) if timeout_s else self._events.get_nowait()
        except Empty:
            return None
        if event is None:
            raise self._death()
        if (
            not isinstance(event, Sonic4DError)
            and event["event"] == "error"
            and event["id"] is None
        ):
            event = Sonic4DError(event["code"], event["message"], event["hint"])
        if isinstance(event, Sonic4DError):
            self._kill()
            raise event
        if event["event"] == "hello":
            self.ready = True
        if event["event"] in ("hello", *FINAL_EVENTS):
            self._deadline = None
        return event

    def stop(self) -> None:
        """End the worker: politely, then not. Blocks for STOP_GRACE_S at most."""
        self._close_input()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_GRACE_S)
        self._kill()

    def _kill(self) -> None:
        self._close_input()
        kill_group(self._process)

    def _close_input(self) -> None:
        with suppress(OSError):  # what a dead worker didn't read is lost
            self._input.close()

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            while line := stream.readline(MAX_LINE_BYTES + 1):
                try:
                    self._events.put(decode_event(line))
                except Sonic4DError as error:
                    self._events.put(error)
        self._events.put(None)

    def _death(self) -> Sonic4DError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_GRACE_S)
        self._kill()
        code = self._process.returncode
        said = last_line(self.log_path, self._log_start)
        details = f'It last wrote "{said}".' if said else ""
        if not self.ready:
            return Sonic4DError(
                "backend_broken", f"The backend doesn't start. {details}".strip(), _REINSTALL
            )
        if code < 0:
            how = f"was killed by the signal {signal.Signals(-code).name}"
        else:
            how = f"ended unexpectedly with exit status {code}"
        return Sonic4DError(
            "worker_died",
            f"The backend {how}. {details}".strip(),
            "Try again: a new one starts by itself. If it ran out of memory, use fewer points.",
        )
