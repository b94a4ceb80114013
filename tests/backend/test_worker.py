"""A real worker process, spoken to line by line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sonic4d
from sonic4d import __version__
from sonic4d.protocol import KINDS, decode_event, encode

SONIC4D = [sys.executable, "-u", str(Path(__file__).with_name("extra_jobs.py"))]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(sonic4d.__file__).parents[1])}
TIMEOUT_S = 30

pytestmark = pytest.mark.timeout(120)


class Worker:
    def __init__(self, tmp_path: Path) -> None:
        self.log = tmp_path / "stderr.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*SONIC4D, "worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=tmp_path,
                env={**ENVIRONMENT, "XDG_STATE_HOME": str(tmp_path / "state")},
            )

    def write(self, line: bytes) -> None:
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def send(self, job_id: int | None, command: str, **fields: object) -> None:
        self.write(encode({"command": command, **fields}, job_id))

    def run(self, job_id: int, **job: object) -> None:
        self.send(job_id, "run", job=job)

    def receive(self) -> dict[str, Any]:
        return decode_event(self.process.stdout.readline())

    def until(self, event: str, job_id: int | None) -> dict[str, Any]:
        while True:
            received = self.receive()
            if (received["event"], received["id"]) == (event, job_id):
                return received


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    worker = Worker(tmp_path)
    yield worker
    worker.process.kill()
    worker.process.wait()
    worker.process.stdin.close()
    worker.process.stdout.close()


def test_hello_comes_first(worker: Worker) -> None:
    hello = worker.receive()
    assert hello["event"] == "hello"
    assert hello["v"] == 1
    assert hello["id"] is None
    assert hello["sonic4d"] == __version__
    assert hello["pid"] == worker.process.pid
    assert set(KINDS) <= set(hello["kinds"])


def test_ping_is_answered_during_a_job(worker: Worker) -> None:
    worker.run(1, kind="count", steps=10_000, output="out")
    worker.until("progress", 1)
    worker.send(5, "ping")
    assert worker.until("hello", 5)


def test_events_of_a_job_carry_its_id(worker: Worker, tmp_path: Path) -> None:
    worker.receive()
    worker.run(42, kind="count", steps=3, output="größe")
    events = []
    while not events or events[-1]["event"] != "done":
        events.append(worker.receive())
    assert {event["id"] for event in events} == {42}
    assert [event["event"] for event in events if event["event"] != "progress"] == [
        "log",
        "artifact",
        "done",
    ]
    assert events[-1]["results"] == [str(tmp_path / "größe")]
    assert len(list((tmp_path / "größe").iterdir())) == 3


def test_second_job_waits_and_can_be_cancelled_there(worker: Worker, tmp_path: Path) -> None:
    worker.run(1, kind="count", steps=20, output="one")
    worker.run(2, kind="count", steps=1, output="two")
    worker.run(3, kind="count", steps=1, output="three")
    worker.send(2, "cancel")
    worker.until("done", 1)
    worker.until("cancelled", 2)
    worker.until("done", 3)
    assert not (tmp_path / "two").exists()


def test_cancel_stops_the_job_and_cleans_up(worker: Worker, tmp_path: Path) -> None:
    worker.run(1, kind="count", steps=10_000, output="one")
    worker.until("progress", 1)
    worker.send(1, "cancel")
    worker.until("cancelled", 1)
    assert {path.name for path in tmp_path.iterdir()} <= {"stderr.log", "state"}
    worker.run(2, kind="count", steps=1, output="two")
    worker.until("done", 2)


@pytest.mark.parametrize("how", ["end of input", "quit", "SIGTERM", "SIGINT"])
def test_worker_ends_in_the_midst_of_a_job(worker: Worker, tmp_path: Path, how: str) -> None:
    if how.startswith("SIG") and sys.platform == "win32":
        pytest.skip("signals of POSIX")
    worker.run(1, kind="count", steps=10_000, output="one")
    worker.run(2, kind="count", steps=10_000, output="two")
    worker.until("progress", 1)
    match how:
        case "end of input":
            worker.process.stdin.close()
        case "quit":
            worker.send(None, "quit")
        case _:
            worker.process.send_signal(getattr(signal, how))
    worker.until("cancelled", 1)
    worker.until("cancelled", 2)
    assert worker.process.wait(TIMEOUT_S) == 0
    assert {path.name for path in tmp_path.iterdir()} <= {"stderr.log", "state"}


def test_worker_ends_with_its_input_though_the_job_does_not_listen(worker: Worker) -> None:
    worker.run(1, kind="deaf")
    worker.until("progress", 1)
    worker.process.stdin.close()
    assert worker.process.wait(TIMEOUT_S) == 1


def test_worker_ends_when_nobody_reads(worker: Worker) -> None:
    worker.run(1, kind="count", steps=10_000, output="one")
    worker.until("progress", 1)
    worker.process.stdout.close()
    worker.process.stdin.close()
    assert worker.process.wait(TIMEOUT_S) == 0


def test_output_of_the_work_stays_out_of_the_protocol(worker: Worker) -> None:
    worker.receive()
    worker.run(1, kind="noisy")
    assert worker.receive()["event"] == "done"
    log = worker.log.read_text()
    assert all(f"{source} noise" in log for source in ("python", "child", "raw"))
    assert "input: b''" in log


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"garbage\n", "bad_message"),
        (b"\x00\xff\n", "bad_message"),
        (b"\n", "bad_message"),
        (b'{"v": 1, "id": 1, "command": "dance"}\n', "bad_message"),
        (b'{"v": 2, "id": 1, "command": "ping"}\n', "protocol_mismatch"),
        (b"x" * (3 << 20) + b"\n", "bad_message"),
    ],
)
def test_bad_line_is_refused_and_the_worker_goes_on(worker: Worker, line: bytes, code: str) -> None:
    worker.receive()
    worker.write(line)
    error = worker.receive()
    assert (error["event"], error["id"], error["code"]) == ("error", None, code)
    worker.run(1, kind="count", steps=1, output="one")
    worker.until("done", 1)


def test_failures_leave_the_worker_in_order(worker: Worker) -> None:
    kinds = {"broken": "internal", "full": "disk_full", "greedy": "out_of_memory"}
    for job_id, (kind, code) in enumerate(kinds.items()):
        worker.run(job_id, kind=kind)
        assert worker.until("error", job_id)["code"] == code
    worker.run(9, kind="nonsense")
    assert worker.until("error", 9)["code"] == "unknown_job"


def test_what_a_job_kept_goes_with_the_next_ones(worker: Worker) -> None:
    for number in range(1, 6):
        worker.run(number, kind="keeping")
        [living] = worker.until("done", number)["results"]
    assert int(Path(living).name) <= 2


def test_flood_of_progress_is_thinned(worker: Worker) -> None:
    worker.receive()
    worker.run(1, kind="fast")
    events = [worker.receive()]
    while events[-1]["event"] != "done":
        events.append(worker.receive())
    assert len(events) < 10_000
    assert events[-2]["done"] == 100_000
