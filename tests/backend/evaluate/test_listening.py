"""The listening test's kit and what is made of the answers."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scipy import stats
from sonic4d.cli import main
from sonic4d.evaluate.listening.results import Answer, analyse, read_answers, table

Kit = Callable[..., list[str]]


def answer(number: int, viewpoint: str, preferred: str, *ratings: int) -> dict[str, Any]:
    names = ("sla_spatial", "sla_mono", "avsa_spatial", "avsa_mono")
    return {
        "participant": f"listener {number % 3}",
        "case": f"case {number}",
        "viewpoint": viewpoint,
        "position": number,
        "spatial_is": "a",
        "preferred": preferred,
        **dict(zip(names, ratings, strict=True)),
    }


ANSWERS = [
    answer(1, "static", "spatial", 5, 2, 4, 3),
    answer(2, "static", "mono", 2, 4, 3, 3),
    answer(3, "dynamic", "spatial", 4, 1, 5, 2),
    answer(4, "dynamic", "spatial", 5, 2, 4, 2),
    answer(5, "dynamic", "spatial", 4, 3, 4, 1),
]


def write_json(path: Path, answers: list[dict[str, Any]]) -> Path:
    data = {"sonic4d_listening_test": 1, "title": "t", "answers": answers}
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    """Arguments of the command that makes a test of two cases."""

    def make(**changes: Any) -> list[str]:
        for name in ("one", "two"):
            (tmp_path / f"{name}.mp4").write_bytes(name.encode())
        cases = [
            {
                "name": "</script> & co",
                "viewpoint": "static",
                "spatial": "one.mp4",
                "mono": "two.mp4",
            },
            {
                "name": "b",
                "viewpoint": "dynamic",
                "spatial": "two.mp4",
                "mono": "one.mp4",
                **changes,
            },
        ]
        path = tmp_path / "cases.json"
        path.write_text(json.dumps({"title": "Does it move?", "cases": cases}), encoding="utf-8")
        return ["evaluate", "listening-test", str(path), "-o", str(tmp_path / "kit")]

    return make


def test_kit_is_complete_and_its_names_tell_nothing(kit: Kit, tmp_path: Path) -> None:
    assert main(kit()) == 0
    folder = tmp_path / "kit"
    page = (folder / "index.html").read_text(encoding="utf-8")
    for name in ("page.css", "page.js", "cases.js"):
        assert name in page
        assert (folder / name).is_file()
    text = (folder / "cases.js").read_text(encoding="utf-8")
    test = json.loads(text.removeprefix("const TEST = ").removesuffix(";\n"))
    assert [case["name"] for case in test["cases"]] == ["</script> & co", "b"]
    for case, content in zip(test["cases"], (b"one", b"two"), strict=True):
        assert (folder / case["spatial"]).read_bytes() == content
        assert "spatial" not in case["spatial"]
        assert "mono" not in case["mono"]
    assert "http" not in page + text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"spatial": "nowhere.mp4"}, "There is no file"),
        ({"viewpoint": "sideways"}, '"sideways" is not one of static, dynamic'),
        ({"name": "</script> & co"}, "only once"),
        ({"mono": ""}, "a text is expected"),
    ],
)
def test_bad_cases_are_told(
    kit: Kit,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    changes: dict[str, Any],
    words: str,
) -> None:
    assert main(kit(**changes)) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "kit").exists()


def test_results_are_those_computed_by_hand(tmp_path: Path) -> None:
    results = analyse(read_answers([write_json(tmp_path / "a.json", ANSWERS)]))
    assert results["listeners"] == 3
    preference = results["all"]["preference"]
    assert preference["spatial"] == pytest.approx(0.8)
    assert preference["p_value"] == pytest.approx(2 * (5 + 1) / 32)  # 4 or more of 5, both sides
    z = stats.norm.ppf(0.975)
    middle = (0.8 + z**2 / 10) / (1 + z**2 / 5)
    assert sum(preference["interval"]) / 2 == pytest.approx(middle)  # Wilson's centre
    assert results["static"]["preference"]["spatial"] == pytest.approx(0.5)
    assert results["all"]["sla_spatial"]["mean"] == pytest.approx(4.0)
    assert results["dynamic"]["avsa_mono"]["mean"] == pytest.approx(5 / 3)
    low, high = results["all"]["sla_spatial"]["interval"]
    half = stats.t.ppf(0.975, 4) * (6 / 4) ** 0.5 / 5**0.5  # variance of 5, 2, 4, 5, 4 is 6 / 4
    assert (low, high) == pytest.approx((4 - half, 4 + half))


def test_a_listener_alone_and_a_viewpoint_without_answers(tmp_path: Path) -> None:
    results = analyse(read_answers([write_json(tmp_path / "a.json", ANSWERS[:1])]))
    assert results["dynamic"] is None
    assert results["all"]["sla_mono"] == {"mean": 2.0, "interval": None}
    assert "2.000" in table(results)


def test_csv_and_json_say_the_same_and_count_once(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(ANSWERS[0]), quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(ANSWERS)
    both = read_answers([path, write_json(tmp_path / "a.json", ANSWERS)])
    assert both == read_answers([path])
    assert both[0] == Answer(
        "listener 1",
        "case 1",
        "static",
        "spatial",
        {"sla_spatial": 5, "sla_mono": 2, "avsa_spatial": 4, "avsa_mono": 3},
    )


def test_command_prints_table_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_json(tmp_path / "a.json", ANSWERS)
    assert main(["evaluate", "listening-results", str(path)]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[0].split() == ["All", "Static", "Dynamic"]
    assert "80.00" in text
    assert "MOS-AVSA" in text
    assert main(["evaluate", "listening-results", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["answers"] == 5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sla_mono": 6}, "outside 1 to 5"),
        ({"sla_mono": "five"}, "a whole number is expected"),
        ({"preferred": "both"}, "is not one of"),
        ({"extra": 1}, 'unknown key "extra"'),
    ],
)
def test_bad_answers_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], words: str
) -> None:
    path = write_json(tmp_path / "a.json", [ANSWERS[0] | changes])
    assert main(["evaluate", "listening-results", str(path)]) == 1
    assert words in capsys.readouterr().err
