"""Run by the experts' Python, as bpy's has no torch: tiny models of random weights, and a clip with known depth.

python make_tiny_models.py FOLDER
"""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

for name in ("mmaudio", "novel_view"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "experts" / name))

import numpy as np  # noqa: E402
import tiny_mmaudio  # noqa: E402
import tiny_painters  # noqa: E402
from sonic4d.media.video import write_video  # noqa: E402

COUNT, WIDTH, HEIGHT, RATE = 13, 128, 96, Fraction(24000, 1001)


def write_clip(folder: Path) -> None:
    """A red box travels before a wall of blocks, 4 m away as everything is."""
    blocks = np.random.default_rng(0).uniform(50, 150, (HEIGHT // 8, WIDTH // 8, 1))
    wall = np.kron(blocks, np.ones((8, 8, 3))).astype(np.uint8)
    frames = np.repeat(wall[None], COUNT, 0)
    for index, frame in enumerate(frames):
        frame[40:56, 10 + 2 * index : 26 + 2 * index] = (220, 40, 30)
    write_video(folder / "clip.mp4", frames, RATE)
    np.savez(folder / "depth.npz", depth=np.full((COUNT, HEIGHT, WIDTH), 4.0, np.float32))


if __name__ == "__main__":
    target = Path(sys.argv[1])
    write_clip(target)
    tiny_mmaudio.make_folder(target / "mmaudio")
    tiny_painters.write_trajectorycrafter(target / "trajectorycrafter")
    tiny_painters.write_wan_vace(target / "wan-vace-1.3b")
