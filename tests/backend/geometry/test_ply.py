"""PLY files: whole, strict, and the way Blender reads them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sonic4d.geometry.ply import read_ply, write_ply
from sonic4d.protocol import Sonic4DError
from sonic4d.scene.depth import Points


def some_points(count: int, seed: int = 0) -> Points:
    rng = np.random.default_rng(seed)
    return Points(
        rng.normal(size=(count, 3)).astype("f4"),
        rng.integers(0, 256, (count, 3), np.uint8),
        rng.random(count, np.float32),
        rng.random(count, np.float32),
        rng.random(count) > 0.5,
    )


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_what_is_written_is_read_again(tmp_path: Path, count: int) -> None:
    points = some_points(count)
    write_ply(tmp_path / "a.ply", points)
    read = read_ply(tmp_path / "a.ply")
    assert len(read) == count
    for name in ("xyz", "rgb", "confidence", "radius_m", "synthetic"):
        wanted, found = getattr(points, name), getattr(read, name)
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)


def test_the_bytes_are_those_of_the_format(tmp_path: Path) -> None:
    points = Points(
        np.array([[1, 2, 3]], "f4"),
        np.array([[10, 20, 30]], "u1"),
        np.array([0.5], "f4"),
        np.array([0.25], "f4"),
        np.array([True]),
    )
    write_ply(tmp_path / "a.ply", points)
    header, body = (tmp_path / "a.ply").read_bytes().split(b"end_header\n")
    assert header.decode().splitlines() == [
        "ply",
        "format binary_little_endian 1.0",
        "element vertex 1",
        *(f"property float {name}" for name in "xyz"),
        *(f"property uchar {name}" for name in ("red", "green", "blue")),
        *(f"property float {name}" for name in ("confidence", "radius", "synthetic")),
    ]
    assert body == struct.pack("<3f3B3f", 1, 2, 3, 10, 20, 30, 0.5, 0.25, 1)


def truncated(data: bytes) -> bytes:
    return data[:-1]


def lengthened(data: bytes) -> bytes:
    return data + b"\0"


def huge_count(data: bytes) -> bytes:
    return data.replace(b"vertex 5", b"vertex 99999999999")


def endless_count(data: bytes) -> bytes:
    return data.replace(b"vertex 5", b"vertex " + b"9" * 3000)


def negative_count(data: bytes) -> bytes:
    return data.replace(b"vertex 5", b"vertex -5")


def as_text(data: bytes) -> bytes:
    return data.replace(b"binary_little_endian", b"ascii")


def other_properties(data: bytes) -> bytes:
    return data.replace(b"property float radius\n", b"")


def with_not_a_number(data: bytes) -> bytes:
    head, end, body = data.partition(b"end_header\n")
    return head + end + struct.pack("<f", float("nan")) + body[4:]


def nothing(data: bytes) -> bytes:
    return b""


def zeros(data: bytes) -> bytes:
    return bytes(10_000)


@pytest.mark.parametrize(
    "damage",
    [
        truncated,
        lengthened,
        huge_count,
        endless_count,
        negative_count,
        as_text,
        other_properties,
        with_not_a_number,
        nothing,
        zeros,
    ],
)
def test_anything_else_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "a.ply"
    write_ply(path, some_points(5))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(Sonic4DError) as caught:
        read_ply(path)
    assert caught.value.code == "bad_ply"


@given(st.binary(max_size=400))
def test_random_bytes_never_give_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("ply") / "a.ply"
    path.write_bytes(b"ply\n" + data)
    with pytest.raises(Sonic4DError):
        read_ply(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(Sonic4DError, match="no file"):
        read_ply(tmp_path / "a.ply")
    with pytest.raises(Sonic4DError, match="can't be read"):
        read_ply(tmp_path)
