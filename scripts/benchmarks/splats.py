"""How fast points become pictures."""

from __future__ import annotations

import numpy as np
from sonic4d.geometry import splat as splatting
from sonic4d.geometry.cameras import LOOKING_NORTH, Intrinsics, back_project, pitched
from sonic4d.scene.depth import Points

from .task import Table, measured

_FRAMES = 20


def splat() -> list[Table]:
    """Equation 2: 590k points as z-buffered splats at 1024 x 576."""
    k = Intrinsics.from_horizontal_fov(1024, 576, 60)
    v, u = np.mgrid[: k.height, : k.width]
    depth_m = 4 + np.sin(u / 50) + np.cos(v / 40)
    xyz = back_project(u + 0.5, v + 0.5, depth_m, k, LOOKING_NORTH).reshape(-1, 3)
    count = len(xyz)
    points = Points(
        xyz.astype(np.float32),
        np.random.default_rng(0).integers(0, 256, (count, 3), dtype=np.uint8),
        np.ones(count, np.float32),
        (depth_m.ravel() / k.fx / 2).astype(np.float32),
        np.zeros(count, np.bool_),
    )

    def turn() -> None:
        for i in range(_FRAMES):
            splatting.splat([points], k, pitched(i / 10))

    turn()  # compiles
    wall, processor = measured({"splat": turn})["splat"]
    columns = ("points", "frames/s", "CPU ms/frame")
    return [Table("Point splats", columns, [(count, _FRAMES / wall, 1000 * processor / _FRAMES)])]
