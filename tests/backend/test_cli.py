"""The command line: what it makes of arguments, what it prints where, how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sonic4d
from sonic4d import cli, jobs
from sonic4d.monitor import Monitor
from sonic4d.protocol import KINDS, Sonic4DError, decode_event

SONIC4D = [sys.executable, "-u", str(Path(__file__).with_name("extra_jobs.py"))]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(sonic4d.__file__).parents[1])}

pytestmark = pytest.mark.timeout(120)
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def job_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """The job that a command line makes."""
    seen: list[dict[str, Any]] = []

    def remember(parameters: dict[str, Any], monitor: Monitor) -> Path:
        seen.append(parameters)
        return Path("out")

    def make(*argv: str) -> dict[str, Any]:
        for kind in KINDS:
            monkeypatch.setitem(jobs.JOBS, kind, remember)
        assert cli.main(argv) == 0
        return seen[-1]

    return make


def write_job(folder: Path, **job: object) -> str:
    path = folder / "job.json"
    path.write_text(json.dumps(job))
    return str(path)


def start(tmp_path: Path, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {**ENVIRONMENT, "XDG_STATE_HOME": str(tmp_path / "state")}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*SONIC4D, *arguments], stdout=pipe, stderr=pipe, cwd=tmp_path, env=environment
    )


# Usage


def test_without_arguments_help_is_shown(capsys: Capture) -> None:
    assert cli.main([]) == 2
    out = capsys.readouterr().out
    assert all(f"\n    {name} " in out for name in cli.COMMANDS)


@pytest.mark.parametrize("command", ["", *cli.COMMANDS])
def test_every_command_has_help(command: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main([*command.split(), "--help"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("usage: sonic4d")


def test_help_shows_defaults_and_units(capsys: Capture) -> None:
    from sonic4d.settings import GenerateSettings

    with pytest.raises(SystemExit):
        cli.main(["generate", "--help"])
    out = " ".join(capsys.readouterr().out.split())
    assert f"(default: {GenerateSettings.max_points})" in out
    assert "--eye-height M" in out
    assert "frames count from 0" in out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["dance"], "invalid choice: 'dance'"),
        (["generate", "in.mp4"], "-o"),
        (["generate", "-o", "out.sonic4d"], "VIDEO"),
        (["generate", "in.mp4", "-o", "x", "--colour"], "--colour"),
        (["generate", "in.mp4", "-o", "x", "--max-frames", "ten"], "invalid int value: 'ten'"),
        (["generate", "in.mp4", "-o", "x", "--point", "12"], '"12" is not X,Y or X,Y@FRAME'),
        (["generate", "in.mp4", "-o", "x", "--point", "1,2@-1"], "X,Y@FRAME"),
        (["generate", "in.mp4", "-o", "x", "--point", "1,nan"], "X,Y@FRAME"),
        (["generate", "in.mp4", "-o", "x", "--box", "1,2"], "X0,Y0,X1,Y1@FRAME"),
        (["generate", "in.mp4", "-o", "x", "--box", "9,9,5,20"], "upper left corner first"),
        (["generate", "in.mp4", "-o", "x", "--point", "1,2", "--box", "1,2,3,4"], "not allowed"),
        (["shot", "in.sonic4d", "-o", "shot.json", "--mode", "loud"], "'loud'"),
        (["run", "job.json", "--progress", "dots"], "'dots'"),
    ],
)
def test_bad_usage(argv: list[str], words: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(argv)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["generate", "in.mp4", "-o", "x", "--fov", "200"], "--fov: 200.0 is outside 1 to 170."),
        (["generate", "in.mp4", "-o", "x", "--start=-1"], "--start: -1.0 is outside"),
        (["generate", "in.mp4", "-o", "x", "--duration", "nan"], "--duration: a finite number"),
        (["generate", "in.mp4", "-o", "x", "--patch", "4"], "--patch: the number of pixels"),
        (["generate", "in.mp4", "-o", ""], "--output: a text"),
        (["shot", "a.sonic4d", "-o", "s.json", "--rt60=-1"], "--rt60: -1.0 is outside"),
        (["preview", "a", "--shot", "b", "-o", "c.mp4", "--width", "1"], "--width: 1 is outside"),
        (["preview", "a", "--shot", "b", "-o", "c"], '"c" is no MP4 file name'),
    ],
)
def test_impossible_values_are_bad_usage_told_by_option(
    argv: list[str], words: str, capsys: Capture
) -> None:
    assert cli.main(argv) == 2
    assert words in capsys.readouterr().err


def test_damaged_installation_is_told(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setitem(sys.modules, "sonic4d.settings", None)  # importing it fails
    assert cli.main(["generate", "in.mp4", "-o", "a"]) == 1
    assert "sonic4d doctor" in capsys.readouterr().err


# Jobs


def test_only_given_options_are_in_the_job(job_of: Callable[..., dict[str, Any]]) -> None:
    assert job_of("generate", "in.mp4", "-o", "a.sonic4d") == {
        "video": "in.mp4",
        "output": "a.sonic4d",
    }
    assert job_of(
        "generate",
        "in.mp4",
        "--output=a.sonic4d",
        "--start=1.5",
        "--max-frames=10",
        "--box=1,2,3.5,4@7",
    ) == {
        "video": "in.mp4",
        "output": "a.sonic4d",
        "start_s": 1.5,
        "max_frames": 10,
        "box": "1,2,3.5,4@7",
    }


def test_options_are_settings(job_of: Callable[..., dict[str, Any]]) -> None:
    from sonic4d.settings import GenerateSettings, Mark
    from sonic4d.staging import ShotSettings

    job = job_of("generate", "in.mp4", "-o", "a", "--point", "10,20@3", "--fov", "50")
    settings = GenerateSettings.from_json(job)
    assert settings.point == Mark((10.0, 20.0), 3)
    assert settings.fov_deg == 50
    job = job_of("shot", "a.sonic4d", "-o", "shot.json", "--move", "orbit:30", "--rt60", "0.3")
    shot = ShotSettings.from_json(job)
    assert (shot.move, shot.rt60_s) == ("orbit:30", 0.3)


def test_assignments_add_up(job_of: Callable[..., dict[str, Any]]) -> None:
    job = job_of("render", "shot.json", "-o", "o.wav", "--set", "a=1", "--set", "b=x y")
    assert job == {"shot": "shot.json", "output": "o.wav", "set": ["a=1", "b=x y"]}


def test_job_file_is_run_as_it_is(job_of: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    path = write_job(tmp_path, kind="render", shot="größe.json", output="o.wav")
    assert job_of("run", path) == {"shot": "größe.json", "output": "o.wav"}


# Outcomes


def test_result_is_printed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    def work(parameters: dict[str, Any], monitor: Monitor) -> Path:
        monitor.progress("stage", 1, 2)
        monitor.log("just so you know")
        monitor.log("careful", "warning")
        return tmp_path / "out.wav"

    monkeypatch.setitem(jobs.JOBS, "render", work)
    assert cli.main(["render", "a", "-o", "b"]) == 0
    out, err = capsys.readouterr()
    assert out == f"{tmp_path / 'out.wav'}\n"
    assert err == "Warning: careful\n"  # no bar, no chatter: not a terminal


@pytest.mark.parametrize(("code", "status"), [("no_audio", 1), ("bad_option", 2)])
def test_failure_is_told_on_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, code: str, status: int
) -> None:
    def work(parameters: dict[str, Any], monitor: Monitor) -> Path:
        raise Sonic4DError(code, "It is silent.", "Give --audio.")

    monkeypatch.setitem(jobs.JOBS, "render", work)
    assert cli.main(["render", "a", "-o", "b"]) == status
    assert capsys.readouterr() == ("", "It is silent.\nGive --audio.\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "There is no file"),
        ("{", "is not a job"),
        ("[]", "is not a job"),
        ("{}", "There is no job None"),
        ('{"kind": "dance"}', "There is no job 'dance'"),
        ('{"kind": "render", "shot": "a"}', 'the key "output" is missing'),
        ('{"kind": "render", "shot": "a", "output": "b", "colour": 1}', 'unknown key "colour"'),
        ('{"kind": "render", "shot": "none.json", "output": "b"}', "There is no file none.json"),
    ],
)
def test_bad_job_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, text: str | None, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path("job.json").write_text(text)
    assert cli.main(["run", "job.json"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert "Traceback" not in err


def test_bad_assignment_is_bad_usage(tmp_path: Path, capsys: Capture) -> None:
    shot = tmp_path / "shot.json"
    shot.write_text("{}")
    assert cli.main(["render", str(shot), "-o", "out.wav", "--set", "loud"]) == 2
    assert "--set loud" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_cancels_and_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    job = write_job(tmp_path, kind="count", steps=10_000, output="counted")
    process = start(tmp_path, "run", job, "--progress", "jsonl")
    while decode_event(process.stdout.readline())["event"] != "progress":
        pass
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert decode_event(out.splitlines()[-1])["event"] == "cancelled"
    assert b"Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["job.json"]


def test_second_interrupt_does_not_wait_for_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    noticed = []

    def work(parameters: dict[str, Any], monitor: Monitor) -> Path:
        signal.raise_signal(signal.SIGINT)
        noticed.append(monitor.should_stop())
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("the second interrupt did nothing")

    monkeypatch.setitem(jobs.JOBS, "render", work)
    before = signal.getsignal(signal.SIGINT)
    assert cli.main(["render", "a", "-o", "b"]) == 130
    assert noticed == [True]
    assert signal.getsignal(signal.SIGINT) is before


def test_events_for_programs(tmp_path: Path) -> None:
    job = write_job(tmp_path, kind="noisy")
    out, err = start(tmp_path, "run", job, "--progress", "jsonl").communicate(timeout=30)
    assert [decode_event(line)["event"] for line in out.splitlines()] == ["done"]
    assert b"child noise" in err


def test_events_for_farms(tmp_path: Path) -> None:
    job = write_job(tmp_path, kind="count", steps=4, output="counted")
    process = start(tmp_path, "run", job, "--progress", "openjd")
    lines = process.communicate(timeout=30)[0].decode().splitlines()
    assert process.returncode == 0
    assert lines[:2] == ["openjd_progress: 0.0", "openjd_status: counting step 0"]
    assert lines[-1] == "openjd_status: careful"
    job = write_job(tmp_path, kind="refused", code="no_audio")
    process = start(tmp_path, "run", job, "--progress", "openjd")
    assert process.communicate(timeout=30)[0] == b"openjd_fail: It is refused. Ask again.\n"
    assert process.returncode == 1


def test_program_that_stops_reading(tmp_path: Path) -> None:
    job = write_job(tmp_path, kind="count", steps=10_000, output="counted")
    process = start(tmp_path, "run", job, "--progress", "jsonl")
    process.stdout.readline()
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(30) == 130
    assert b"Traceback" not in err
    assert b"Exception" not in err
    assert not (tmp_path / "counted").exists()


def test_reader_that_has_seen_enough(capfd: pytest.CaptureFixture[str]) -> None:
    """As `sonic4d models show NAME | head` has."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "sonic4d", "models", "show", "wan-vace-1.3b"]
    assert subprocess.run(command, stdout=writing).returncode == 1
    os.close(writing)
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX")
def test_bar_on_a_terminal(tmp_path: Path) -> None:
    import pty
    import termios

    terminal, end = pty.openpty()
    termios.tcsetwinsize(end, (24, 80))
    job = write_job(tmp_path, kind="count", steps=10, output="counted")
    process = subprocess.Popen(
        [*SONIC4D, "run", job], stdout=subprocess.PIPE, stderr=end, cwd=tmp_path, env=ENVIRONMENT
    )
    os.close(end)
    out = process.communicate(timeout=60)[0].decode()
    shown = os.read(terminal, 100_000).decode()
    os.close(terminal)
    assert process.returncode == 0
    assert out == f"{tmp_path / 'counted'}\n"
    assert "counting" in shown
    assert "/10 [" in shown
    assert "Warning: careful" in shown
