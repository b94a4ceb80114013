"""What the doctor finds, on a healthy machine and on ailing ones."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from sonic4d import __version__, doctor
from sonic4d.cli import main
from sonic4d.protocol import PROTOCOL_VERSION

PYPROJECT = Path(doctor.__file__).parents[1] / "pyproject.toml"


def test_report_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["sonic4d"] == __version__
    assert report["protocol"] == PROTOCOL_VERSION
    assert report["problems"] == []
    assert all(report["libraries"].values())
    assert report["codecs"]["encode aac"] == "yes"
    assert Path(report["numba_cache"]).is_dir()
    assert report["cores"] >= 1
    assert report["rendering"] == "ready"


def test_report_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert f"numpy {doctor.metadata.version('numpy')}" in text
    assert text.endswith("Everything is in working order.\n")


def test_all_dependencies_are_examined() -> None:
    dependencies = tomllib.loads(PYPROJECT.read_text())["project"]["dependencies"]
    names = {re.match(r"[A-Za-z0-9-]+", entry)[0] for entry in dependencies}
    assert set(doctor.LIBRARIES.values()) == names


def test_missing_library_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(doctor.LIBRARIES, "nonesuch", "nonesuch")
    assert main(["doctor", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["libraries"]["nonesuch"] is None
    assert any("nonesuch" in problem for problem in report["problems"])


def test_full_disk_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LEAST_FREE_GB", 1e9)
    report = doctor.examine()
    assert any("GB are free" in problem for problem in report["problems"])


def test_numba_without_a_cache_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    import numba

    def refuse(**options: object) -> None:
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(numba, "njit", refuse)
    assert any("NUMBA_CACHE_DIR" in problem for problem in doctor.examine()["problems"])


def test_pretrained_models_are_no_problem_where_torch_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from sonic4d import doctor
    from sonic4d.experts import machine

    monkeypatch.setattr(machine, "has_torch", lambda: False)
    problems: list[str] = []
    assert "sonic4d[experts]" in doctor._experts(problems)["device"]
    assert not problems
