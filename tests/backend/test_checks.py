"""Validation of what comes from outside: good values pass, every other one is named, nothing gives a traceback."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sonic4d import checks
from sonic4d.protocol import Sonic4DError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def test_fields() -> None:
    data = {"a": 1, "b": 2}
    assert checks.fields(data, "x", ("a",), ("b", "c")) == data
    with pytest.raises(Sonic4DError, match='"c" is missing'):
        checks.fields(data, "x", ("a", "c"), ("b",))
    with pytest.raises(Sonic4DError, match='unknown key "b"'):
        checks.fields(data, "x", ("a",))
    with pytest.raises(Sonic4DError, match="object is expected"):
        checks.fields([1], "x", ())


def test_numbers() -> None:
    assert checks.number(3, "x") == 3.0
    assert checks.integer(3, "x", 0, 5) == 3
    for bad in (True, "3", None, math.nan, math.inf, 10**400, -(10**400), [1]):
        with pytest.raises(Sonic4DError, match="^x: "):
            checks.number(bad, "x")
    for bad in (True, 3.0, "3", None, -1, 6, 10**400):
        with pytest.raises(Sonic4DError, match="^x: "):
            checks.integer(bad, "x", 0, 5)
    with pytest.raises(Sonic4DError, match="7 is outside 0 to 5"):
        checks.number(7, "x", 0, 5)


@pytest.mark.parametrize(
    ("text", "rate"),
    [("24", Fraction(24)), ("24000/1001", Fraction(24000, 1001)), ("12.5", Fraction(25, 2))],
)
def test_frame_rates(text: str, rate: Fraction) -> None:
    assert checks.frame_rate(text, "x") == rate


@pytest.mark.parametrize(
    "value",
    [24, 23.976, None, "", "0", "-5", "1/0", "nan", "inf", "1001", "24 fps", "1e999999999"]
    + ["1e-999999999", "9" * 10_000, "1/" + "3" * 400],
)
def test_what_is_no_frame_rate(value: object) -> None:
    """Among them numbers that would take minutes to write out."""
    with pytest.raises(Sonic4DError, match="^x: a frame rate"):
        checks.frame_rate(value, "x")


def test_arrays() -> None:
    np.testing.assert_array_equal(checks.array([[1, 2], [3, 4]], "x", (2, 2)), [[1, 2], [3, 4]])
    rows = checks.array([[1, 2], None], "x", (2, 2), gaps=True)
    assert np.isnan(rows[1]).all()
    assert not np.isnan(rows[0]).any()


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        "text",
        [[1, 2]],
        [[1, 2], [3]],
        [[1, 2], None],
        [[1, 2], [3, "a"]],
        [[1, 2], [3, math.nan]],
        [[1, 2], [3, math.inf]],
        [[1, 2], [3, 10**400]],
        {"a": 1},
        [[1, 2], [3, {}]],
    ],
)
@pytest.mark.parametrize("gaps", [False, True])
def test_what_is_no_array(value: object, gaps: bool) -> None:
    if gaps and value == [[1, 2], None]:
        return
    with pytest.raises(Sonic4DError, match="^x: "):
        checks.array(value, "x", (2, 2), gaps=gaps)


def test_half_a_gap_is_refused() -> None:
    with pytest.raises(Sonic4DError, match="not a finite number"):
        checks.array([[1, math.nan]], "x", (1, 2), gaps=True)


def test_poses() -> None:
    good = np.eye(4)[None]
    assert checks.pose(good, "x") is good
    for change in (
        lambda m: m * [[2, 2, 2, 1]],
        lambda m: m * [[-1, 1, 1, 1]],
        lambda m: m + [[0, 0.1, 0, 0], [0] * 4, [0] * 4, [0] * 4],
        lambda m: m + np.diag([0, 0, 0, 1]),
        lambda m: m * 0,
    ):
        with pytest.raises(Sonic4DError, match="^x: "):
            checks.pose(change(np.eye(4))[None], "x")


@pytest.mark.parametrize("relative", ["a.wav", "sub/a.wav", "sub\\a.wav", "./a.wav"])
def test_paths_inside(tmp_path: Path, relative: str) -> None:
    assert checks.inside(tmp_path, relative, "x").is_relative_to(tmp_path.resolve())


@pytest.mark.parametrize(
    "relative",
    ["../a.wav", "sub/../../a.wav", "/etc/passwd", "C:\\a.wav", "c:a.wav", "\\\\host\\a", "..\\a"]
    + ["sub/../a.wav", "a\0.wav"],
)
def test_paths_that_leave_the_folder(tmp_path: Path, relative: str) -> None:
    with pytest.raises(Sonic4DError, match="^x: "):
        checks.inside(tmp_path, relative, "x")


@pytest.mark.parametrize("relative", [".", "", "/"])
def test_the_folder_itself_is_no_file_in_it(tmp_path: Path, relative: str) -> None:
    with pytest.raises(Sonic4DError, match="^x: "):
        checks.inside(tmp_path, relative, "x")


def test_links_that_lead_out(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    folder.mkdir()
    (tmp_path / "secret").touch()
    os.symlink(tmp_path / "secret", folder / "a.wav")
    with pytest.raises(Sonic4DError, match="leaves the folder"):
        checks.inside(folder, "a.wav", "x")


CHECKS: list[Callable[[Any], Any]] = [
    lambda value: checks.fields(value, "x", ("a",), ("b",)),
    lambda value: checks.number(value, "x", -5, 5),
    lambda value: checks.integer(value, "x", -5, 5),
    lambda value: checks.boolean(value, "x"),
    lambda value: checks.text(value, "x", ("a", "b")),
    lambda value: checks.frame_rate(value, "x"),
    lambda value: checks.array(value, "x", (2, 3)),
    lambda value: checks.array(value, "x", (2, 3), gaps=True),
]


@given(JSON, st.sampled_from(CHECKS))
def test_any_json_passes_or_is_named(value: object, check: Callable[[Any], Any]) -> None:
    with contextlib.suppress(Sonic4DError):  # any other error fails
        check(value)
