"""The worker: commands in on stdin, events out on stdout (see `protocol`), jobs one after the other."""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import threading
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import IO, Any

from . import __version__
from .jobs import JOBS, failure, run_job
from .progress import send_line, take_stdout
from .protocol import MAX_LINE_BYTES, Sonic4DError, decode_command, encode

END_GRACE_S = 5.0


def main() -> int:
    """Work until the input ends, or SIGINT or SIGTERM arrives."""
    faulthandler.enable()  # a crash in compiled code leaves its place in the log
    worker = _Worker(take_stdout())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: worker.end())
    worker.hello()
    threading.Thread(target=worker.read, args=(_take_stdin(),), daemon=True).start()
    worker.work()
    return 0


def _take_stdin() -> IO[bytes]:
    """Reserve standard input: no child may read commands away."""
    stream = os.fdopen(os.dup(0), "rb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return stream


class _Worker:
    """What the reading thread and the working thread share."""

    def __init__(self, events: IO[bytes]) -> None:
        self._events = events
        self._sending = threading.Lock()
        self._jobs: SimpleQueue[tuple[int, dict[str, Any]] | None] = SimpleQueue()
        self._cancelled: set[int] = set()
        self._ending = threading.Event()

    def read(self, commands: IO[bytes]) -> None:
        """Take commands until they end."""
        while line := commands.readline(MAX_LINE_BYTES + 1):
            try:
                message = decode_command(line)
            except Sonic4DError as error:
                self._send(None, failure(error))
                continue
            match message["command"]:
                case "run":
                    self._jobs.put((message["id"], message["job"]))
                case "cancel":
                    self._cancelled.add(message["id"])
                case "ping":
                    self.hello(message["id"])
                case "quit":
                    break
        self.end()

    def work(self) -> None:
        """Do the jobs as they come, until `end`."""
        while entry := self._jobs.get():
            job_id, job = entry
            run_job(job, partial(self._send, job_id), partial(self._should_stop, job_id))
            # Going through all that compiled code and libraries keep, in the middle of a job, would take 0.1 s. What earlier
            # jobs kept is looked at as well: some of it is garbage by now.
            gc.unfreeze()
            gc.collect()
            gc.freeze()

    def end(self) -> None:
        """Cancel all jobs and finish; one that doesn't heed it is cut off."""
        if not self._ending.is_set():
            self._ending.set()
            self._jobs.put(None)
            watchdog = threading.Timer(END_GRACE_S, os._exit, (1,))
            watchdog.daemon = True
            watchdog.start()

    def hello(self, ping_id: int | None = None) -> None:
        event = {"event": "hello", "sonic4d": __version__, "pid": os.getpid(), "kinds": [*JOBS]}
        self._send(ping_id, event)

    def _should_stop(self, job_id: int) -> bool:
        return self._ending.is_set() or job_id in self._cancelled

    def _send(self, job_id: int | None, event: dict[str, Any]) -> None:
        line = encode(event, job_id)
        with self._sending, suppress(BrokenPipeError):  # the input ends then, too
            send_line(self._events, line)
