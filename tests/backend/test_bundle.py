"""The scene bundle on disk: there and back, immutable, whole or not at all."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sonic4d.bundle import (
    BACKGROUND,
    BUNDLE_JSON,
    DEPTH,
    SOURCE_VIDEO,
    Bundle,
    Expert,
    SourceTrack,
    cloud_file,
    read_bundle,
    write_bundle_json,
)
from sonic4d.files import new_file, new_folder
from sonic4d.geometry.cameras import LOOKING_NORTH, Intrinsics
from sonic4d.geometry.ply import write_ply
from sonic4d.monitor import Cancelled
from sonic4d.protocol import Sonic4DError
from sonic4d.room import Room
from sonic4d.scene.depth import Points

FRAMES = 3


def some_points(count: int) -> Points:
    return Points(
        np.ones((count, 3), "f4"),
        np.zeros((count, 3), "u1"),
        np.ones(count, "f4"),
        np.ones(count, "f4"),
        np.zeros(count, bool),
    )


def some_bundle(folder: Path) -> Bundle:
    gap = np.array([[0.1, 0.2, 0.3, 0.4], [np.nan] * 4, [0.2, 0.2, 0.4, 0.4]])
    track = SourceTrack(
        "rabbit",
        "audio/rabbit.wav",
        np.arange(9.0).reshape(3, 3),
        np.array([[0, 1, 2], [np.nan] * 3, [6, 7, 8.0]]),
        gap,
        np.array([1, 0, 0.5]),
        np.array([False, True, False]),
        "point",
    )
    return Bundle(
        folder=folder,
        name="bbb",
        frame_rate=Fraction(30000, 1001),
        intrinsics=Intrinsics.from_horizontal_fov(640, 360, 60),
        cameras=np.repeat(LOOKING_NORTH[None], FRAMES, 0),
        metric=True,
        metres_per_unit=1.0,
        depth_info={"approximate": True, "move_limit_deg": 20.0, "assumptions": {"a": 1}},
        has_background=True,
        sources=(track,),
        room=Room("shoebox", (0.0, 3.0, 0.0), (5.0, 8.0, 3.0), 0.0, 0.5),
        provenance=(Expert("depth", "geometric", "0.1", "GPL", "no model"),),
        warnings=("cuts",),
        credits="(c) somebody",
    )


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    folder = tmp_path / "bbb.sonic4d"
    for name in ("audio", "cloud"):
        (folder / name).mkdir(parents=True)
    for name in (SOURCE_VIDEO, DEPTH, "audio/rabbit.wav"):
        (folder / name).write_bytes(b"x")
    for index in range(FRAMES):
        write_ply(folder / cloud_file(index), some_points(index))
    write_ply(folder / BACKGROUND, some_points(5))
    bundle = some_bundle(folder)
    write_bundle_json(bundle)
    return bundle


def test_there_and_back(bundle: Bundle) -> None:
    read = read_bundle(bundle.folder)
    assert read.to_json() == bundle.to_json()
    assert read.frame_rate == Fraction(30000, 1001)
    assert np.isnan(read.sources[0].boxes[1]).all()
    np.testing.assert_array_equal(read.sources[0].filled, [False, True, False])
    np.testing.assert_array_equal(read.cameras, bundle.cameras)
    assert read.warnings == ("cuts",)


def test_frames_count_from_one_in_file_names() -> None:
    assert cloud_file(0) == "cloud/f_0001.ply"
    assert cloud_file(12344) == "cloud/f_12345.ply"


@pytest.mark.parametrize(
    "name",
    [
        BUNDLE_JSON,
        SOURCE_VIDEO,
        DEPTH,
        BACKGROUND,
        "audio/rabbit.wav",
        cloud_file(0),
        cloud_file(2),
    ],
)
def test_a_missing_file_is_named(bundle: Bundle, name: str) -> None:
    (bundle.folder / name).unlink()
    with pytest.raises(Sonic4DError, match=Path(name).name) as caught:
        read_bundle(bundle.folder)
    assert caught.value.code in ("bad_bundle", "missing_bundle")


@pytest.mark.parametrize("name", [BUNDLE_JSON, BACKGROUND, cloud_file(1)])
def test_a_truncated_file_is_named(bundle: Bundle, name: str) -> None:
    path = bundle.folder / name
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(Sonic4DError, match=Path(name).name):
        read_bundle(bundle.folder)


def test_no_bundle_there(tmp_path: Path) -> None:
    with pytest.raises(Sonic4DError, match="no scene bundle"):
        read_bundle(tmp_path / "none.sonic4d")
    with pytest.raises(Sonic4DError, match="no scene bundle"):
        read_bundle(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(Sonic4DError, match="no scene bundle"):
        read_bundle(tmp_path / "file")


def test_a_newer_version_is_told(bundle: Bundle) -> None:
    path = bundle.folder / BUNDLE_JSON
    path.write_text(path.read_text().replace('"sonic4d_bundle": 1', '"sonic4d_bundle": 2'))
    with pytest.raises(Sonic4DError, match="version 2") as caught:
        read_bundle(bundle.folder)
    assert "Update" in caught.value.hint


WRONG: list[tuple[str, Any]] = [
    ("sonic4d_bundle", 2),
    ("name", ""),
    ("frame_rate", 25),
    ("frame_count", 2),
    ("frame_count", 0),
    ("frame_count", 10**12),
    ("intrinsics", {}),
    ("cameras", [[[1]]]),
    ("metric", 1),
    ("metres_per_unit", 0),
    ("depth", {}),
    ("depth", None),
    ("depth", {"approximate": True, "move_limit_deg": "far", "assumptions": {}}),
    ("has_background", None),
    ("sources", {}),
    ("sources", [None]),
    ("room", None),
    ("provenance", 5),
    ("provenance", [5]),
    ("provenance", [{"stage": 1, "name": 2, "version": 3, "licence": 4, "reason": 5}]),
    ("warnings", 5),
    ("warnings", [5]),
    ("credits", 5),
    ("colour", "blue"),
]


@pytest.mark.parametrize(("key", "value"), WRONG)
def test_wrong_values_are_refused(bundle: Bundle, key: str, value: object) -> None:
    path = bundle.folder / BUNDLE_JSON
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(Sonic4DError):
        read_bundle(bundle.folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("audio", "../../secret.wav"),
        ("audio", "/etc/passwd"),
        ("audio", "audio"),
        ("positions", [[0, 0, None]] * FRAMES),
        ("positions", [None] * FRAMES),
        ("raw_positions", [[0, 0]] * FRAMES),
        ("boxes", [[0, 0, 1, 1]]),
        ("confidence", [0.5, 0.5, 1.5]),
        ("confidence", [0.5, 0.5]),
        ("filled", [0, 1, 0]),
        ("filled", True),
        ("found_by", "magic"),
    ],
)
def test_wrong_values_of_a_source_are_named(bundle: Bundle, key: str, value: object) -> None:
    path = bundle.folder / BUNDLE_JSON
    data = json.loads(path.read_text())
    data["sources"][0][key] = value
    path.write_text(json.dumps(data))
    with pytest.raises(Sonic4DError):
        read_bundle(bundle.folder)


# Whole or not at all


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_appears_when_it_is_finished(tmp_path: Path) -> None:
    target = tmp_path / "a.sonic4d"
    with new_folder(target) as work:
        (work / "x").write_text("x")
        assert not target.exists()
    assert listing(tmp_path) == ["a.sonic4d"]
    assert listing(target) == ["x"]


def test_bundles_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.sonic4d").mkdir()
    with pytest.raises(Sonic4DError, match="exists already"), new_folder(tmp_path / "a.sonic4d"):
        pytest.fail("must not get here")
    assert listing(tmp_path) == ["a.sonic4d"]


def write_folder(path: Path) -> None:
    with new_folder(path) as work:
        (work / "x").write_text("x")


def write_file(path: Path) -> None:
    with new_file(path) as work:
        work.write_text("x")


def full_disk(*arguments: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("write", [write_folder, write_file])
def test_a_full_disk_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None]
) -> None:
    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(Sonic4DError, match="No space left"):
        write(tmp_path / "a")
    assert listing(tmp_path) == []


@pytest.mark.parametrize("manager", [new_folder, new_file])
@pytest.mark.parametrize("stop", [Cancelled, KeyboardInterrupt, MemoryError])
def test_nothing_is_left_behind_when_work_stops(
    tmp_path: Path, manager: Callable[[Path], Any], stop: type[BaseException]
) -> None:
    with pytest.raises(stop), manager(tmp_path / "a"):
        raise stop
    assert listing(tmp_path) == []


@pytest.mark.parametrize("write", [write_folder, write_file])
def test_a_place_that_cannot_be_written(tmp_path: Path, write: Callable[[Path], None]) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Sonic4DError, match="can't be written") as caught:
        write(tmp_path / "file" / "a")
    assert caught.value.hint
    with pytest.raises(Sonic4DError, match="can't be written"):
        write(tmp_path / ("a" * 300))


@pytest.mark.parametrize("name", ["/", "."])
def test_a_folder_without_a_name(name: str) -> None:
    with pytest.raises(Sonic4DError, match="names no folder"), new_folder(Path(name)):
        pass


def test_a_file_in_the_place_of_a_folder_is_told_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(Sonic4DError, match="is a folder"), new_file(tmp_path):
        raise AssertionError("it went to work")
    with pytest.raises(Sonic4DError, match="no folder"), new_file(tmp_path / "none" / "a"):
        raise AssertionError("it went to work")
    assert listing(tmp_path) == []


def test_what_fails_in_a_new_folder_is_told_by_its_final_name(tmp_path: Path) -> None:
    target = tmp_path / "a.sonic4d"
    with pytest.raises(Sonic4DError) as caught, new_folder(target) as work:
        write_file(work / "none" / "b")
    assert str(target / "none") in caught.value.message
    assert str(work) not in caught.value.message
