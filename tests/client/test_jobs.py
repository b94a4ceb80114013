"""The client with a real worker at the other end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from extension.blender_addon.client import process
from extension.blender_addon.client.jobs import Client, Job
from extension.blender_addon.client.pythons import environment_python

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@pytest.fixture
def client(backend_python: Path) -> Iterator[Client]:
    client = Client(backend_python)
    yield client
    client.stop()


def poll_until(client: Client, condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "the condition was never met"
        client.poll(0.05)


def counting(folder: Path, steps: int, name: str = "größe 1") -> dict[str, object]:
    return {"kind": "count", "steps": steps, "output": str(folder / name)}


def worker_pid(client: Client) -> int:
    return client._worker.pid


def test_job_runs_to_its_result(client: Client, tmp_path: Path) -> None:
    seen = []
    job = client.submit(counting(tmp_path, 20))
    assert job.status == "waiting"
    client.wait(job, lambda job: seen.append((job.stage, job.progress, job.message)))
    assert job.status == "done"
    assert job.error is None
    assert job.result == tmp_path / "größe 1"
    assert len(list(job.result.iterdir())) == 20
    assert job.warnings == ["careful"]
    assert [progress for _, progress, _ in seen] == sorted(progress for _, progress, _ in seen)
    assert ("counting", 0.0, "step 0") in seen
    assert not client.busy


def test_submit_and_poll_do_not_wait_for_the_worker(client: Client, tmp_path: Path) -> None:
    job = client.submit(counting(tmp_path, 1))
    client.poll()
    assert job.status == "waiting"  # Python can't have started meanwhile
    assert client.busy


def test_jobs_run_one_after_the_other_in_one_worker(client: Client, tmp_path: Path) -> None:
    jobs = [client.submit(counting(tmp_path, 3, name)) for name in "abc"]
    client.wait(jobs[0])
    pid = worker_pid(client)
    assert jobs[2].status == "waiting"
    client.wait(jobs[2])
    assert [job.status for job in jobs] == ["done"] * 3
    assert worker_pid(client) == pid


def test_running_job_is_cancelled_and_the_worker_stays(client: Client, tmp_path: Path) -> None:
    job = client.submit(counting(tmp_path, 10_000))
    poll_until(client, lambda: job.stage == "counting")
    pid = worker_pid(client)
    client.cancel(job)
    assert client.wait(job).status == "cancelled"
    assert not list(tmp_path.glob("*größe*"))
    assert client.wait(client.submit(counting(tmp_path, 1))).status == "done"
    assert worker_pid(client) == pid


def test_waiting_job_is_cancelled_at_once(client: Client, tmp_path: Path) -> None:
    first, second = (client.submit(counting(tmp_path, 5)) for _ in range(2))
    client.cancel(second)
    assert second.status == "cancelled"
    assert client.wait(first).status == "done"


def test_job_that_ignores_a_cancel_is_killed(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "CANCEL_GRACE_S", 0.2)
    job = client.submit({"kind": "deaf"})
    poll_until(client, lambda: job.stage == "sleeping")
    client.cancel(job)
    assert client.wait(job).status == "cancelled"
    assert client.wait(client.submit(counting(tmp_path, 1))).status == "done"


@posix_only
def test_killed_worker_is_told_and_the_next_job_works(client: Client, tmp_path: Path) -> None:
    job = client.submit({"kind": "deaf"})
    next_job = client.submit(counting(tmp_path, 1))
    poll_until(client, lambda: job.stage == "sleeping")
    os.kill(worker_pid(client), signal.SIGKILL)
    client.wait(job)
    assert job.status == "failed"
    assert job.error.code == "worker_died"
    assert "SIGKILL" in job.error.message
    assert job.log_path.is_file()
    assert client.wait(next_job).status == "done"


@posix_only
def test_worker_killed_between_jobs_is_replaced(client: Client, tmp_path: Path) -> None:
    client.wait(client.submit(counting(tmp_path, 1, "before")))
    pid = worker_pid(client)
    os.kill(pid, signal.SIGKILL)
    poll_until(client, lambda: client._worker is None)
    assert client.wait(client.submit(counting(tmp_path, 1))).status == "done"
    assert worker_pid(client) != pid


def test_crash_tells_exit_status_and_last_words(client: Client) -> None:
    job = client.wait(client.submit({"kind": "crash"}))
    assert job.error.code == "worker_died"
    assert "exit status 7" in job.error.message
    assert "last words" in job.error.message


def test_prints_go_to_the_log(client: Client, state: Path) -> None:
    job = client.wait(client.submit({"kind": "noisy"}))
    assert job.status == "done"
    client.stop()
    log = next(state.rglob("worker.log")).read_text()
    for line in ("python noise", "child noise", "raw noise", "input: b''"):
        assert line in log


def test_unforeseen_error_is_one_sentence_with_the_traceback_in_a_log(client: Client) -> None:
    job = client.wait(client.submit({"kind": "broken"}))
    assert job.error.code == "internal"
    assert "ZeroDivisionError: oops" in job.error.message
    assert "Traceback" not in str(job.error)
    assert "Traceback" in job.log_path.read_text()


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"kind": "nonsense"}, "unknown_job"),
        ({}, "unknown_job"),
        ({"kind": ["count"]}, "unknown_job"),
        ({"kind": "count", "text": "x" * (1 << 20)}, "bad_message"),
        ({"kind": "count", "number": float("nan")}, "bad_message"),
    ],
)
def test_bad_job_fails_and_the_worker_goes_on(
    client: Client, tmp_path: Path, request_: dict, code: str
) -> None:
    job = client.wait(client.submit(request_))
    assert (job.status, job.error.code) == ("failed", code)
    assert client.wait(client.submit(counting(tmp_path, 1))).status == "done"


def test_python_without_the_backend(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True
    )
    client = Client(environment_python(tmp_path / "env"))
    job = client.wait(client.submit(counting(tmp_path, 1)))
    client.stop()
    assert (job.status, job.error.code) == ("failed", "backend_broken")
    assert "sonic4d" in job.error.message


def test_stop_cancels_all_and_ends_the_worker(client: Client) -> None:
    jobs = [client.submit({"kind": "deaf"}) for _ in range(2)]
    poll_until(client, lambda: jobs[0].stage == "sleeping")
    worker = client._worker
    client.stop()
    assert [job.status for job in jobs] == ["cancelled"] * 2
    assert not worker.running


def fake_backend(folder: Path, says: str) -> Path:
    """A "Python" that says something else than hello."""
    script = folder / "python"
    script.write_text(f"#!/bin/sh\n{says}\n")
    script.chmod(0o755)
    return script


@posix_only
@pytest.mark.parametrize(
    ("says", "code", "words"),
    [
        ('echo \'{"v": 2, "id": null, "event": "hello"}\'; cat', "protocol_mismatch", "version 2"),
        ("echo 'Segmentation fault'; cat", "bad_message", "not JSON"),
        ('echo \'{"v": 1, "id": null, "event": "hello"}\'; cat', "bad_message", '"sonic4d"'),
        ("head -c 3000000 /dev/zero; cat", "bad_message", "longer"),
        ("echo 'No module named sonic4d' >&2; exit 1", "backend_broken", "No module named sonic4d"),
        ("exec sleep 60", "backend_broken", "doesn't start"),
    ],
)
def test_wrong_backend_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, code: str, words: str
) -> None:
    monkeypatch.setattr(process, "HELLO_TIMEOUT_S", 1.0)
    client = Client(fake_backend(tmp_path, says))
    job = client.wait(client.submit({"kind": "render"}))
    client.stop()
    assert (job.status, job.error.code) == ("failed", code)
    assert words in job.error.message
    assert "einstall" in job.error.hint


def test_missing_python(tmp_path: Path) -> None:
    client = Client(tmp_path / "nothing here" / "python")
    job = client.submit({"kind": "render"})
    assert (job.status, job.error.code) == ("failed", "not_started")
    assert "nothing here" in job.error.message


@posix_only
def test_interrupt_cancels_the_job(client: Client, tmp_path: Path) -> None:
    job = client.submit(counting(tmp_path, 10_000))

    def press_ctrl_c(job: Job) -> None:
        if job.stage == "counting" and not job.cancelling:
            signal.raise_signal(signal.SIGINT)

    # Where a shell started the tests in the background, the signal would be ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            client.wait(job, press_ctrl_c)
    finally:
        signal.signal(signal.SIGINT, before)
    assert job.status == "cancelled"
