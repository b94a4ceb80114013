"""Depth maps of other tools: every form, and every way they can be wrong."""

from __future__ import annotations

import io
import itertools
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest
from sonic4d.geometry.cameras import LOOKING_NORTH
from sonic4d.monitor import Cancelled, Monitor
from sonic4d.protocol import Sonic4DError
from sonic4d.scene.depth_maps import read_depth_maps

SHAPE = (3, 48, 64)


def some_depth(shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """Metres, whole millimetres."""
    return np.random.default_rng(0).integers(1000, 9000, shape).astype("f4") / 1000


def as_npz(folder: Path, depth: np.ndarray, name: str = "depth") -> Path:
    np.savez_compressed(folder / "depth.npz", **{name: depth})
    return folder / "depth.npz"


def as_pngs(folder: Path, depth: np.ndarray, scale: float = 1000) -> Path:
    folder = folder / "png"
    folder.mkdir()
    for index, values in enumerate(depth):
        written = cv2.imwrite(
            str(folder / f"d_{index + 8}.png"), np.round(values * scale).astype(np.uint16)
        )
        assert written
    return folder


def as_exrs(folder: Path, depth: np.ndarray, channel: str = "Z") -> Path:
    folder = folder / "exr"
    folder.mkdir()
    for index, values in enumerate(depth):
        header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
        OpenEXR.File(header, {channel: values}).write(str(folder / f"d_{index + 8}.exr"))
    return folder


@pytest.mark.parametrize("save", [as_npz, as_pngs, as_exrs])
def test_metric_maps(tmp_path: Path, save: Callable[[Path, np.ndarray], Path]) -> None:
    depth = some_depth()
    result = read_depth_maps(save(tmp_path, depth), SHAPE)
    np.testing.assert_allclose(result.depth_m, depth, rtol=1e-6)
    assert result.depth_m.dtype == np.float32
    assert result.metric
    np.testing.assert_array_equal(result.camera_to_world, [LOOKING_NORTH] * 3)


@pytest.mark.parametrize("save", [as_npz, as_pngs, as_exrs])
def test_inverse_maps(tmp_path: Path, save: Callable[[Path, np.ndarray], Path]) -> None:
    result = read_depth_maps(save(tmp_path, some_depth()), SHAPE, kind="inverse")
    np.testing.assert_allclose(result.depth_m, 1 / some_depth(), rtol=1e-6)
    assert not result.metric


def test_numbers_in_names_give_the_order(tmp_path: Path) -> None:
    """d_8, d_9, d_10: not as the alphabet has it."""
    depth = some_depth()
    result = read_depth_maps(as_pngs(tmp_path, depth), SHAPE)
    np.testing.assert_allclose(result.depth_m[2], depth[2], rtol=1e-6)


def test_png_scale(tmp_path: Path) -> None:
    result = read_depth_maps(as_pngs(tmp_path, some_depth(), 256), SHAPE, scale=256)
    np.testing.assert_allclose(result.depth_m, some_depth(), atol=1 / 256)


@pytest.mark.parametrize("channel", ["Z", "Y", "R", "depth"])
def test_exr_channels(tmp_path: Path, channel: str) -> None:
    result = read_depth_maps(as_exrs(tmp_path, some_depth(), channel), SHAPE)
    np.testing.assert_allclose(result.depth_m, some_depth(), rtol=1e-6)


@pytest.mark.parametrize("kind", ["f2", "f8", "u2", "i4", ">f4"])
def test_number_formats(tmp_path: Path, kind: str) -> None:
    depth = np.full(SHAPE, 7).astype(kind)
    np.testing.assert_array_equal(read_depth_maps(as_npz(tmp_path, depth, "x"), SHAPE).depth_m, 7)


def test_maps_of_the_same_shape_are_resized_without_new_depths(tmp_path: Path) -> None:
    depth = np.where(np.arange(128) < 64, 2.0, 8.0) * np.ones((3, 96, 1))
    result = read_depth_maps(as_npz(tmp_path, depth), SHAPE)
    assert result.depth_m.shape == SHAPE
    assert set(np.unique(result.depth_m)) == {2, 8}
    assert (result.depth_m[:, :, :32] == 2).all()


def test_what_is_no_depth_is_unknown(tmp_path: Path) -> None:
    depth = some_depth()
    depth[0, 0, :4] = [np.nan, np.inf, -1, 0]
    for kind in ("metric", "inverse"):
        unknown = np.isnan(read_depth_maps(as_npz(tmp_path, depth), SHAPE, kind).depth_m)
        assert unknown[0, 0, :4].all()
        assert unknown.sum() == 4


@pytest.mark.parametrize("value", [np.nan, 0, -3, np.inf])
def test_nothing_known(tmp_path: Path, value: float) -> None:
    with pytest.raises(Sonic4DError, match="no value is a number above 0"):
        read_depth_maps(as_npz(tmp_path, np.full(SHAPE, value)), SHAPE)


def test_a_wrong_count_names_both(tmp_path: Path) -> None:
    with pytest.raises(Sonic4DError, match="5 depth maps, but 3 frames"):
        read_depth_maps(as_npz(tmp_path, some_depth((5, 48, 64))), SHAPE)


def test_a_wrong_size_names_both(tmp_path: Path) -> None:
    with pytest.raises(Sonic4DError, match="64x64 pixels.*64x48"):
        read_depth_maps(as_pngs(tmp_path, some_depth((3, 64, 64))), SHAPE)


def huge_npz(folder: Path) -> Path:
    """The header promises 1.6 TB."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (3, 48, 64 * 10**9)}
    )
    with zipfile.ZipFile(folder / "depth.npz", "w") as archive:
        archive.writestr("depth.npy", header.getvalue())
    return folder / "depth.npz"


def cut_off_npz(folder: Path) -> Path:
    data = io.BytesIO()
    np.save(data, some_depth())
    with zipfile.ZipFile(folder / "depth.npz", "w") as archive:
        archive.writestr("depth.npy", data.getvalue()[:-100])
    return folder / "depth.npz"


def pickled_npz(folder: Path) -> Path:
    return as_npz(folder, np.array([[[{"a": 1}]]], dtype=object))


def flat_npz(folder: Path) -> Path:
    return as_npz(folder, np.ones(10))


def fortran_npz(folder: Path) -> Path:
    return as_npz(folder, np.asfortranarray(some_depth()))


def truncated_zip(folder: Path) -> Path:
    path = as_npz(folder, some_depth())
    path.write_bytes(path.read_bytes()[:-200])
    return path


def empty_npz(folder: Path) -> Path:
    np.savez(folder / "depth.npz")
    return folder / "depth.npz"


def text_file(folder: Path) -> Path:
    (folder / "depth.npz").write_text("hello")
    return folder / "depth.npz"


def empty_folder(folder: Path) -> Path:
    return folder


def pngs_of_8_bit(folder: Path) -> Path:
    for index in range(3):
        cv2.imwrite(str(folder / f"{index}.png"), np.ones((48, 64), np.uint8))
    return folder


def colour_pngs(folder: Path) -> Path:
    for index in range(3):
        cv2.imwrite(str(folder / f"{index}.png"), np.ones((48, 64, 3), np.uint16))
    return folder


def cut_off_pngs(folder: Path) -> Path:
    folder = as_pngs(folder, some_depth())
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes()[:60])
    return folder


def empty_pngs(folder: Path) -> Path:
    for index in range(3):
        (folder / f"{index}.png").touch()
    return folder


def cut_off_exrs(folder: Path) -> Path:
    folder = as_exrs(folder, some_depth())
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes()[:-500])
    return folder


def exrs_without_depth(folder: Path) -> Path:
    return as_exrs(folder, some_depth(), "mask")


def text_exrs(folder: Path) -> Path:
    for index in range(3):
        (folder / f"{index}.exr").write_text("hello")
    return folder


@pytest.mark.parametrize(
    "make",
    [
        huge_npz,
        cut_off_npz,
        pickled_npz,
        flat_npz,
        fortran_npz,
        truncated_zip,
        empty_npz,
        text_file,
        empty_folder,
        pngs_of_8_bit,
        colour_pngs,
        cut_off_pngs,
        empty_pngs,
        cut_off_exrs,
        exrs_without_depth,
        text_exrs,
    ],
)
def test_unusable_maps_are_told(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    path = make(tmp_path)
    with pytest.raises(Sonic4DError) as caught:
        read_depth_maps(path, SHAPE)
    assert caught.value.code == "bad_depth"
    assert caught.value.hint


def test_a_missing_path(tmp_path: Path) -> None:
    with pytest.raises(Sonic4DError, match="no file or folder"):
        read_depth_maps(tmp_path / "none", SHAPE)


def test_reading_can_be_cancelled(tmp_path: Path) -> None:
    asked = itertools.count()
    monitor = Monitor(lambda event: None, lambda: next(asked) > 0)
    with pytest.raises(Cancelled):
        read_depth_maps(as_npz(tmp_path, some_depth()), SHAPE, monitor=monitor)
