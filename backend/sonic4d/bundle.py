"""The scene bundle: a folder NAME.sonic4d/ that holds a 4D scene (see the constants below). Immutable once written."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import checks
from .files import write_json
from .geometry.cameras import Intrinsics
from .geometry.ply import check_ply
from .protocol import Sonic4DError
from .room import Room
from .shot import MAX_FRAMES, MAX_SOURCES, read_json

Array = npt.NDArray[np.float64]

BUNDLE_VERSION = 1
SUFFIX = ".sonic4d"
BUNDLE_JSON = "bundle.json"
SOURCE_VIDEO = "source.mp4"
DEPTH = "depth.npz"  # array "depth_m" (n_frames, H, W) float16
BACKGROUND = "background.ply"
FOUND_BY = ("point", "box", "sound", "motion", "words", "hand")


def cloud_file(frame_index: int) -> str:
    """The points of one frame (counted from 0), relative to the bundle."""
    return f"cloud/f_{frame_index + 1:04}.ply"


@dataclass(frozen=True)
class SourceTrack:
    """A sounding object through the clip; one row per frame.

    positions (n, 3): the final trajectory in metres, world axes. raw_positions (n, 3): as measured (equation 5), NaN rows
    where the object was not seen. boxes (n, 4): x0, y0, x1, y1 as fractions of the picture, NaN rows where absent.
    confidence (n,) in 0..1. filled (n,): position interpolated or held, not measured. found_by: one of FOUND_BY.
    """

    name: str
    audio: str
    positions: Array
    raw_positions: Array
    boxes: Array
    confidence: Array
    filled: npt.NDArray[np.bool_]
    found_by: str

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "audio": self.audio,
            "positions": self.positions.tolist(),
            "raw_positions": _with_gaps(self.raw_positions),
            "boxes": _with_gaps(self.boxes),
            "confidence": self.confidence.tolist(),
            "filled": self.filled.tolist(),
            "found_by": self.found_by,
        }

    @classmethod
    def from_json(cls, data: Any, n: int, folder: Path, where: str) -> SourceTrack:
        data = checks.fields(data, where, tuple(cls.__dataclass_fields__))
        confidence = checks.array(data["confidence"], f"{where}.confidence", (n,))
        if (confidence < 0).any() or (confidence > 1).any():
            raise checks.fail(f"{where}.confidence", "values of 0 to 1 are expected")
        filled = data["filled"]
        if not isinstance(filled, list) or [*map(type, filled)] != [bool] * n:
            raise checks.fail(f"{where}.filled", f"{n} times true or false are expected")
        audio = checks.text(data["audio"], f"{where}.audio")
        _existing(checks.inside(folder, audio, f"{where}.audio"))
        return cls(
            checks.text(data["name"], f"{where}.name"),
            audio,
            checks.array(data["positions"], f"{where}.positions", (n, 3)),
            checks.array(data["raw_positions"], f"{where}.raw_positions", (n, 3), gaps=True),
            checks.array(data["boxes"], f"{where}.boxes", (n, 4), gaps=True),
            confidence,
            np.array(filled, dtype=bool),
            checks.text(data["found_by"], f"{where}.found_by", FOUND_BY),
        )


@dataclass(frozen=True)
class Expert:
    """Provenance of one stage: which expert did it, at which version, under which licence, and why that one."""

    stage: str
    name: str
    version: str
    licence: str
    reason: str


@dataclass(frozen=True)
class Bundle:
    """A scene bundle that was read and validated.

    cameras (n_frames, 4, 4): camera-to-world of the source video. metres_per_unit: what the depth's unit was taken to be
    when the bundle was written (all stored lengths are metres under that assumption; 1.0 where depth is metric).
    depth_info: "approximate", "move_limit_deg" (or null) and the expert's assumptions.
    """

    folder: Path
    name: str
    frame_rate: Fraction
    intrinsics: Intrinsics
    cameras: Array
    metric: bool
    metres_per_unit: float
    depth_info: dict[str, Any]
    has_background: bool
    sources: tuple[SourceTrack, ...]
    room: Room
    provenance: tuple[Expert, ...]
    warnings: tuple[str, ...] = ()
    credits: str = ""

    @property
    def frame_count(self) -> int:
        return len(self.cameras)

    def path(self, relative: str) -> Path:
        return self.folder / relative

    def to_json(self) -> dict[str, Any]:
        return {
            "sonic4d_bundle": BUNDLE_VERSION,
            "name": self.name,
            "frame_rate": str(self.frame_rate),
            "frame_count": self.frame_count,
            "intrinsics": self.intrinsics.to_json(),
            "cameras": self.cameras.tolist(),
            "metric": self.metric,
            "metres_per_unit": self.metres_per_unit,
            "depth": self.depth_info,
            "has_background": self.has_background,
            "sources": [source.to_json() for source in self.sources],
            "room": self.room.to_json(),
            "provenance": [vars(expert) for expert in self.provenance],
            "warnings": list(self.warnings),
            "credits": self.credits,
        }


def _with_gaps(rows: Array) -> list[list[float] | None]:
    return [None if np.isnan(row).any() else row.tolist() for row in rows]


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise Sonic4DError(
            "bad_bundle",
            f"The scene bundle is incomplete: {path.name} is missing.",
            "Generate the scene again, or copy the whole folder.",
        )
    return path


def read_bundle(folder: Path) -> Bundle:
    """Read and validate a bundle folder. Raises `Sonic4DError` for anything missing, truncated or malformed."""
    if not (folder / BUNDLE_JSON).is_file():
        what = f"There is no scene bundle {folder}"
        if folder.is_dir():
            what = f"{folder} is no scene bundle: it has no {BUNDLE_JSON}"
        raise Sonic4DError(
            "missing_bundle",
            f"{what}.",
            f"Give a folder NAME{SUFFIX} that `sonic4d generate` made.",
        )
    keys = (
        "name",
        "frame_rate",
        "frame_count",
        "intrinsics",
        "cameras",
        "metric",
        "metres_per_unit",
        "depth",
        "has_background",
        "sources",
        "room",
        "provenance",
        "warnings",
        "credits",
    )
    data = read_json(folder / BUNDLE_JSON, "a scene bundle")
    data = checks.fields(data, BUNDLE_JSON, ("sonic4d_bundle", *keys))
    if data["sonic4d_bundle"] != BUNDLE_VERSION:
        raise Sonic4DError(
            "bad_version",
            f"The scene bundle has version {str(data['sonic4d_bundle'])[:20]}; this Sonic4D reads "
            f"version {BUNDLE_VERSION}.",
            "Update Sonic4D, or generate the scene again.",
        )
    n = checks.integer(data["frame_count"], "frame_count", 1, MAX_FRAMES)
    has_background = checks.boolean(data["has_background"], "has_background")
    for relative in (SOURCE_VIDEO, DEPTH):
        _existing(folder / relative)
    for relative in [*map(cloud_file, range(n)), *[BACKGROUND] * has_background]:
        check_ply(_existing(folder / relative))
    sources = data["sources"]
    if not isinstance(sources, list) or len(sources) > MAX_SOURCES:
        raise checks.fail("sources", f"a list of at most {MAX_SOURCES} sources is expected")
    cameras = checks.array(data["cameras"], "cameras", (n, 4, 4))
    return Bundle(
        folder=folder,
        name=checks.text(data["name"], "name"),
        frame_rate=checks.frame_rate(data["frame_rate"], "frame_rate"),
        intrinsics=Intrinsics.from_json(data["intrinsics"], "intrinsics"),
        cameras=checks.pose(cameras, "cameras"),
        metric=checks.boolean(data["metric"], "metric"),
        metres_per_unit=checks.number(data["metres_per_unit"], "metres_per_unit", 1e-9, 1e9),
        depth_info=_depth_info(data["depth"]),
        has_background=has_background,
        sources=tuple(
            SourceTrack.from_json(source, n, folder, f"sources[{i}]")
            for i, source in enumerate(sources)
        ),
        room=Room.from_json(data["room"], "room"),
        provenance=tuple(_expert(entry) for entry in _list(data["provenance"], "provenance")),
        warnings=tuple(
            checks.text(entry, "warnings") for entry in _list(data["warnings"], "warnings")
        ),
        credits=checks.text(data["credits"], "credits", allow_empty=True),
    )


def _list(data: Any, where: str) -> list[Any]:
    if not isinstance(data, list):
        raise checks.fail(where, "a list is expected here")
    return data


def _expert(data: Any) -> Expert:
    data = checks.fields(data, "provenance", tuple(Expert.__dataclass_fields__))
    if not all(isinstance(value, str) for value in data.values()):
        raise checks.fail("provenance", "texts are expected")
    return Expert(**data)


def _depth_info(data: Any) -> dict[str, Any]:
    checks.fields(data, "depth", ("approximate", "move_limit_deg", "assumptions"))
    checks.boolean(data["approximate"], "depth.approximate")
    if data["move_limit_deg"] is not None:
        checks.number(data["move_limit_deg"], "depth.move_limit_deg", 0, 360)
    return data


def write_bundle_json(bundle: Bundle) -> None:
    """Write bundle.json into `bundle.folder`; all other files must be there already."""
    write_json(bundle.folder / BUNDLE_JSON, bundle.to_json())
