"""Depth Pro (Bochkovskii et al. 2024): metres and field of view of each picture, so it flickers until it is aligned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from transformers import DepthProForDepthEstimation

from ...monitor import Monitor
from ...scene.depth import Frames
from ..loading import load_transformers
from ..machine import Machine
from ..protocols import DepthEstimate
from ..running import stoppable, with_less_memory
from ..store import Ready
from .pictures import to_frame_size

INVERSE_RANGE = 1e-4, 1e4  # of 1 / metres (the authors')
DEFAULT_FOV_DEG = 60.0


def load(ready: Ready, machine: Machine) -> DepthPro:
    network = load_transformers(
        DepthProForDepthEstimation, ready, ready.folder, machine, machine.half
    )
    return DepthPro(network, machine)


@dataclass(frozen=True)
class DepthPro:
    """A `protocols.DepthModel`. The network takes squares of one size, whatever the picture's aspect."""

    network: Any
    machine: Machine

    def __call__(self, frames: Frames, monitor: Monitor) -> DepthEstimate:
        values, focal_px = with_less_memory(
            [self._side()],
            lambda side: self._maps(frames, side, monitor),
            lambda side: f"{side} pixels",
            monitor,
        )
        return DepthEstimate(values, "metric", steady=False, focal_px=focal_px)

    def _side(self) -> int:
        """The square's side: a patch, over the smallest of the scales at which patches are cut."""
        config = self.network.config
        return round(config.patch_size / min(config.scaled_images_ratios))

    @torch.inference_mode()
    def _maps(self, frames: Frames, side: int, monitor: Monitor) -> tuple[np.ndarray, np.ndarray]:
        count, height, width = frames.shape[:3]
        values = np.empty((count, height, width), np.float32)
        focal_px = np.empty(count)
        weight = next(self.network.parameters())
        with stoppable(monitor, self.network):
            for t, frame in enumerate(frames):
                square = cv2.resize(
                    frame.astype(np.float32) / 127.5 - 1,
                    (side, side),
                    interpolation=cv2.INTER_LINEAR,
                )
                picture = torch.from_numpy(square.transpose(2, 0, 1)[None].copy()).to(weight)
                answer = self.network(picture)
                fov_deg = DEFAULT_FOV_DEG
                if answer.field_of_view is not None:
                    fov_deg = float(np.clip(float(answer.field_of_view), 1, 170))
                focal_px[t] = 0.5 * width / np.tan(np.radians(fov_deg) / 2)
                inverse = answer.predicted_depth.float() * (width / focal_px[t])
                inverse = to_frame_size(inverse, height, width)[0].clamp(*INVERSE_RANGE)
                values[t] = (1 / inverse).cpu().numpy()
                monitor.progress("depth model", t + 1, count)
        return values, focal_px
