"""shot.json: there and back, and every wrong key named."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sonic4d.geometry.cameras import LOOKING_NORTH
from sonic4d.protocol import Sonic4DError
from sonic4d.shot import RenderSettings, read_shot, set_value, shot_from_json

FRAMES = 3


def shot_json() -> dict[str, Any]:
    return {
        "sonic4d_shot": 1,
        "name": "s010",
        "frame_rate": "24000/1001",
        "frame_start": 101,
        "frame_end": 103,
        "listener": {"poses": [LOOKING_NORTH.tolist()] * FRAMES},
        "sources": [
            {
                "name": "helicopter",
                "audio": "audio/helicopter.wav",
                "positions": [[i, 5, 1] for i in range(FRAMES)],
                "orientations": None,
                "gain_db": -3.0,
                "start_s": 0.5,
                "directivity": "omni",
            }
        ],
        "room": {
            "kind": "shoebox",
            "center": [0, 3, 1.2],
            "size": [8, 10, 3],
            "yaw_deg": 0,
            "rt60_s": 0.5,
            "materials": None,
        },
        "render": {"mode": "paper", "segments": 12, "normalize": {"kind": "none"}},
    }


def test_what_is_read(tmp_path: Path) -> None:
    shot = shot_from_json(shot_json(), tmp_path)
    assert shot.frame_rate == Fraction(24000, 1001)
    assert shot.frame_count == FRAMES
    assert shot.sample_count == round(FRAMES * 1001 / 24000 * 48000)
    assert shot.sources[0].gain_db == -3
    assert shot.render.segments == 12
    assert shot.render.mic_spacing_m == RenderSettings().mic_spacing_m
    assert shot.folder == tmp_path


def test_there_and_back(tmp_path: Path) -> None:
    shot = shot_from_json(shot_json(), tmp_path)
    text = json.dumps(shot.to_json(), allow_nan=False)
    again = shot_from_json(json.loads(text), tmp_path)
    assert json.dumps(again.to_json()) == text


def test_orientations_are_unit_quaternions(tmp_path: Path) -> None:
    data = shot_json()
    data["sources"][0]["orientations"] = [[1, 0, 0, 0.0005]] * FRAMES
    orientations = shot_from_json(data, tmp_path).sources[0].orientations
    np.testing.assert_allclose(np.linalg.norm(orientations, axis=1), 1)
    data["sources"][0]["orientations"] = [[0, 0, 0, 0]] * FRAMES
    with pytest.raises(Sonic4DError, match="unit quaternions"):
        shot_from_json(data, tmp_path)


def put(*keys: Any) -> Callable[[Any], Callable[[dict[str, Any]], None]]:
    def with_value(value: Any) -> Callable[[dict[str, Any]], None]:
        def change(data: Any) -> None:
            for key in keys[:-1]:
                data = data[key]
            data[keys[-1]] = value

        return change

    return with_value


WRONG = {
    "listener.poses": [
        put("listener", "poses")([]),
        put("listener", "poses")([[[math.nan] * 4] * 4] * FRAMES),
        put("listener", "poses")([(2 * LOOKING_NORTH).tolist()] * FRAMES),
    ],
    "frame_end": [put("frame_end")(100), put("frame_end")(10**9), put("frame_end")("103")],
    "frame_start": [put("frame_start")(1.5), put("frame_start")(10**400)],
    "frame_rate": [put("frame_rate")(24), put("frame_rate")("0"), put("frame_rate")("1e99999999")],
    "version": [put("sonic4d_shot")(2), put("sonic4d_shot")(None)],
    "unknown key": [put("colour")(1), put("render", "colour")(1), put("sources", 0, "colour")(1)],
    r"sources\[0\].positions": [
        put("sources", 0, "positions")([[0, 0, 0]]),
        put("sources", 0, "positions")([[0, math.inf, 0]] * FRAMES),
    ],
    r"sources\[0\].audio": [
        put("sources", 0, "audio")("../x.wav"),
        put("sources", 0, "audio")("/etc/passwd"),
        put("sources", 0, "audio")(""),
    ],
    r"sources\[0\].gain_db": [put("sources", 0, "gain_db")(1e9)],
    r"sources\[0\].directivity": [put("sources", 0, "directivity")("trumpet")],
    "sources": [put("sources")([]), put("sources")({}), put("sources")([5])],
    "room.kind": [put("room", "kind")("cathedral")],
    "room.size": [put("room", "size")([8, 10, 0]), put("room", "size")([8, 10, 1e9])],
    "room.materials": [put("room", "materials")({"floor": "wood"})],
    "render.mode": [put("render", "mode")("loud")],
    "render.format": [put("render", "format")("22.2")],
    "render.segments": [put("render", "segments")(0), put("render", "segments")("all")],
    "render.sample_rate": [put("render", "sample_rate")(10**9)],
    "render.normalize.kind": [put("render", "normalize")({"kind": "max"})],
    "render.tail": [put("render", "tail")("no")],
    "render.seed": [put("render", "seed")(-1)],
}


@pytest.mark.parametrize(
    ("named", "change"), [(named, change) for named, all_ in WRONG.items() for change in all_]
)
def test_what_is_wrong_is_named(
    tmp_path: Path, named: str, change: Callable[[dict[str, Any]], None]
) -> None:
    data = shot_json()
    change(data)
    with pytest.raises(Sonic4DError, match=named):
        shot_from_json(data, tmp_path)


@pytest.mark.parametrize("key", list(shot_json()))
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    data = shot_json()
    del data[key]
    with pytest.raises(Sonic4DError, match=f'"{key}" is missing'):
        shot_from_json(data, tmp_path)


PLACES = [("name",), ("listener",), ("listener", "poses"), ("sources",), ("sources", 0), ("room",)]
PLACES += [("room", "size"), ("render",), ("render", "normalize"), ("frame_start",)]


@settings(max_examples=60)
@given(
    st.sampled_from(PLACES),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()),
)
def test_any_value_anywhere_is_read_or_refused(place: tuple[Any, ...], value: object) -> None:
    data = copy.deepcopy(shot_json())
    put(*place)(value)(data)
    try:
        shot = shot_from_json(data, Path("/tmp"))
    except Sonic4DError:
        return
    assert shot.frame_count == FRAMES or place == ("frame_start",)


def test_assignments(tmp_path: Path) -> None:
    path = tmp_path / "shot.json"
    path.write_text(json.dumps(shot_json()))
    assignments = ("render.mode=fast", "render.segments=per_frame", "room.rt60_s=0.25", "name=x=y")
    shot = read_shot(path, assignments)
    assert (shot.render.mode, shot.render.segments) == ("fast", "per_frame")
    assert (shot.room.rt60_s, shot.name) == (0.25, "x=y")
    assert shot.folder == tmp_path
    with pytest.raises(Sonic4DError, match='unknown key "colour"'):
        read_shot(path, ("render.colour=red",))


@pytest.mark.parametrize("text", ["render.mode", "nothing.there=5", "name.first=5", ""])
def test_assignments_that_make_no_sense(text: str) -> None:
    with pytest.raises(Sonic4DError, match="can't|cannot"):
        set_value(shot_json(), text)


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"\xff\xfe\x00", b"[" * 100_000, b"[1, 2", b"9" * 5000, b"null", b"[]", b"{}"],
)
def test_what_is_no_shot(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "shot.json"
    path.write_bytes(content)
    with pytest.raises(Sonic4DError):
        read_shot(path)


def test_a_missing_file_or_a_folder(tmp_path: Path) -> None:
    with pytest.raises(Sonic4DError, match="no file"):
        read_shot(tmp_path / "shot.json")
    with pytest.raises(Sonic4DError, match="can't be read"):
        read_shot(tmp_path)
