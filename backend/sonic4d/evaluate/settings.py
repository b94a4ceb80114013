"""Settings of the evaluation's jobs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .. import checks
from .ground_truth.scenes import scenes


@dataclass(frozen=True)
class MakeSetSettings:
    """`blender`: Blender's program, or a Python that has bpy; else $BLENDER, else blender on the PATH. `scenes`: names of those
    to make; all where it is empty."""

    output: Path
    blender: str = ""
    scenes: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: Any) -> MakeSetSettings:
        """`scenes` comes as one text, joined by commas."""
        names = tuple(entry.name for entry in fields(cls))
        data = checks.fields(data, "make-set job", ("output",), names)
        known = tuple(scene.name for scene in scenes())
        chosen = _names(data.get("scenes", ""), known)
        blender = checks.text(data.get("blender", ""), "blender", allow_empty=True)
        return cls(Path(checks.text(data["output"], "output")), blender, chosen)


@dataclass(frozen=True)
class EvaluateSettings:
    """`set`: a ground-truth set; `output`: the folder to make; `scenes`: names of those to take, all where it is empty."""

    set: Path
    output: Path
    scenes: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: Any) -> EvaluateSettings:
        """`scenes` comes as one text, joined by commas."""
        data = checks.fields(data, "evaluate job", ("set", "output"), ("scenes",))
        paths = (Path(checks.text(data[key], key)) for key in ("set", "output"))
        return cls(*paths, _names(data.get("scenes", "")))


@dataclass(frozen=True)
class StarssSettings:
    """`folder`: a copy of STARSS23; `output`: the folder to make; `limit`: how many clips at most."""

    folder: Path
    output: Path
    limit: int = 100

    @classmethod
    def from_json(cls, data: Any) -> StarssSettings:
        data = checks.fields(data, "starss23 job", ("folder", "output"), ("limit",))
        paths = (Path(checks.text(data[key], key)) for key in ("folder", "output"))
        return cls(*paths, checks.integer(data.get("limit", cls.limit), "limit", 1, 100_000))


@dataclass(frozen=True)
class ListenSettings:
    """`audio`: AmbiX of first order or more; `weights`: of DCASE2024's SELDnet; `output`: the label file to write."""

    audio: Path
    weights: Path
    output: Path

    @classmethod
    def from_json(cls, data: Any) -> ListenSettings:
        names = tuple(entry.name for entry in fields(cls))
        data = checks.fields(data, "listen job", names)
        return cls(*(Path(checks.text(data[name], name)) for name in names))


def _names(text: Any, known: tuple[str, ...] | None = None) -> tuple[str, ...]:
    names = checks.text(text, "scenes", allow_empty=True).split(",")
    return tuple(checks.text(name.strip(), "scenes", known) for name in names if name.strip())
