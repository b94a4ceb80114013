"""Measured head-related impulse responses: SOFA files (AES69) and the packaged KEMAR set."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from ..protocol import Sonic4DError

Array = npt.NDArray[np.float64]

CONVENTION = "SimpleFreeFieldHRIR"
MAX_DIRECTIONS = 100_000
MAX_VALUES = 1 << 27
RATES_HZ = (8000.0, 384_000.0)


@dataclass(frozen=True)
class HrirSet:
    """Impulse responses of one head. Head axes: x forward, y left, z up; ear 0 is the left one.

    impulse_responses (n, 2, taps); directions (n, 3) unit vectors towards the source; delays_s (n, 2) the delay
    to add to each response, in seconds.
    """

    impulse_responses: Array
    directions: Array
    delays_s: Array
    rate_hz: float


def read_kemar() -> HrirSet:
    """The packaged set: KEMAR with normal pinnae, 710 directions (Gardner and Martin, MIT Media Lab, 1994)."""
    folder = resources.files(__package__) / "hrtf_data"
    with (folder / "kemar.npz").open("rb") as file, np.load(file, allow_pickle=False) as stored:
        left = stored["left_ear"] / 32768
        mirror, directions = stored["mirror_index"], stored["directions"]
        rate_hz = float(stored["rate_hz"])
    return HrirSet(
        np.stack((left, left[mirror]), axis=1), directions, np.zeros((len(left), 2)), rate_hz
    )


def read_sofa(path: Path) -> HrirSet:
    """Read a SOFA file of the convention SimpleFreeFieldHRIR.

    Raises `Sonic4DError` ("missing_file", "bad_hrtf") where the file is absent, damaged, of another convention or
    holds values no head can have.
    """
    if not path.is_file():
        raise Sonic4DError(
            "missing_file",
            f"There is no head-related transfer function file {path}.",
            'Check the path, or use the packaged set "kemar".',
        )
    try:
        with h5py.File(path, "r") as file:
            return _read(file, path)
    except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise _bad(path, f"it is damaged or not a SOFA file ({error})") from None


def _bad(path: Path, reason: str) -> Sonic4DError:
    return Sonic4DError(
        "bad_hrtf",
        f"{path.name} can't be used as a head: {reason}.",
        f'Use a SOFA file of the convention {CONVENTION}, or the packaged set "kemar".',
    )


def _read(file: h5py.File, path: Path) -> HrirSet:
    convention = _text(file.attrs.get("SOFAConventions", ""))
    if convention != CONVENTION:
        raise _bad(path, f'its convention is "{convention}", not {CONVENTION}')
    shape = file["Data.IR"].shape
    if len(shape) != 3 or shape[1] != 2 or not 1 <= shape[0] <= MAX_DIRECTIONS or shape[2] < 8:
        raise _bad(path, f"its responses have the shape {shape}, not (directions, 2 ears, samples)")
    if np.prod(shape, dtype=np.int64) > MAX_VALUES:
        raise _bad(path, "it is too large")
    rate_hz = float(_values(file, "Data.SamplingRate", path).flat[0])
    if not RATES_HZ[0] <= rate_hz <= RATES_HZ[1]:
        raise _bad(path, f"its sample rate is {rate_hz:g} Hz")
    responses = _values(file, "Data.IR", path)
    if not (np.abs(responses).max(axis=2) > 0).all():
        raise _bad(path, "some of its responses are empty")
    delays_s = np.broadcast_to(_values(file, "Data.Delay", path), shape[:2]) / rate_hz
    if np.abs(delays_s).max() > 0.1:
        raise _bad(path, "its delays are longer than 100 ms")
    directions = _directions(file, shape[0], path)
    ears = np.broadcast_to(_values(file, "ReceiverPosition", path).reshape(2, 3, -1), (2, 3, 1))
    if ears[0, 1, 0] < ears[1, 1, 0]:
        responses, delays_s = responses[:, ::-1], delays_s[:, ::-1]
    return HrirSet(responses, directions, delays_s, rate_hz)


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _values(file: h5py.File, name: str, path: Path) -> Array:
    values = np.asarray(file[name][()], dtype=np.float64)
    if values.size == 0 or not np.isfinite(values).all():
        raise _bad(path, f"{name} holds values that are not numbers")
    return values


def _directions(file: h5py.File, count: int, path: Path) -> Array:
    """(count, 3) unit vectors in the head's axes, from spherical degrees or Cartesian metres."""
    positions = np.broadcast_to(_values(file, "SourcePosition", path), (count, 3))
    if _text(file["SourcePosition"].attrs.get("Type", "spherical")) == "cartesian":
        length = np.linalg.norm(positions, axis=1, keepdims=True)
        if (length == 0).any():
            raise _bad(path, "a source stands in the middle of the head")
        return positions / length
    azimuth, elevation = np.radians(positions[:, :2].T)
    flat = np.cos(elevation)
    return np.stack((flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)), axis=1)
