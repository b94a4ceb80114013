"""The acoustic room: a shoebox turned about the vertical, a half space above the ground, or open air."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from . import checks
from .materials import MATERIALS
from .materials import WALLS as NAMES

Array = npt.NDArray[np.float64]
KINDS = ("shoebox", "half_space", "free_field")
MARGIN_M = 0.5
# At 0 and at the room's size along each of its own axes.
WALLS = tuple(zip(NAMES[::2], NAMES[1::2], strict=True))
ALL_WALLS = "all"


@dataclass(frozen=True)
class Room:
    """`center` and `size` in metres (world axes, size before the turn by `yaw_deg` about +Z), `rt60_s` in seconds.

    `materials` names what walls are made of: of each of `WALLS`, or of "all" others. With them `rt60_s` may be None:
    the materials then make the reverberation time; else they tell how the walls share the absorption that it takes.
    Of a half space only the floor counts: the plane z = center.z - size.z / 2.
    """

    kind: str
    center: tuple[float, float, float]
    size: tuple[float, float, float]
    yaw_deg: float
    rt60_s: float | None
    materials: dict[str, str] | None = None

    def absorption(self) -> Array | None:
        """Absorption coefficients (3, 2, 8) of the `WALLS` in octave bands (`materials`); None without materials."""
        if self.materials is None:
            return None
        names = [
            [self.materials.get(wall, self.materials.get(ALL_WALLS, "open")) for wall in axis]
            for axis in WALLS
        ]
        return np.array([[MATERIALS[name].absorption for name in axis] for axis in names])

    @property
    def axes(self) -> Array:
        """The directions of the box's edges in the world: columns (3, 3)."""
        turn = math.radians(self.yaw_deg)
        c, s = math.cos(turn), math.sin(turn)
        return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])

    def to_local(self, points: Array) -> Array:
        """World points (..., 3) -> coordinates with a corner of the box at the origin and its edges along the axes."""
        return (points - np.array(self.center)) @ self.axes + np.array(self.size) / 2

    def to_world(self, points: Array) -> Array:
        """The inverse of `to_local`."""
        return (points - np.array(self.size) / 2) @ self.axes.T + np.array(self.center)

    def containing(self, points: Array, margin_m: float = MARGIN_M) -> Room:
        """The room, grown where needed so that world points (n, 3) lie at least `margin_m` inside. The floor may go down."""
        local = self.to_local(points)
        low = np.minimum(local.min(axis=0) - margin_m, 0)
        high = np.maximum(local.max(axis=0) + margin_m, self.size)
        if not low.any() and (high == self.size).all():
            return self
        center = np.array(self.center) + self.axes @ ((low + high - np.array(self.size)) / 2)
        return replace(self, center=tuple(center.tolist()), size=tuple((high - low).tolist()))

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "center": list(self.center),
            "size": list(self.size),
            "yaw_deg": self.yaw_deg,
            "rt60_s": self.rt60_s,
            "materials": self.materials,
        }

    @classmethod
    def from_json(cls, data: Any, where: str) -> Room:
        keys = ("kind", "center", "size", "yaw_deg", "rt60_s")
        data = checks.fields(data, where, keys, ("materials",))
        size = checks.array(data["size"], f"{where}.size", (3,))
        if (size < 0.1).any() or (size > 2000).any():
            raise checks.fail(f"{where}.size", "each side must be 0.1 to 2000 metres long")
        kind = checks.text(data["kind"], f"{where}.kind", KINDS)
        materials = _materials_from_json(data.get("materials"), kind, f"{where}.materials")
        rt60_s = data["rt60_s"]
        if rt60_s is not None:
            rt60_s = checks.number(rt60_s, f"{where}.rt60_s", 0, 20)
        elif kind == "shoebox" and materials is None:
            raise checks.fail(f"{where}.rt60_s", "null is only possible with materials")
        return cls(
            kind,
            tuple(checks.array(data["center"], f"{where}.center", (3,)).tolist()),
            tuple(size.tolist()),
            checks.number(data["yaw_deg"], f"{where}.yaw_deg", -3600, 3600),
            rt60_s,
            materials,
        )


def _materials_from_json(data: Any, kind: str, where: str) -> dict[str, str] | None:
    if data is None:
        return None
    walls = tuple(wall for axis in WALLS for wall in axis)
    data = checks.fields(data, where, (), (ALL_WALLS, *walls))
    for wall, name in data.items():
        checks.text(name, f"{where}.{wall}", tuple(MATERIALS))
    needed = {"shoebox": walls, "half_space": ("floor",), "free_field": ()}[kind]
    missing = [wall for wall in needed if wall not in data]
    if missing and ALL_WALLS not in data:
        raise checks.fail(
            where,
            f'the material of {", ".join(missing)} is missing; "{ALL_WALLS}" names all others',
        )
    return dict(data)


def fit_room(points: Array, trajectories: Array, rt60_s: float) -> Room:
    """A shoebox around the bulk of the cloud (n, 3) and all of the trajectories (m, 3), with a margin.

    The floor lies at the cloud's lowest points. Single far points (sky, stray pixels) don't count: each side is
    at the 2nd and 98th percentile of the cloud.
    """
    low, high = np.percentile(points, (2, 98), axis=0)
    low[2] = np.percentile(points[:, 2], 0.5)
    box = Room(
        "shoebox",
        tuple(((low + high) / 2).tolist()),
        tuple(np.maximum(high - low, 1.0).tolist()),
        0.0,
        rt60_s,
    )
    return box.containing(trajectories)
