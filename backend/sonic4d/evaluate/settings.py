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
        wanted = checks.text(data["scenes"], "scenes").split(",") if data.get("scenes") else []
        chosen = tuple(checks.text(name.strip(), "scenes", known) for name in wanted)
        blender = checks.text(data["blender"], "blender") if data.get("blender") else ""
        return cls(Path(checks.text(data["output"], "output")), blender, chosen)
