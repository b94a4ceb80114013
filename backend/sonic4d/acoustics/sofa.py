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
FEWEST_DIRECTIONS, MAX_DIRECTIONS = 4, 20_000  # 2 degrees apart all around are 16 020
SHORTEST = 8  # samples of a response
MAX_VALUES = 1 << 24  # 128 MiB
RATES_HZ = (8000.0, 384_000.0)
LONGEST_DELAY_S = 0.1
_UNITS = {"spherical": ("degree",), "cartesian": ("metre", "meter")}


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
    if "SOFAConventions" not in file.attrs:
        raise _bad(path, "it does not say that it is a SOFA file")
    convention = _text(file.attrs["SOFAConventions"])
    if convention != CONVENTION:
        raise _bad(path, f'its convention is "{convention}", not {CONVENTION}')
    shape = _dataset(file, "Data.IR", path).shape
    if len(shape) != 3 or shape[1] != 2 or shape[2] < SHORTEST:
        raise _bad(path, f"its responses have the shape {shape}, not (directions, 2 ears, samples)")
    if not FEWEST_DIRECTIONS <= shape[0] <= MAX_DIRECTIONS:
        raise _bad(
            path, f"it has {shape[0]} directions, not {FEWEST_DIRECTIONS} to {MAX_DIRECTIONS}"
        )
    if np.prod(shape, dtype=np.int64) > MAX_VALUES:
        raise _bad(path, f"its responses of the shape {shape} are too large")
    rates_hz = _values(file, "Data.SamplingRate", shape[:1], path)
    rate_hz = float(rates_hz[0])
    if np.ptp(rates_hz) or not RATES_HZ[0] <= rate_hz <= RATES_HZ[1]:
        raise _bad(path, f"its sample rate is {rate_hz:g} Hz, not one from 8 to 384 kHz")
    responses = _values(file, "Data.IR", shape, path)
    if not (np.abs(responses).max(axis=2) > 0).all():
        raise _bad(path, "some of its responses are empty")
    delays_s = _values(file, "Data.Delay", shape[:2], path) / rate_hz
    if np.abs(delays_s).max() > LONGEST_DELAY_S:
        raise _bad(path, f"its delays are longer than {LONGEST_DELAY_S * 1000:g} ms")
    directions = _directions(file, shape[0], path)
    if np.ptp(directions, axis=0).max() == 0:
        raise _bad(path, "all of its responses are from the same direction")
    ears = _values(file, "ReceiverPosition", (2, 3, shape[0]), path)
    if ears[0, 1, 0] < ears[1, 1, 0]:
        responses, delays_s = responses[:, ::-1], delays_s[:, ::-1]
    return HrirSet(responses, directions, delays_s, rate_hz)


def _text(value: object) -> str:
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.flat[0]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _dataset(file: h5py.File, name: str, path: Path) -> h5py.Dataset:
    found = file.get(name)
    if not isinstance(found, h5py.Dataset):
        raise _bad(path, f"it has no {name}")
    return found


def _values(file: h5py.File, name: str, shape: tuple[int, ...], path: Path) -> Array:
    """A dataset as large as wanted, or constant along some axes. Nothing larger is read."""
    found = _dataset(file, name, path)
    if found.dtype.kind not in "iuf":
        raise _bad(path, f"{name} holds no numbers")
    if found.size == 0 or found.size > np.prod(shape, dtype=np.int64):
        raise _bad(path, f"{name} has the shape {found.shape}, not {shape}")
    values = np.asarray(found[()], dtype=np.float64)
    if not np.isfinite(values).all():
        raise _bad(path, f"{name} holds values that are not numbers")
    try:
        if len(shape) == 3 and values.ndim == 2:
            values = values[..., None]
        return np.broadcast_to(values, shape)
    except ValueError:
        raise _bad(path, f"{name} has the shape {found.shape}, not {shape}") from None


def _directions(file: h5py.File, count: int, path: Path) -> Array:
    """(count, 3) unit vectors in the head's axes, from spherical degrees or Cartesian metres."""
    positions = _values(file, "SourcePosition", (count, 3), path)
    attributes = file["SourcePosition"].attrs
    kind = _text(attributes.get("Type", "spherical")).lower()
    if kind not in _UNITS:
        raise _bad(path, f'its source positions are "{kind}", neither spherical nor cartesian')
    units = _text(attributes.get("Units", _UNITS[kind][0])).lower()
    if not units.startswith(_UNITS[kind]):
        raise _bad(path, f'its {kind} source positions are in "{units}", not in {_UNITS[kind][0]}s')
    if kind == "cartesian":
        length = np.linalg.norm(positions, axis=1, keepdims=True)
        if (length == 0).any():
            raise _bad(path, "a source stands in the middle of the head")
        return positions / length
    azimuth, elevation = np.radians(positions[:, :2].T)
    if np.abs(elevation).max() > np.pi / 2 + 1e-6:
        raise _bad(path, "some of its elevations are beyond 90 degrees")
    flat = np.cos(elevation)
    return np.stack((flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)), axis=1)
