"""The shot: listener, sources, room and render settings, to and from shot.json."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import checks
from .directivity import OMNI, Directivity
from .occluders import Occluder, occluders_from_json
from .protocol import Sonic4DError
from .room import Room

Array = npt.NDArray[np.float64]

SHOT_VERSION = 1
MODES = ("paper", "fast", "hifi")
FORMATS = ("binaural", "stereo", "ambix1", "ambix2", "ambix3", "5.1", "7.1.4", "adm")
ENGINES = ("native", "gpurir", "auto")
CONVENTIONS = ("gpurir", "positive")
SAMPLE_FORMATS = ("float", "pcm24", "pcm16")
MAX_REFLECTION_ORDER = 6
NORMALIZE_KINDS = ("loudness", "peak", "none")
MAX_FRAMES = 1_000_000
MAX_SOURCES = 256
PITCHES = (0.1, 10.0)
MAX_ENVELOPE = 1e4
MAX_FILE_BYTES = 1 << 30


@dataclass(frozen=True)
class ShotSource:
    """One sounding object. `audio` is relative to the shot's folder; positions (n_frames, 3) in metres, world axes;
    orientations (n_frames, 4) unit quaternions w, x, y, z, object to world, or None for the world's own axes: a source
    radiates along its -Z, with +Y up, as Blender's speakers and cameras do. With `loop` the sound repeats from
    `start_s` on without end. `pitch`: how many times faster it is played, and so higher. `envelope` (n_frames,): its gain
    at each frame, linear between. `heard_s`: it sounds only between these times of the shot."""

    name: str
    audio: str
    positions: Array
    orientations: Array | None = None
    gain_db: float = 0.0
    start_s: float = 0.0
    loop: bool = False
    directivity: Directivity = OMNI
    pitch: float = 1.0
    envelope: Array | None = None
    heard_s: tuple[float, float] | None = None


@dataclass(frozen=True)
class Normalize:
    """How the finished audio is levelled: to a loudness (LUFS, true peak in dBTP), to full scale, or not at all."""

    kind: str = "peak"
    lufs: float = -16.0
    true_peak_dbtp: float = -1.0


@dataclass(frozen=True)
class RenderSettings:
    """`segments` is "per_frame" or the number M of equation 7.

    Of the paper's mode: `convention`, the sign of reflections ("gpurir": negative); `tdiff_s`, when its image sources
    hand over to a diffuse tail (None: never). Of the hifi mode: `reflection_order`, up to which reflections are
    rendered one by one. `sample_format` is the file's; `stems` asks for a file per source beside it.
    """

    mode: str = "hifi"
    format: str = "binaural"
    sample_rate: int = 48000
    hrtf: str = "kemar"
    mic_spacing_m: float = 0.175
    segments: str | int = "per_frame"
    normalize: Normalize = field(default_factory=Normalize)
    tail: bool = False
    seed: int = 0
    engine: str = "native"
    convention: str = "gpurir"
    tdiff_s: float | None = None
    reflection_order: int = 3
    sample_format: str = "float"
    stems: bool = False


@dataclass(frozen=True)
class Shot:
    """`listener_poses`: (n_frames, 4, 4) camera-to-world, one per frame. `folder`: what audio paths are relative to.
    `occluders` stand still and weaken what passes through them."""

    name: str
    frame_rate: Fraction
    frame_start: int
    frame_end: int
    listener_poses: Array
    sources: tuple[ShotSource, ...]
    room: Room
    render: RenderSettings
    folder: Path
    occluders: tuple[Occluder, ...] = ()

    @property
    def frame_count(self) -> int:
        return self.frame_end - self.frame_start + 1

    @property
    def sample_count(self) -> int:
        """Length of the shot's audio without the reverberation tail."""
        return round(self.frame_count / self.frame_rate * self.render.sample_rate)

    def to_json(self) -> dict[str, Any]:
        return {
            "sonic4d_shot": SHOT_VERSION,
            "name": self.name,
            "frame_rate": str(self.frame_rate),
            "frame_start": self.frame_start,
            "frame_end": self.frame_end,
            "listener": {"poses": self.listener_poses.tolist()},
            "sources": [_source_to_json(source) for source in self.sources],
            "room": self.room.to_json(),
            "occluders": [occluder.to_json() for occluder in self.occluders],
            "render": {
                **{key: getattr(self.render, key) for key in _RENDER_KEYS if key != "normalize"},
                "normalize": vars(self.render.normalize),
            },
        }


