"""Each depth model on tiny random weights: shape, range, rate, and that the answer depends on the picture."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from sonic4d.experts.choose import choose, load
from sonic4d.experts.depth import depth_anything, depthcrafter, video_depth_anything
from sonic4d.experts.machine import Machine
from sonic4d.monitor import SILENT, Cancelled, Monitor
from sonic4d.protocol import Sonic4DError

CPU = Machine("cpu", "2 cores", 16.0, 16.0)
MAKERS: dict[str, Callable[[Path], Path]] = {
    "depth-anything": tiny.depth_anything,
    "depth-anything-indoor": lambda folder: tiny.depth_anything(folder, metric=True),
    "video-depth-anything": tiny.video_depth_anything,
    "depthcrafter": tiny.depthcrafter,
    "depth-pro": tiny.depth_pro,
}


def expert(option: str, folder: Path) -> object:
    MAKERS[option](folder)
    return load(choose("depth", option, {"depth": folder}, CPU).ready, CPU)


def some_frames(count: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    wide = random.integers(0, 255, (12, 60, 3), np.uint8).repeat(6, 0).repeat(6, 1)
    return np.stack([wide[:72, 3 * t : 3 * t + 128] for t in range(count)])


@pytest.fixture
def small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depth_anything, "SHORT_SIDE_CPU", 154)


@pytest.mark.usefixtures("small_pictures")
@pytest.mark.parametrize("option", MAKERS)
def test_maps_have_the_form_and_depend_on_the_pictures(option: str, tmp_path: Path) -> None:
    model = expert(option, tmp_path)
    frames = some_frames(3)
    estimate = model(frames, SILENT)
    assert estimate.values.shape == frames.shape[:3]
    assert estimate.values.dtype == np.float32
    assert np.isfinite(estimate.values).all()
    assert estimate.values.min() >= 0
    metric = option in ("depth-anything-indoor", "depth-pro")
    assert estimate.kind == ("metric" if metric else "disparity")
    assert estimate.steady == (option in ("video-depth-anything", "depthcrafter"))
    spread = estimate.values.std()
    assert spread > 1e-3 * estimate.values.mean(), "the head is flat"
    again = model(frames, SILENT).values
    assert np.array_equal(again, estimate.values), "the same clip, another answer"
    other = model(some_frames(3, seed=1), SILENT).values
    assert np.abs(other - estimate.values).mean() > 0.1 * spread
    if option == "depthcrafter":
        assert estimate.values.min() < 0.1
        assert 0.9 < estimate.values.max() <= 1
    if metric:
        assert estimate.values.max() <= 10_000


@pytest.mark.usefixtures("small_pictures")
def test_windows_cover_a_clip_that_is_longer(tmp_path: Path) -> None:
    model = expert("video-depth-anything", tmp_path)
    estimate = model(some_frames(40), SILENT)
    assert np.isfinite(estimate.values).all()
    assert estimate.values.std(axis=(1, 2)).min() > 0


@pytest.mark.parametrize("option", ["depth-anything", "depthcrafter", "video-depth-anything"])
def test_memory_that_does_not_suffice(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = expert(option, tmp_path)
    network = model.unet if option == "depthcrafter" else model.network
    forward, sizes = type(network).forward, []

    def limited(self: torch.nn.Module, picture: torch.Tensor, *rest: object, **named: object):  # noqa: ANN202
        sizes.append(max(picture.shape[-2:]))
        if max(picture.shape[-2:]) > limit:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return forward(self, picture, *rest, **named)

    monkeypatch.setattr(type(network), "forward", limited)
    frames = some_frames(1).repeat(4, 1).repeat(4, 2)
    limit = 40 if option == "depthcrafter" else 400
    said: list[str] = []
    monitor = Monitor(lambda event: said.append(event.get("message", "")), lambda: False)
    assert np.isfinite(model(frames, monitor).values).all()
    assert sizes[0] > limit >= sizes[-1]
    assert any(text.startswith("Memory does not suffice for") for text in said)
    limit = 0
    with pytest.raises(Sonic4DError) as caught:
        model(frames, SILENT)
    assert caught.value.code == "out_of_memory"


@pytest.mark.parametrize("option", MAKERS)
def test_a_cancelled_model_stops_within_two_seconds(option: str, tmp_path: Path) -> None:
    model = expert(option, tmp_path)
    stop = threading.Event()
    stopped_at: list[float] = []

    def slow(*_: object) -> None:
        """A layer of a large model takes a while."""
        if not stop.is_set():
            stop.set()
            stopped_at.append(time.monotonic())
        time.sleep(0.06)

    network = model.unet if option == "depthcrafter" else model.network
    layer = next(m for m in network.modules() if not list(m.children()))
    layer.register_forward_pre_hook(slow)
    with pytest.raises(Cancelled):
        model(some_frames(4), Monitor(lambda event: None, stop.is_set))
    assert time.monotonic() - stopped_at[0] < 2


def test_window_blending_needs_no_overlap_for_short_clips() -> None:
    stitched = video_depth_anything.Stitched(5, 2, 2)
    stitched.add(0, np.arange(32, dtype=np.float32)[:, None, None].repeat(2, 1).repeat(2, 2))
    assert stitched.values[:, 0, 0].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("memory_gb", "longest"), [(80, 1024), (28, 1024), (24, 896), (12, 512), (9, 384), (4, 256)]
)
def test_depthcrafter_takes_the_resolution_that_fits(memory_gb: float, longest: int) -> None:
    machine = Machine("cuda", "a GPU", memory_gb, 64.0)
    (height, width), *smaller = depthcrafter.model_sizes(1080, 1920, machine)
    assert width == longest
    assert height % 64 == width % 64 == 0
    assert all(rows * columns < height * width for rows, columns in smaller)
