"""Depth Anything V2 (Yang et al. 2024), relative or metric: a picture at a time, so it flickers until it is aligned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import DepthAnythingForDepthEstimation

from ...monitor import Monitor
from ...scene.depth import Frames
from ..loading import load_transformers
from ..machine import Machine
from ..protocols import DepthEstimate
from ..running import stoppable, with_less_memory
from ..store import Ready
from .pictures import model_size, to_frame_size, to_tensor

SHORT_SIDES = (518, 392, 294, 224, 154)  # the model is trained at 518
SHORT_SIDE_CPU = 294  # a quarter of the time


def load(ready: Ready, machine: Machine) -> DepthAnything:
    network = load_transformers(
        DepthAnythingForDepthEstimation, ready, ready.folder, machine, torch.float32
    )
    return DepthAnything(network, machine)


def short_sides(machine: Machine) -> list[int]:
    """Resolutions to try, the best that is reasonable first."""
    return [s for s in SHORT_SIDES if machine.has_gpu or s <= SHORT_SIDE_CPU]


def describe(short_side: int) -> str:
    return f"pictures of {short_side} pixels"


@dataclass(frozen=True)
class DepthAnything:
    """A `protocols.DepthModel`."""

    network: Any
    machine: Machine

    def __call__(self, frames: Frames, monitor: Monitor) -> DepthEstimate:
        values = with_less_memory(
            short_sides(self.machine),
            lambda side: self._maps(frames, side, monitor),
            describe,
            monitor,
        )
        metric = self.network.config.depth_estimation_type == "metric"
        return DepthEstimate(values, "metric" if metric else "disparity", steady=False)

    @torch.inference_mode()
    def _maps(self, frames: Frames, short_side: int, monitor: Monitor) -> np.ndarray:
        count, height, width = frames.shape[:3]
        size = model_size(height, width, short_side)
        values = np.empty((count, height, width), np.float32)
        weight = next(self.network.parameters())
        with stoppable(monitor, self.network):
            for t in range(count):
                picture = to_tensor(frames[t : t + 1], size).to(weight)
                maps = self.network(picture).predicted_depth.float()
                values[t] = to_frame_size(maps, height, width)[0].cpu().numpy()
                monitor.progress("depth model", t + 1, count)
        return values