_RENDER_KEYS = tuple(RenderSettings.__dataclass_fields__)
_SOURCE_KEYS = tuple(ShotSource.__dataclass_fields__)


def _source_to_json(source: ShotSource) -> dict[str, Any]:
    data = {key: getattr(source, key) for key in _SOURCE_KEYS}
    data["positions"] = source.positions.tolist()
    data["orientations"] = None if source.orientations is None else source.orientations.tolist()
    data["directivity"] = source.directivity.to_json()
    data["envelope"] = None if source.envelope is None else source.envelope.tolist()
    data["heard_s"] = None if source.heard_s is None else list(source.heard_s)
    return data


def _source_from_json(data: Any, frame_count: int, folder: Path, where: str) -> ShotSource:
    data = checks.fields(data, where, ("name", "audio", "positions"), _SOURCE_KEYS)
    orientations = data.get("orientations")
    if orientations is not None:
        orientations = checks.array(orientations, f"{where}.orientations", (frame_count, 4))
        length = np.linalg.norm(orientations, axis=1, keepdims=True)
        if (abs(length - 1) > 1e-3).any():
            raise checks.fail(f"{where}.orientations", "unit quaternions (w, x, y, z) are expected")
        orientations = orientations / length
    audio = checks.text(data["audio"], f"{where}.audio")
    checks.inside(folder, audio, f"{where}.audio")
    return ShotSource(
        name=checks.text(data["name"], f"{where}.name"),
        audio=audio,
        positions=checks.array(data["positions"], f"{where}.positions", (frame_count, 3)),
        orientations=orientations,
        gain_db=checks.number(data.get("gain_db", 0.0), f"{where}.gain_db", -200, 200),
        start_s=checks.number(data.get("start_s", 0.0), f"{where}.start_s", -1e6, 1e6),
        loop=checks.boolean(data.get("loop", False), f"{where}.loop"),
        directivity=Directivity.from_json(data.get("directivity", "omni"), f"{where}.directivity"),
        pitch=checks.number(data.get("pitch", 1.0), f"{where}.pitch", *PITCHES),
        envelope=_envelope_from_json(data.get("envelope"), frame_count, f"{where}.envelope"),
        heard_s=_heard_from_json(data.get("heard_s"), f"{where}.heard_s"),
    )


def _envelope_from_json(data: Any, frame_count: int, where: str) -> Array | None:
    if data is None:
        return None
    envelope = checks.array(data, where, (frame_count,))
    if (envelope < 0).any() or (envelope > MAX_ENVELOPE).any():
        raise checks.fail(where, f"gains from 0 to {MAX_ENVELOPE:g} are expected")
    return envelope


def _heard_from_json(data: Any, where: str) -> tuple[float, float] | None:
    if data is None:
        return None
    first, last = checks.array(data, where, (2,)).tolist()
    return first, last


def _normalize_from_json(data: Any, where: str) -> Normalize:
    data = checks.fields(data, where, ("kind",), ("lufs", "true_peak_dbtp"))
    return Normalize(
        checks.text(data["kind"], f"{where}.kind", NORMALIZE_KINDS),
        checks.number(data.get("lufs", -16.0), f"{where}.lufs", -70, 0),
        checks.number(data.get("true_peak_dbtp", -1.0), f"{where}.true_peak_dbtp", -60, 0),
    )


