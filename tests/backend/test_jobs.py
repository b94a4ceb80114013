"""What `run_job` reports of work that ends in every possible way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sonic4d import jobs
from sonic4d.monitor import Monitor
from sonic4d.protocol import FINAL_EVENTS, KINDS, Sonic4DError

Events = list[dict[str, Any]]


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, str(tmp_path / "state"))


def run(monkeypatch: pytest.MonkeyPatch, work: Any, stop: bool = False) -> Events:
    events: Events = []
    monkeypatch.setitem(jobs.JOBS, "test", work)
    jobs.run_job({"kind": "test", "key": 5}, events.append, lambda: stop)
    return events


def failing(error: BaseException) -> Any:
    def work(parameters: dict[str, Any], monitor: Monitor) -> Path:
        raise error

    return work


def test_kinds_are_those_of_the_protocol() -> None:
    assert tuple(jobs.JOBS) == KINDS


def test_result_is_an_absolute_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    given = {}

    def work(parameters: dict[str, Any], monitor: Monitor) -> Path:
        given.update(parameters)
        return Path("out.wav")

    assert run(monkeypatch, work) == [{"event": "done", "results": [str(tmp_path / "out.wav")]}]
    assert given == {"key": 5}


def test_stopped_job_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    work = failing(AssertionError("it started"))
    assert run(monkeypatch, work, stop=True) == [{"event": "cancelled"}]


@pytest.mark.parametrize(
    ("error", "code", "logged"),
    [
        (Sonic4DError("no_audio", "It is silent.", "Give --audio."), "no_audio", False),
        (MemoryError(), "out_of_memory", False),
        (OSError(28, "No space left on device"), "disk_full", True),
        (RuntimeError("surprise"), "internal", True),
        (RuntimeError("x" * 3_000_000), "internal", True),
    ],
)
def test_failure_is_told(
    monkeypatch: pytest.MonkeyPatch, error: Exception, code: str, logged: bool
) -> None:
    (event,) = run(monkeypatch, failing(error))
    assert (event["event"], event["code"]) == ("error", code)
    assert "Traceback" not in event["message"]
    assert event["hint"]
    assert (event["log_path"] is not None) == logged
    if logged:
        assert type(error).__name__ in Path(event["log_path"]).read_text()


def test_fast_progress_is_thinned_but_its_end_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(parameters: dict[str, Any], monitor: Monitor) -> Path:
        for stage in ("one", "two"):
            for i in range(1000):
                monitor.progress(stage, i + 1, 1000)
            monitor.log(stage)
        return Path("out")

    events = run(monkeypatch, work)
    progress = [(e["stage"], e["done"]) for e in events if e["event"] == "progress"]
    assert len(progress) < 500
    for expected in (("one", 1), ("one", 1000), ("two", 1), ("two", 1000)):
        assert expected in progress
    assert [e["message"] for e in events if e["event"] == "log"] == ["one", "two"]


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_keys_are_named(kind: str, tmp_path: Path) -> None:
    events: Events = []
    jobs.run_job({"kind": kind, "colour": "red"}, events.append, lambda: False)
    assert events[-1]["event"] == "error"
    required_first = 'the key "' in events[-1]["message"]
    assert required_first or '"colour"' in events[-1]["message"]


def test_render_job_checks_its_parameters(tmp_path: Path) -> None:
    good = {"kind": "render", "shot": str(tmp_path / "no.json"), "output": str(tmp_path / "o.wav")}
    for change, code in (
        ({}, "missing_file"),
        ({"colour": "red"}, "bad_file"),
        ({"shot": 5}, "bad_file"),
        ({"set": "render.mode=paper"}, "bad_file"),
        ({"set": [7]}, "bad_file"),
    ):
        events: Events = []
        jobs.run_job({**good, **change}, events.append, lambda: False)
        assert [event["event"] for event in events if event["event"] in FINAL_EVENTS] == ["error"]
        assert events[-1]["code"] == code
    assert not list(tmp_path.glob("o*"))
