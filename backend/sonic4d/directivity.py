"""How a source radiates: named patterns, and the cone of Blender's speakers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import checks

PATTERNS = (
    "omni",
    "subcardioid",
    "cardioid",
    "supercardioid",
    "hypercardioid",
    "figure_of_eight",
    "voice",
)


@dataclass(frozen=True)
class Directivity:
    """A pattern of `PATTERNS`, or "cone": full level within `inner_deg` (whole angle), `outer_gain` (0 to 1) beyond
    `outer_deg`, linear in the angle between, as Blender's Speaker has it."""

    pattern: str = "omni"
    inner_deg: float = 360.0
    outer_deg: float = 360.0
    outer_gain: float = 1.0

    def to_json(self) -> Any:
        if self.pattern != "cone":
            return self.pattern
        return dict(vars(self))

    @classmethod
    def from_json(cls, data: Any, where: str) -> Directivity:
        """A pattern's name, or an object with the pattern "cone" and its angles."""
        if isinstance(data, str):
            return cls(checks.text(data, where, PATTERNS))
        keys = ("pattern", "inner_deg", "outer_deg", "outer_gain")
        data = checks.fields(data, where, keys)
        checks.text(data["pattern"], f"{where}.pattern", ("cone",))
        inner_deg = checks.number(data["inner_deg"], f"{where}.inner_deg", 0, 360)
        return cls(
            "cone",
            inner_deg,
            checks.number(data["outer_deg"], f"{where}.outer_deg", inner_deg, 360),
            checks.number(data["outer_gain"], f"{where}.outer_gain", 0, 1),
        )


OMNI = Directivity()
