"""From steady maps to a scene in metres, against a rendered clip whose depth is known."""

from __future__ import annotations

import numpy as np
import pytest
from rendered import rendered
from sonic4d.experts.depth.metres import in_crafter_units, in_metres
from sonic4d.experts.depth.scene import scene_of
from sonic4d.experts.protocols import DepthEstimate
from sonic4d.geometry.cameras import Intrinsics, project
from sonic4d.monitor import SILENT, Monitor
from sonic4d.protocol import Sonic4DError
from sonic4d.scene.motion import analyse_motion

STILL = rendered(0.0)
K = Intrinsics.from_horizontal_fov(240, 135, 60)


def test_metres_follow_the_metric_model() -> None:
    """Of a metric model that is a little off, another way in each frame, and wrong in a corner."""
    truth_m = 1 / STILL.disparity

    def metric(frames: np.ndarray, monitor: Monitor) -> DepthEstimate:
        random = np.random.default_rng(1)
        chosen = np.unique(np.linspace(0, len(truth_m) - 1, len(frames)).astype(int))
        off = np.exp(random.normal(0, 0.03, (len(frames), 1, 1)))
        values = truth_m[chosen] * off * np.exp(random.normal(0, 0.05, truth_m[chosen].shape))
        values[:, :30, :60] = 0.3
        return DepthEstimate(values.astype(np.float32), "metric", steady=False)

    relative = (40 * STILL.disparity + 7).astype(np.float32)
    depth_m = in_metres(relative, STILL.frames, metric, SILENT)
    assert np.median(np.abs(depth_m / truth_m - 1)) < 0.05
    with pytest.raises(Sonic4DError) as caught:
        in_metres((-STILL.disparity).copy(), STILL.frames, metric, SILENT)
    assert caught.value.code == "no_metres"


def test_crafter_units() -> None:
    disparity = np.linspace(3, 5, 60, dtype=np.float32).reshape(1, 6, 10)
    depth = in_crafter_units(disparity.copy())
    assert depth.min() == pytest.approx(10_000 / 3_900)
    assert depth.max() == pytest.approx(1e4)
    relative = (disparity - 3) / 2
    inside = relative > 0.01
    assert np.allclose(depth[inside], 10_000 / (3_900 * relative[inside]), rtol=1e-3)


def test_a_shot_at_rest_gets_one_background() -> None:
    truth_m = (1 / STILL.disparity).astype(np.float32)
    motion = analyse_motion(STILL.frames, SILENT)
    scene = scene_of(truth_m, STILL.frames, motion, K, 1.6, SILENT)
    assert scene.background is not None
    assert scene.foreground is not None
    assert not scene.approximate
    empty = STILL.disparity.min(0)  # the mover is nearer than all that it hides
    mover = STILL.disparity > empty + 0.02
    found = scene.foreground
    assert (found & mover).sum() / mover.sum() > 0.8
    assert (found & ~mover).sum() / found.sum() < 0.15
    seen = scene.background.xyz[~scene.background.synthetic].astype(np.float64)
    u, v, z = project(seen, K, scene.camera_to_world[0])
    inside = (u > 0) & (u < 240) & (v > 0) & (v < 135)
    expected = 1 / empty[v[inside].astype(int), u[inside].astype(int)]
    assert np.median(np.abs(z[inside] / expected - 1)) < 0.02
    assert np.mean(np.abs(z[inside] / expected - 1) < 0.1) > 0.9


def test_a_travelling_camera_is_told() -> None:
    clip = rendered(6.0)
    motion = analyse_motion(clip.frames, SILENT)
    assert not motion.is_static
    scene = scene_of((1 / clip.disparity).astype(np.float32), clip.frames, motion, K, 1.6, SILENT)
    assert scene.background is None
    assert "path is not known" in scene.warnings[0]