def _render_from_json(data: Any, where: str) -> RenderSettings:
    data = checks.fields(data, where, (), _RENDER_KEYS)
    default = RenderSettings()
    segments = data.get("segments", default.segments)
    if segments != "per_frame":
        segments = checks.integer(segments, f"{where}.segments", 1, MAX_FRAMES)
    normalize = data.get("normalize")
    return RenderSettings(
        mode=checks.text(data.get("mode", default.mode), f"{where}.mode", MODES),
        format=checks.text(data.get("format", default.format), f"{where}.format", FORMATS),
        sample_rate=checks.integer(
            data.get("sample_rate", default.sample_rate), f"{where}.sample_rate", 8000, 192000
        ),
        hrtf=checks.text(data.get("hrtf", default.hrtf), f"{where}.hrtf"),
        mic_spacing_m=checks.number(
            data.get("mic_spacing_m", default.mic_spacing_m), f"{where}.mic_spacing_m", 0, 10
        ),
        segments=segments,
        normalize=default.normalize
        if normalize is None
        else _normalize_from_json(normalize, f"{where}.normalize"),
        tail=checks.boolean(data.get("tail", default.tail), f"{where}.tail"),
        seed=checks.integer(data.get("seed", default.seed), f"{where}.seed", 0, 2**31 - 1),
        engine=checks.text(data.get("engine", default.engine), f"{where}.engine", ENGINES),
        convention=checks.text(
            data.get("convention", default.convention), f"{where}.convention", CONVENTIONS
        ),
        tdiff_s=None
        if data.get("tdiff_s") is None
        else checks.number(data["tdiff_s"], f"{where}.tdiff_s", 0, 20),
        reflection_order=checks.integer(
            data.get("reflection_order", default.reflection_order),
            f"{where}.reflection_order",
            0,
            MAX_REFLECTION_ORDER,
        ),
        sample_format=checks.text(
            data.get("sample_format", default.sample_format),
            f"{where}.sample_format",
            SAMPLE_FORMATS,
        ),
        stems=checks.boolean(data.get("stems", default.stems), f"{where}.stems"),
    )


def shot_from_json(data: Any, folder: Path) -> Shot:
    """Validate the contents of a shot.json. Raises `Sonic4DError` naming the key."""
    keys = (
        "name",
        "frame_rate",
        "frame_start",
        "frame_end",
        "listener",
        "sources",
        "room",
        "render",
    )
    data = checks.fields(data, "shot.json", ("sonic4d_shot", *keys), ("occluders",))
    if data["sonic4d_shot"] != SHOT_VERSION:
        raise checks.fail("shot.json", f"version {data['sonic4d_shot']!r} is not {SHOT_VERSION}")
    start = checks.integer(data["frame_start"], "frame_start", -MAX_FRAMES, MAX_FRAMES)
    end = checks.integer(data["frame_end"], "frame_end", start, start + MAX_FRAMES - 1)
    count = end - start + 1
    listener = checks.fields(data["listener"], "listener", ("poses",))
    poses = checks.array(listener["poses"], "listener.poses", (count, 4, 4))
    sources = data["sources"]
    if not isinstance(sources, list) or not 1 <= len(sources) <= MAX_SOURCES:
        raise checks.fail("sources", f"a list of 1 to {MAX_SOURCES} sources is expected")
    return Shot(
        name=checks.text(data["name"], "name"),
        frame_rate=checks.frame_rate(data["frame_rate"], "frame_rate"),
        frame_start=start,
        frame_end=end,
        listener_poses=checks.pose(poses, "listener.poses"),
        sources=tuple(
            _source_from_json(source, count, folder, f"sources[{i}]")
            for i, source in enumerate(sources)
        ),
        room=Room.from_json(data["room"], "room"),
        render=_render_from_json(data["render"], "render"),
        folder=folder,
        occluders=occluders_from_json(data.get("occluders", []), folder, "occluders"),
    )


def set_value(data: dict[str, Any], assignment: str) -> None:
    """Apply one `--set render.mode=paper` to the contents of a shot.json (before validation)."""
    path, equals, text = assignment.partition("=")
    keys = path.split(".")
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = text
    target: Any = data
    for key in keys[:-1]:
        target = target.get(key) if isinstance(target, dict) else None
    if not equals or not isinstance(target, dict):
        raise Sonic4DError(
            "bad_option",
            f'"--set {assignment}" cannot be applied.',
            "Write --set render.mode=paper.",
        )
    target[keys[-1]] = value


def read_json(path: Path, what: str) -> Any:
    """The contents of a JSON file; errors in the user's words."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise Sonic4DError("bad_file", f"{path} is too large for {what}.")
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Sonic4DError("missing_file", f"There is no file {path}.", "Check the path.") from None
    except OSError as error:
        raise Sonic4DError("unreadable_file", f"{path} can't be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:  # also numbers of too many digits
        raise Sonic4DError(
            "bad_file", f"{path} is not {what}: {error}.", "Correct it and try again."
        ) from None


def read_shot(path: Path, assignments: tuple[str, ...] = ()) -> Shot:
    """Read shot.json, with `--set` assignments applied."""
    data = read_json(path, "a shot")
    for assignment in assignments:
        set_value(data, assignment)
    return shot_from_json(data, path.resolve().parent)
