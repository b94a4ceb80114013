"""A part of a source's track once more, from a place that the user showed (`sonic4d retrack`).

A bundle is immutable: the new part goes into a file of its own, and Blender keys the source by it.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import checks
from .bundle import DEPTH, SOURCE_VIDEO, Bundle, SourceTrack, read_bundle
from .files import write_json
from .monitor import Monitor
from .protocol import Sonic4DError

DIRECTIONS = ("forward", "backward", "both")
TRACK_VERSION = 1
MAX_HEIGHT_PX = 8640

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RetrackSettings:
    """`source`: its name. `frame`: of the bundle, from 0. Where the source is on it: `point`, fractions of the picture from
    the upper left, or `position`, metres in the bundle's axes. `direction`: which frames are tracked from there.
    """

    bundle: Path
    source: str
    output: Path
    frame: int
    point: tuple[float, float] | None = None
    position: tuple[float, float, float] | None = None
    direction: str = "forward"

    @classmethod
    def from_json(cls, data: Any) -> RetrackSettings:
        names = tuple(entry.name for entry in fields(cls))
        required = ("bundle", "source", "output", "frame")
        data = dict(checks.fields(data, "retrack job", required, names))
        data = {key: value for key, value in data.items() if value is not None}
        for key in ("bundle", "output"):
            data[key] = Path(checks.text(data[key], key))
        data["source"] = checks.text(data["source"], "source")
        data["frame"] = checks.integer(data["frame"], "frame", 0, 10**9)
        data["direction"] = checks.text(data.get("direction", "forward"), "direction", DIRECTIONS)
        for key, count in (("point", 2), ("position", 3)):
            if key in data:
                data[key] = tuple(checks.array(data[key], key, (count,)).tolist())
        if ("point" in data) == ("position" in data):
            raise checks.fail("retrack job", 'give "point" or "position"')
        return cls(**data)


def retrack(settings: RetrackSettings, monitor: Monitor) -> Path:
    """Write the new part as JSON: "first" (its first frame), and "positions" (n, 3), "confidence" (n,) and "filled" (n,) as in
    a bundle. Returns the file. Raises `Sonic4DError`.
    """
    monitor.progress("loading", 0, 1)
    from .media.video import read_clip
    from .sources.tracking import track_box
    from .sources.trajectory import trajectory

    bundle = read_bundle(settings.bundle)
    track = next((track for track in bundle.sources if track.name == settings.source), None)
    if track is None or settings.frame >= bundle.frame_count:
        raise Sonic4DError(
            "bad_option",
            f"frame: {settings.bundle.name} has no frame {settings.frame} of a source {settings.source}.",
            "Choose another frame.",
        )
    first, end = 0, bundle.frame_count
    if settings.direction == "forward":
        first = settings.frame
    elif settings.direction == "backward":
        end = settings.frame + 1
    clip = read_clip(
        bundle.path(SOURCE_VIDEO),
        max_frames=bundle.frame_count,
        height=MAX_HEIGHT_PX,
        monitor=monitor,
    )
    index = settings.frame - first
    frames = clip.frames[first:end]
    box = _box_at(settings, bundle, track, frames[index])
    boxes, confidence = track_box(frames, tuple(box), index, monitor)
    part = trajectory(
        boxes, _depth_m(bundle)[first:end], bundle.intrinsics, bundle.cameras[first:end]
    )
    result = {
        "sonic4d_track": TRACK_VERSION,
        "source": track.name,
        "first": first,
        "positions": part.positions.tolist(),
        "confidence": confidence.tolist(),
        "filled": part.filled.tolist(),
    }
    write_json(settings.output, result)
    monitor.artifact("track", settings.output)
    return settings.output


def _depth_m(bundle: Bundle) -> npt.NDArray[np.float32]:
    """(n, H, W) in metres. Raises `Sonic4DError` where the file isn't whole."""
    try:
        with np.load(bundle.path(DEPTH), allow_pickle=False) as file:
            depth = file["depth_m"].astype(np.float32)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        depth = np.empty(0)
    if depth.ndim != 3 or len(depth) != bundle.frame_count:
        raise Sonic4DError(
            "bad_bundle",
            f"The depth of {bundle.folder.name} is damaged.",
            "Copy the whole folder again, or generate the scene again.",
        )
    return depth


def _box_at(
    settings: RetrackSettings, bundle: Bundle, track: SourceTrack, picture: npt.NDArray[np.uint8]
) -> Array:
    """As large as the source was in the nearest frames that show it; else around what is at the place."""
    from .geometry.cameras import project
    from .sources.click import box_around

    place = settings.point
    if place is None:
        k = bundle.intrinsics
        point = np.array(settings.position)
        u, v, depth = project(point, k, bundle.cameras[settings.frame])
        place = (float(u / k.width), float(v / k.height))
        if depth <= 0:
            place = (-1.0, -1.0)
    if not all(0 <= share < 1 for share in place):
        raise Sonic4DError(
            "outside_picture",
            "The source is outside the picture at this frame.",
            "Place it where the video shows it, or click it.",
        )
    seen = np.flatnonzero(np.isfinite(track.boxes).all(axis=1))
    if not len(seen):
        return box_around(picture, place)[0]
    near = seen[np.argsort(np.abs(seen - settings.frame))[:9]]
    half = np.median(track.boxes[near, 2:] - track.boxes[near, :2], axis=0) / 2
    return np.clip(np.concatenate([place - half, place + half]), 0, 1)
