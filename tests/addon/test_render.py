"""A rendered frame shows the points where the camera sees them, in the colours of the video."""

from __future__ import annotations

from pathlib import Path

import bpy
import make_bundle
import numpy as np
import pytest


def render(path: Path) -> np.ndarray:
    """The current frame by Cycles, as (height, width, 3) of 0..255, first row on top."""
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device, scene.cycles.samples, scene.cycles.use_denoising = "CPU", 4, False
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(str(path))
    pixels = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(pixels)
    width, height = image.size
    return pixels.reshape(height, width, -1)[::-1, :, :3] * 255


@pytest.mark.parametrize("index", [0, 3])
def test_points_are_rendered_where_they_belong(
    root: bpy.types.Object, tmp_path: Path, index: int
) -> None:
    scene, k = bpy.context.scene, make_bundle.INTRINSICS
    scene.frame_set(1 + index)
    picture = render(tmp_path / f"frame_{index}.png")
    assert picture.shape == (180, 320, 3)
    points = make_bundle.frame_points(index, make_bundle.COUNTS[index])
    for point in points:
        u = k["fx"] * point["x"] / point["y"] + k["cx"]
        v = -k["fy"] * point["z"] / point["y"] + k["cy"]
        want = [point[colour] for colour in ("red", "green", "blue")]
        np.testing.assert_allclose(picture[int(v), int(u)], want, atol=3)
