"""What a generation is asked for is checked, and what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from sonic4d.protocol import Sonic4DError
from sonic4d.settings import GenerateSettings, Mark


def test_settings_from_json() -> None:
    job = {"video": "a.mp4", "output": "b", "point": "12.5,7@3", "height": None, "fov_deg": 40}
    read = GenerateSettings.from_json(job)
    assert read.point == Mark((12.5, 7.0), 3)
    assert (read.height, read.fov_deg, read.video) == (360, 40, Path("a.mp4"))
    box = GenerateSettings.from_json({"video": "a", "output": "b", "box": "1,2,30,40"}).box
    assert box == Mark((1, 2, 30, 40), 0)
    same = {"pixels": [1, 2, 30, 40], "frame": 0}
    assert GenerateSettings.from_json({"video": "a", "output": "b", "box": same}).box == box


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("video", 5),
        ("output", ""),
        ("start_s", -1),
        ("start_s", "0"),
        ("duration_s", 0),
        ("max_frames", 0),
        ("max_frames", 2.5),
        ("height", 10**9),
        ("max_points", 0),
        ("fov_deg", 180),
        ("metres_per_unit", 0),
        ("depth_kind", "log"),
        ("depth_scale", 0),
        ("point", "12"),
        ("point", "1,2,3"),
        ("point", "a,b"),
        ("point", "1,nan"),
        ("point", "1,2@-1"),
        ("point", "1,2@x"),
        ("point", {"pixels": [1, 2], "frame": 1.5}),
        ("box", [1, 2, 3, 4]),
        ("credits", 5),
        ("colour", "red"),
    ],
)
def test_wrong_settings_are_named(key: str, value: object) -> None:
    with pytest.raises(Sonic4DError, match=key):
        GenerateSettings.from_json({"video": "a", "output": "b", key: value})


def test_settings_that_exclude_each_other() -> None:
    with pytest.raises(Sonic4DError, match="not both"):
        GenerateSettings.from_json({"video": "a", "output": "b", "point": "1,2", "box": "1,2,3,4"})
