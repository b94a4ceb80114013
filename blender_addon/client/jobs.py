"""Jobs for the backend: hand them in, watch them, wait for them."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...backend.sonic4d.protocol import Sonic4DError
from .process import WorkerProcess


@dataclass(eq=False)
class Job:
    """One job and what is known of it. `progress` (0..1) is that of the `stage`."""

    id: int
    request: dict[str, Any]
    status: str = "waiting"  # then "running", then "done", "failed" or "cancelled"
    stage: str = ""
    progress: float = 0.0
    message: str = ""
    warnings: list[str] = field(default_factory=list)
    results: list[Path] = field(default_factory=list)
    error: Sonic4DError | None = None
    log_path: Path | None = None
    cancelling: bool = False

    @property
    def finished(self) -> bool:
        return self.status in ("done", "failed", "cancelled")

    @property
    def result(self) -> Path:
        """The main file or folder that the job made, once it is done."""
        return self.results[0]


class Client:
    """Runs jobs one after the other in a worker that starts with the first one and stays.

    A job is {"kind": one of protocol.KINDS, ...parameters}; give absolute paths. In Blender a timer calls `poll`; in
    background mode call `wait`. A worker that dies takes its job with it ("failed"); the next job gets a new one.
    """

    def __init__(self, python: Path) -> None:
        """`python`: the backend's interpreter, see `environment.resolve`."""
        self._python = python
        self._worker: WorkerProcess | None = None
        self._active: Job | None = None
        self._waiting: deque[Job] = deque()
        self._ids = itertools.count(1)

    @property
    def busy(self) -> bool:
        return self._active is not None or bool(self._waiting)

    def submit(self, request: dict[str, Any]) -> Job:
        """Hand in a job. Never blocks and never fails: failures are told on the job."""
        job = Job(next(self._ids), request)
        self._waiting.append(job)
        self._advance()
        return job

    def cancel(self, job: Job) -> None:
        """Ask for the job to stop; it is "cancelled" at once if it waits, else soon."""
        if job in self._waiting:
            self._waiting.remove(job)
            job.status = "cancelled"
        elif job is self._active and self._worker and not job.finished:
            job.cancelling = True
            self._worker.cancel(job.id)

    def poll(self, timeout_s: float = 0.0) -> bool:
        """Take in what the worker has said; waits at most `timeout_s` for it. True if a job has changed."""
        changed = False
        while self._worker:
            try:
                event = self._worker.receive(timeout_s)
            except Sonic4DError as error:
                self._lost(error)
                changed = True
                break
            if event is None:
                break
            timeout_s = 0.0
            changed |= self._apply(event)
            changed |= self._advance()
        return self._advance() or changed

    def wait(self, job: Job, on_change: Callable[[Job], None] | None = None) -> Job:
        """Poll until the job is finished. Ctrl-C cancels it before it goes on up."""
        try:
            while not job.finished:
                if self.poll(0.1) and on_change:
                    on_change(job)
        except KeyboardInterrupt:
            self.cancel(job)
            while not job.finished:
                self.poll(0.1)
            raise
        return job

    def stop(self) -> None:
        """Cancel everything and end the worker."""
        for job in (self._active, *self._waiting):
            if job:
                job.status = "cancelled"
        self._active = None
        self._waiting.clear()
        if self._worker:
            self._worker.stop()
            self._worker = None

    def _advance(self) -> bool:
        """Start the worker, or give it the next job, if that is what comes next. True if a job has changed."""
        if self._active or not self._waiting:
            return False
        if self._worker and not self._worker.running:
            self._worker = None
        try:
            if self._worker is None:
                self._worker = WorkerProcess(self._python)
            if not self._worker.ready:
                return False
            self._active = self._waiting.popleft()
            self._active.status = "running"
            self._worker.send({"command": "run", "job": self._active.request}, self._active.id)
        except Sonic4DError as error:
            self._active = self._active or self._waiting.popleft()
            self._fail(error)
        return True

    def _apply(self, event: dict[str, Any]) -> bool:
        job = self._active
        if job is None or event["id"] != job.id:
            return False
        match event["event"]:
            case "progress":
                job.stage, job.message = event["stage"], event["message"]
                job.progress = min(event["done"] / event["total"], 1.0) if event["total"] else 0.0
            case "log" if event["level"] == "warning":
                job.warnings.append(event["message"])
            case "log":
                job.message = event["message"]
            case "done":
                job.status = "done"
                job.results = [Path(path) for path in event["results"]]
                self._active = None
            case "cancelled":
                job.status = "cancelled"
                self._active = None
            case "error":
                job.log_path = Path(event["log_path"]) if event["log_path"] else None
                self._fail(Sonic4DError(event["code"], event["message"], event["hint"]))
        return True

    def _fail(self, error: Sonic4DError) -> None:
        if self._active:
            self._active.status, self._active.error = "failed", error
        self._active = None

    def _lost(self, error: Sonic4DError) -> None:
        """The worker is gone: its job goes with it; one that was being cancelled anyway got its wish."""
        worker, self._worker = self._worker, None
        assert worker is not None
        log_path, started = worker.log_path, worker.ready
        if self._active is None and not started and self._waiting:
            self._active = self._waiting.popleft()
        if self._active:
            self._active.log_path = log_path
            if self._active.cancelling:
                self._active.status = "cancelled"
                self._active = None
            else:
                self._fail(error)
