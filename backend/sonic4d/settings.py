"""What `generate` is asked to do: the options of a job, validated."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from . import checks
from .experts.store import parse_overrides
from .room import KINDS

AUDIO_VIEWS = ("picture", "source")
DEPTH_KINDS = ("metric", "inverse")
DEPTH_UNITS = ("auto", "metres", "trajectorycrafter")
ROOMS = ("auto", *KINDS)


@dataclass(frozen=True)
class Mark:
    """A place in the clip: pixels of the upright picture in the clip's own resolution, from its upper left corner (x, y or
    x0, y0, x1, y1), on a frame counted from 0 at `start_s`, at the bundle's frame rate."""

    pixels: tuple[float, ...]
    frame: int = 0

    @classmethod
    def from_json(cls, data: Any, where: str, count: int) -> Mark:
        """{"pixels": [...], "frame": 0} or the text "X,Y@FRAME"."""
        if isinstance(data, str):
            numbers, _, frame = data.partition("@")
            try:
                pixels = [float(number) for number in numbers.split(",")]
                data = {"pixels": pixels, "frame": int(frame or 0)}
            except ValueError:
                raise checks.fail(
                    where, f'"X,Y" or "X,Y@FRAME" is expected, not "{data}"'
                ) from None
        data = checks.fields(data, where, ("pixels",), ("frame",))
        pixels = checks.array(data["pixels"], f"{where}.pixels", (count,))
        if count == 4 and (pixels[2:] <= pixels[:2]).any():
            raise checks.fail(where, "the upper left corner comes first, then the lower right")
        frame = checks.integer(data.get("frame", 0), f"{where}.frame", 0, 10**9)
        return cls(tuple(pixels.tolist()), frame)


@dataclass(frozen=True)
class GenerateSettings:
    """What `generate` makes of which video.

    audio: "track", "mmaudio" or one of its sizes, which make a sound, or the path of a sound file, which begins where the video
    file begins. audio_prompt, audio_negative_prompt, seed: of a sound that is made; audio_view: "picture", or "source" for a
    sound for each source, of what is seen around it. depth: "auto", "geometric", a depth model (`experts.catalogue`), or the
    path of depth maps (`scene.depth_maps`) with depth_kind and depth_scale.
    depth_units: of a model that knows no unit. fov_deg: horizontal field of view; None: by the metadata, else 60.
    metres_per_unit: multiplies all lengths. max_points: of one frame. sound_source: what sounds, several
    things separated by ";". grounding: "auto", "motion" or a grounding model; tracker: "auto", "csrt" or a tracking model;
    keyframe_step: the grounding model is asked about every such frame at least; None: as often as it is worth it. model: local
    folders of models, "NAME=PATH" each. patch, dbscan_eps (metres), dbscan_min_samples: see `sources.trajectory`. room: what
    surrounds the sound; "auto" is the ground alone under an open sky, else a shoebox.
    """

    video: Path
    output: Path
    start_s: float = 0.0
    duration_s: float | None = None
    max_frames: int = 300
    height: int = 360
    audio: str = "track"
    audio_prompt: str | None = None
    audio_negative_prompt: str | None = None
    audio_view: str = "picture"
    seed: int = 42
    depth: str = "auto"
    depth_kind: str = "metric"
    depth_scale: float = 1000.0
    depth_units: str = "auto"
    fov_deg: float | None = None
    eye_height_m: float = 1.6
    metres_per_unit: float | None = None
    max_points: int = 200_000
    grounding: str = "auto"
    tracker: str = "auto"
    keyframe_step: int | None = None
    point: Mark | None = None
    box: Mark | None = None
    sound_source: str | None = None
    patch: int = 5
    dbscan_eps: float | None = None
    dbscan_min_samples: int | None = None
    room: str = "auto"
    rt60_s: float = 0.5
    name: str | None = None
    credits: str = ""
    model: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: Any) -> GenerateSettings:
        """Raises `Sonic4DError` that names the key. Null stands for the default."""
        names = tuple(entry.name for entry in fields(cls))
        data = checks.fields(data, "generate job", ("video", "output"), names)
        data = {key: value for key, value in data.items() if value is not None}
        numbers = {
            "start_s": (0, 1e7),
            "duration_s": (1e-3, 1e7),
            "depth_scale": (1e-9, 1e9),
            "fov_deg": (1, 170),
            "eye_height_m": (0.01, 1000),
            "metres_per_unit": (1e-6, 1e6),
            "dbscan_eps": (1e-6, 1e6),
            "rt60_s": (0, 20),
        }
        integers = {
            "max_frames": (1, 100_000),
            "height": (32, 8640),
            "max_points": (1, 100_000_000),
            "patch": (1, 999),
            "dbscan_min_samples": (1, 100_000),
            "keyframe_step": (1, 100_000),
            "seed": (0, 2**63 - 1),
        }
        may_be_empty = ("credits", "audio_prompt", "audio_negative_prompt")
        choices = {
            "audio_view": AUDIO_VIEWS,
            "depth_kind": DEPTH_KINDS,
            "depth_units": DEPTH_UNITS,
            "room": ROOMS,
        }
        for key, value in data.items():
            if key in numbers:
                data[key] = checks.number(value, key, *numbers[key])
            elif key in integers:
                data[key] = checks.integer(value, key, *integers[key])
            elif key in ("point", "box"):
                data[key] = Mark.from_json(value, key, 2 if key == "point" else 4)
            elif key == "model":
                data[key] = _overrides(value)
            else:
                data[key] = checks.text(
                    value, key, choices.get(key), allow_empty=key in may_be_empty
                )
        if data.get("patch", 1) % 2 == 0:
            raise checks.fail("patch", "the number of pixels must be odd")
        if "point" in data and "box" in data:
            raise checks.fail("generate job", 'give "point" or "box", not both')
        return cls(**{**data, "video": Path(data["video"]), "output": Path(data["output"])})


def _overrides(data: Any) -> tuple[str, ...]:
    if not isinstance(data, list):
        raise checks.fail("model", 'a list of "NAME=PATH" is expected')
    texts = tuple(checks.text(entry, "model") for entry in data)
    parse_overrides(texts)
    return texts
