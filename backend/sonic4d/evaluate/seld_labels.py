"""DCASE's metadata files: which class sounds where in each 100 ms frame."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from ..protocol import Sonic4DError

FRAME_S = 0.1
MAX_FRAME = 10_000_000  # eleven days
MAX_CLASSES = 1000
MAX_FILE_BYTES = 1 << 28
_FORMS = {
    5: ("frame", "class", "source", "azimuth", "elevation"),
    6: ("frame", "class", "source", "azimuth", "elevation", "distance"),
    7: ("frame", "class", "source", "x", "y", "z", "distance"),
}
_STEREO = ("frame", "class", "source", "azimuth", "distance", "onscreen")


@dataclass(frozen=True)
class Event:
    """One sounding thing in one frame. Angles in degrees, azimuth counter-clockwise from the front; distance in metres,
    NaN where the file has none."""

    class_index: int
    track: int
    azimuth_deg: float
    elevation_deg: float
    distance_m: float


Labels = dict[int, list[Event]]  # by frame


def read_labels(path: Path) -> Labels:
    """Read a metadata file of DCASE2024 (frame, class, source, azimuth, elevation, distance in cm; or Cartesian, as the
    baseline writes it) or, with its header, of DCASE2025 (frame, class, source, azimuth, distance in cm, onscreen).

    Raises `Sonic4DError` naming the line.
    """
    labels: Labels = {}
    for number, row in enumerate(_rows(path), 1):
        if number == 1 and row and not _is_number(row[0]):
            names = tuple(name.strip().lower() for name in row)
            if names not in (*_FORMS.values(), _STEREO):
                raise _bad(path, number, "a header with unknown columns")
            stereo = names == _STEREO
            continue
        if number == 1:
            stereo = False
        if not row:
            continue
        frame, event = _event(path, number, row, _STEREO if stereo else _FORMS.get(len(row), ()))
        labels.setdefault(frame, []).append(event)
    return labels


def read_pairs(truth: Path, estimate: Path) -> list[tuple[Labels, Labels]]:
    """Truth and estimate of each recording: two files, or two folders whose files have the same names.

    A recording without an estimate is one where nothing was found.
    """
    if not truth.is_dir():
        return [(read_labels(truth), read_labels(estimate))]
    names = {path.relative_to(truth) for path in truth.rglob("*.csv")}
    if not names:
        raise Sonic4DError("missing_file", f"{truth} has no .csv files.", "Check the path.")
    unknown = {path.relative_to(estimate) for path in estimate.rglob("*.csv")} - names
    if not estimate.is_dir() or unknown:
        what = f"{min(unknown)} is not in {truth}" if unknown else f"{estimate} is not a folder"
        raise Sonic4DError("missing_file", f"{what}.", "Give two folders with the same file names.")
    return [
        (read_labels(truth / name), read_labels(path) if (path := estimate / name).exists() else {})
        for name in sorted(names)
    ]


def write_labels(path: Path, labels: Labels) -> None:
    """Write DCASE2024's polar form with whole centimetres and degrees to two decimals."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        for frame in sorted(labels):
            for event in labels[frame]:
                angles = (f"{event.azimuth_deg:.2f}", f"{event.elevation_deg:.2f}")
                distance_cm = round(100 * event.distance_m)
                rows.writerow((frame, event.class_index, event.track, *angles, distance_cm))


def _rows(path: Path) -> list[list[str]]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise Sonic4DError("bad_file", f"{path} is too large for a label file.")
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.reader(file))
    except FileNotFoundError:
        raise Sonic4DError("missing_file", f"There is no file {path}.", "Check the path.") from None
    except OSError as error:
        raise Sonic4DError("unreadable_file", f"{path} can't be read: {error.strerror}.") from None
    except (UnicodeDecodeError, csv.Error):
        raise Sonic4DError("bad_file", f"{path} is not a text file of labels.") from None


def _event(path: Path, number: int, row: list[str], names: tuple[str, ...]) -> tuple[int, Event]:
    if len(row) != len(names):
        raise _bad(path, number, f"{len(row)} columns")
    try:
        values = {name: float(text) for name, text in zip(names, row, strict=True)}
    except ValueError:
        raise _bad(path, number, "something that is no number") from None
    if not all(math.isfinite(value) for value in values.values()):
        raise _bad(path, number, "a number that isn't finite")
    whole = [values[name] for name in ("frame", "class", "source")]
    if any(value != int(value) for value in whole):
        raise _bad(path, number, "a frame, class or source that is no whole number")
    frame, class_index, track = (int(value) for value in whole)
    if not 0 <= frame <= MAX_FRAME or not 0 <= class_index < MAX_CLASSES:
        raise _bad(path, number, "a frame or class that is out of range")
    if "x" in values:
        x, y, z = (values[axis] for axis in "xyz")
        azimuth = math.degrees(math.atan2(y, x))
        elevation = math.degrees(math.atan2(z, math.hypot(x, y)))
    else:
        azimuth, elevation = values["azimuth"], values.get("elevation", 0.0)
    distance = values.get("distance", math.nan) / 100
    if distance < 0:
        raise _bad(path, number, "a negative distance")
    return frame, Event(class_index, track, azimuth, elevation, distance)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _bad(path: Path, number: int, what: str) -> Sonic4DError:
    return Sonic4DError(
        "bad_file",
        f"{path}, line {number}, has {what}.",
        "A line holds frame, class, source, azimuth, elevation and distance in cm.",
    )
