"""What is true of a scene of a ground-truth set, as it lies on disk.

A set is a folder with set.json and a folder per scene: truth.json, clip.mp4 (the picture, with the sum of the dry sounds as its
track), depth.npz ("depth_m" (n_frames, H, W), along the viewing axis in metres, NaN where there is only sky), audio/NAME.wav, the
dry mono sounds, and, where pyroomacoustics was there, reference.wav: what two microphones at the camera hear by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ... import checks
from ...geometry.cameras import Intrinsics
from ...room import Room
from ...shot import read_json
from ..seld_labels import FRAME_S, Event, Labels

Array = npt.NDArray[np.float64]

TRUTH_VERSION = 1
CLIP, DEPTH, TRUTH, SET, REFERENCE = (
    "clip.mp4",
    "depth.npz",
    "truth.json",
    "set.json",
    "reference.wav",
)


@dataclass(frozen=True)
class TrueSource:
    """`audio` is relative to the scene's folder; positions (n_frames, 3) world; boxes (n_frames, 4) in pixels x0, y0, x1, y1
    of the whole body as if nothing stood before it, NaN where it is out of the picture."""

    name: str
    class_index: int
    audio: str
    positions: Array
    boxes: Array


@dataclass(frozen=True)
class Truth:
    """cameras (n_frames, 4, 4): camera-to-world."""

    folder: Path
    name: str
    about: str
    frame_rate: Fraction
    camera: Intrinsics
    cameras: Array
    room: Room
    sources: tuple[TrueSource, ...]

    @property
    def frame_count(self) -> int:
        return len(self.cameras)

    def to_json(self) -> dict[str, Any]:
        return {
            "sonic4d_truth": TRUTH_VERSION,
            "name": self.name,
            "about": self.about,
            "frame_rate": str(self.frame_rate),
            "camera": self.camera.to_json(),
            "cameras": self.cameras.tolist(),
            "room": self.room.to_json(),
            "sources": [
                {
                    "name": source.name,
                    "class_index": source.class_index,
                    "audio": source.audio,
                    "positions": source.positions.tolist(),
                    "boxes": [
                        None if np.isnan(box).any() else box.tolist() for box in source.boxes
                    ],
                }
                for source in self.sources
            ],
        }


def read_set(folder: Path) -> list[Truth]:
    """The scenes of a set in their order. Raises `Sonic4DError` naming the key that is wrong."""
    data = checks.fields(
        read_json(folder / SET, "a ground-truth set"), SET, ("sonic4d_truth_set", "scenes")
    )
    names = data["scenes"]
    if not isinstance(names, list) or not 1 <= len(names) <= 10_000:
        raise checks.fail(f"{SET}: scenes", "a list of names is expected")
    return [
        read_truth(checks.inside(folder, checks.text(name, "scenes"), "scenes")) for name in names
    ]


def read_truth(folder: Path) -> Truth:
    """Read and validate truth.json. Raises `Sonic4DError` naming the key."""
    keys = ("name", "about", "frame_rate", "camera", "cameras", "room", "sources")
    data = checks.fields(read_json(folder / TRUTH, "a truth"), TRUTH, ("sonic4d_truth", *keys))
    if data["sonic4d_truth"] != TRUTH_VERSION:
        raise checks.fail(TRUTH, f"version {data['sonic4d_truth']!r} is not {TRUTH_VERSION}")
    cameras, sources = data["cameras"], data["sources"]
    if not isinstance(cameras, list) or not 1 <= len(cameras) <= 100_000:
        raise checks.fail("cameras", "a list of poses is expected")
    if not isinstance(sources, list) or not 1 <= len(sources) <= 256:
        raise checks.fail("sources", "a list of sources is expected")
    n = len(cameras)
    return Truth(
        folder=folder,
        name=checks.text(data["name"], "name"),
        about=checks.text(data["about"], "about"),
        frame_rate=checks.frame_rate(data["frame_rate"], "frame_rate"),
        camera=Intrinsics.from_json(data["camera"], "camera"),
        cameras=checks.pose(checks.array(cameras, "cameras", (n, 4, 4)), "cameras"),
        room=Room.from_json(data["room"], "room"),
        sources=tuple(
            _source(source, n, folder, f"sources[{i}]") for i, source in enumerate(sources)
        ),
    )


def _source(data: Any, n: int, folder: Path, where: str) -> TrueSource:
    keys = ("name", "class_index", "audio", "positions", "boxes")
    data = checks.fields(data, where, keys)
    audio = checks.text(data["audio"], f"{where}.audio")
    checks.inside(folder, audio, f"{where}.audio")
    return TrueSource(
        checks.text(data["name"], f"{where}.name"),
        checks.integer(data["class_index"], f"{where}.class_index", 0, 999),
        audio,
        checks.array(data["positions"], f"{where}.positions", (n, 3)),
        checks.array(data["boxes"], f"{where}.boxes", (n, 4), gaps=True),
    )


def labels(positions: list[tuple[int, Array]], cameras: Array, frame_rate: Fraction) -> Labels:
    """SELD labels of sources as seen from the cameras (n_frames, 4, 4): a class index and positions (n_frames, 3) of each.

    In DCASE's axes: azimuth counter-clockwise from where the camera looks, elevation up. A label takes the frame at its
    middle; where a position is NaN there is none. The metric takes a recording to end before the last labelled frame, so
    that one label more is added.
    """
    rate = 1 / Fraction(FRAME_S).limit_denominator(1000)
    count = int(len(cameras) / frame_rate * rate)
    found: Labels = {}
    for track, (class_index, places) in enumerate(positions):
        for frame in range(count):
            index = min(int((frame + Fraction(1, 2)) / rate * frame_rate), len(cameras) - 1)
            if np.isfinite(places[index]).all():
                event = _event(class_index, track, places[index], cameras[index])
                found.setdefault(frame, []).append(event)
    found[count] = [Event(index, track, 0, 0, 1) for track, (index, _) in enumerate(positions)]
    return found


def _event(class_index: int, track: int, place: Array, pose: Array) -> Event:
    right, up, back = pose[:3, :3].T @ (place - pose[:3, 3])
    azimuth, elevation = np.arctan2(-right, -back), np.arctan2(up, np.hypot(right, back))
    distance = float(np.linalg.norm([right, up, back]))
    return Event(
        class_index, track, float(np.degrees(azimuth)), float(np.degrees(elevation)), distance
    )
