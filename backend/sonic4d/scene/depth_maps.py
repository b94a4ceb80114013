"""Depth maps made elsewhere: a .npz, or a folder of 16-bit PNG or EXR pictures."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import OpenEXR

from ..geometry.cameras import LOOKING_NORTH
from ..monitor import SILENT, Monitor
from ..protocol import Sonic4DError
from .depth import DepthResult

Map = npt.NDArray[np.floating]

NPZ_NAMES = ("depth_m", "depth")
EXR_CHANNELS = ("Z", "depth", "Y", "V", "R")
ASPECT_TOLERANCE = 0.02
MAX_SIDE_PX = 16384


def read_depth_maps(
    path: Path,
    shape: tuple[int, int, int],
    kind: str = "metric",
    scale: float = 1000.0,
    monitor: Monitor = SILENT,
) -> DepthResult:
    """One depth map for each frame of a clip of `shape` (n_frames, H, W).

    path: a .npz (array "depth_m" or "depth", else its first; (n_frames, h, w)), or a folder with one PNG (16 bit, `scale`
    steps per unit) or EXR (channel Z, else luminance or red) a frame, in the order of the numbers in their names. kind:
    "metric" for the distance along the viewing axis in metres, "inverse" for its reciprocal at an unknown scale
    (disparity). Maps of the clip's aspect are resized to it; values that are not finite or not above 0 are unknown.

    The camera is taken to stand still at the origin. Raises `Sonic4DError` where counts or sizes don't fit, where
    nothing is known, or a file is damaged.
    """
    n_frames, height, width = shape
    try:
        count, maps = _npz_maps(path) if path.is_file() else _folder_maps(path, scale)
        if count != n_frames:
            raise Sonic4DError(
                "wrong_depth_count",
                f"{path} has {count} depth maps, but {n_frames} frames of the clip are used.",
                "Give one map a frame, or choose the part with --start, --duration and --max-frames.",
            )
        depth_m = np.empty(shape, np.float32)
        for index, values in enumerate(maps):
            _check_size(path, values.shape, (height, width))
            # Nearest: an interpolated edge would be a surface where there is none.
            depth_m[index] = cv2.resize(
                values.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST_EXACT
            )
            monitor.progress("depth", index + 1, n_frames)
    except (OSError, RuntimeError, ValueError, EOFError, zipfile.BadZipFile, cv2.error) as error:
        raise _unusable(path, f"they can't be read ({str(error)[:200]})") from None
    if kind == "inverse":
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            np.reciprocal(depth_m, out=depth_m)
    depth_m[~np.isfinite(depth_m) | (depth_m <= 0)] = np.nan
    if np.isnan(depth_m).all():
        raise _unusable(path, "no value is a number above 0")
    return DepthResult(
        depth_m,
        np.repeat(LOOKING_NORTH[None], n_frames, axis=0),
        metric=kind == "metric",
        approximate=False,
        assumptions={"depth_kind": kind, "camera": "stands still, level"},
    )


def _npz_maps(path: Path) -> tuple[int, Iterator[Map]]:
    """Count and maps of a .npz, decompressed one by one (the header may promise more than there is memory)."""
    if not zipfile.is_zipfile(path):
        raise _unusable(path, "it is no .npz file, or it is damaged")
    archive = zipfile.ZipFile(path)
    names = [name for name in archive.namelist() if name.endswith(".npy")]
    preferred = [f"{name}.npy" for name in NPZ_NAMES if f"{name}.npy" in names]
    if not names:
        raise _unusable(path, "the file holds no array")
    stream = archive.open((preferred or names)[0])
    version = np.lib.format.read_magic(stream)
    read_header = getattr(np.lib.format, f"read_array_header_{version[0]}_{version[1]}")
    shape, fortran_order, kind = read_header(stream)
    if len(shape) != 3 or fortran_order or kind.kind not in "fui":
        raise _unusable(path, f"a number array (frames, height, width) is expected, not {shape}")
    if max(shape[1:]) > MAX_SIDE_PX or min(shape) < 1:
        raise _unusable(path, f"maps of {shape[2]}x{shape[1]} pixels are not possible")

    def maps() -> Iterator[Map]:
        size = shape[1] * shape[2] * kind.itemsize
        with archive, stream:
            for _ in range(shape[0]):
                data = stream.read(size)
                if len(data) != size:
                    raise EOFError("the file is truncated")
                yield np.frombuffer(data, kind).reshape(shape[1:])

    return shape[0], maps()


def _folder_maps(folder: Path, scale: float) -> tuple[int, Iterator[Map]]:
    """Count and maps of a folder of pictures."""
    if not folder.is_dir():
        raise Sonic4DError(
            "missing_file",
            f"There is no file or folder {folder}.",
            "Use --depth geometric, or give a .npz or a folder with --depth PATH.",
        )
    for suffix in (".png", ".exr"):
        files = [file for file in folder.iterdir() if file.suffix.lower() == suffix]
        files.sort(key=lambda file: [*map(int, re.findall("[0-9]+", file.stem)), 0])
        if files:
            return len(files), (
                _read_png(file) / scale if suffix == ".png" else _read_exr(file) for file in files
            )
    raise _unusable(folder, "it has no PNG or EXR files")


def _read_png(path: Path) -> Map:
    values = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16 or values.ndim != 2:
        raise _unusable(path, "a 16-bit greyscale PNG is expected")
    return values.astype(np.float32)


def _read_exr(path: Path) -> Map:
    with OpenEXR.File(str(path), header_only=True) as file:
        low, high = file.header()["dataWindow"]
    if (high - low).max() >= MAX_SIDE_PX:
        raise _unusable(path, "it is too large")
    with OpenEXR.File(str(path), separate_channels=True) as file:
        channels = file.channels()
        name = next((name for name in EXR_CHANNELS if name in channels), None)
        if name is None:
            raise _unusable(path, f"it has none of the channels {', '.join(EXR_CHANNELS)}")
        return np.array(channels[name].pixels)


def _check_size(path: Path, found: tuple[int, ...], wanted: tuple[int, int]) -> None:
    ratio = found[1] / found[0] * wanted[0] / wanted[1]
    if abs(ratio - 1) > ASPECT_TOLERANCE:
        raise Sonic4DError(
            "wrong_depth_size",
            f"The depth maps of {path} have {found[1]}x{found[0]} pixels; that is not the shape of the "
            f"clip, {wanted[1]}x{wanted[0]}.",
            "Give depth maps of the whole, upright picture.",
        )


def _unusable(path: Path, why: str) -> Sonic4DError:
    return Sonic4DError(
        "bad_depth",
        f"The depth maps {path} can't be used: {why}.",
        "Give a .npz, or a folder of 16-bit PNG or EXR files, with --depth PATH.",
    )
