"""Video Depth Anything: overlapping windows of 32 frames that share keyframes, stitched by scale and shift."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file

from ...monitor import Monitor
from ...scene.depth import Frames
from ..loading import load_transformers
from ..machine import Machine
from ..protocols import DepthEstimate
from ..running import stoppable, with_less_memory
from ..store import Ready
from .depth_anything import describe, short_sides
from .pictures import model_size, to_frame_size, to_tensor
from .video_network import VideoDepthAnything, VideoDepthAnythingConfig

Maps = npt.NDArray[np.float32]

WINDOW = 32
OVERLAP = 10
KEYFRAMES = (0, 12, 24, 25, 26, 27, 28, 29, 30, 31)  # of the last window, shown to the next again
ALIGNED = 2  # of these, how many tell scale and shift; along the others the windows are blended
BLENDED = OVERLAP - ALIGNED
WIDE = 1.78  # an aspect above which the shorter side shrinks: memory


def load(ready: Ready, machine: Machine) -> VideoDepth:
    network = load_transformers(VideoDepthAnything, ready, ready.folder, machine, machine.half)
    return VideoDepth(network, machine)


@dataclass(frozen=True)
class VideoDepth:
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
        return DepthEstimate(values, "disparity", steady=True)

    @torch.inference_mode()
    def _maps(self, frames: Frames, short_side: int, monitor: Monitor) -> Maps:
        count, height, width = frames.shape[:3]
        ratio = max(height, width) / min(height, width)
        if ratio > WIDE:
            short_side = round(int(short_side * 1.777 / ratio) / 14) * 14
        size = model_size(height, width, short_side)
        weight = next(self.network.parameters())
        stitched = Stitched(count, height, width)
        keyframes = None
        with stoppable(monitor, self.network):
            for start in range(0, count, WINDOW - OVERLAP):
                indices = np.minimum(np.arange(start, start + WINDOW), count - 1)
                window = to_tensor(frames[indices], size).to(weight)
                if keyframes is not None:
                    window[:OVERLAP] = keyframes
                maps = to_frame_size(self.network(window).float(), height, width)
                stitched.add(start, maps.cpu().numpy())
                keyframes = window[list(KEYFRAMES)]
                monitor.progress("depth model", min(start + WINDOW - OVERLAP, count), count)
        return stitched.values


class Stitched:
    """Maps (n, H, W) of a clip, put together from windows."""

    def __init__(self, count: int, height: int, width: int) -> None:
        self.values = np.empty((count, height, width), np.float32)
        self._keyframes: list[Maps] = []  # of the window before, aligned

    def add(self, start: int, window: Maps) -> None:
        """The maps of the frames from `start` on. In all but the first the first ten are the keyframes before."""
        count = len(self.values)
        if not self._keyframes:
            self._keyframes = [window[k].copy() for k in KEYFRAMES[:ALIGNED]]
            part = window[: count - start]
            self.values[start : start + len(part)] = part
            return
        scale, shift = _scale_and_shift(window[:ALIGNED], np.stack(self._keyframes))
        window = np.maximum(window * np.float32(scale) + np.float32(shift), 0)
        for i, share in enumerate(np.linspace(0, 1, BLENDED)):
            t = start + ALIGNED + i
            if t < count:
                blend = self.values[t] * (1 - share) + window[ALIGNED + i] * share
                self.values[t] = blend
        part = window[OVERLAP : count - start]
        self.values[start + OVERLAP : start + OVERLAP + len(part)] = part
        self._keyframes[1:] = [window[k].copy() for k in KEYFRAMES[1:ALIGNED]]


def _scale_and_shift(maps: Maps, target: Maps) -> tuple[float, float]:
    """Least squares scale * maps + shift = target."""
    x, y = maps.ravel().astype(np.float64), target.ravel().astype(np.float64)
    spread = x.var()
    if spread == 0:
        return 1.0, 0.0
    scale = float(((x - x.mean()) * (y - y.mean())).mean() / spread)
    return scale, float(y.mean() - scale * x.mean())


SMALL = {  # ViT-S; other sizes are not free for commercial use
    "backbone_config": {
        "model_type": "dinov2",
        "hidden_size": 384,
        "num_hidden_layers": 12,
        "num_attention_heads": 6,
        "image_size": 518,
        "patch_size": 14,
        "out_indices": [3, 6, 9, 12],
        "apply_layernorm": True,
        "reshape_hidden_states": False,
    },
    "reassemble_hidden_size": 384,
    "neck_hidden_sizes": [48, 96, 192, 384],
    "fusion_hidden_size": 64,
    "head_in_index": -1,
    "patch_size": 14,
}

UPSTREAM_NAMES = (  # parts of names, in this order
    ("pretrained.patch_embed.proj.", "backbone.embeddings.patch_embeddings.projection."),
    ("pretrained.cls_token", "backbone.embeddings.cls_token"),
    ("pretrained.mask_token", "backbone.embeddings.mask_token"),
    ("pretrained.pos_embed", "backbone.embeddings.position_embeddings"),
    ("pretrained.blocks.", "backbone.encoder.layer."),
    ("pretrained.norm.", "backbone.layernorm."),
    (".attn.proj.", ".attention.output.dense."),
    (".ls1.gamma", ".layer_scale1.lambda1"),
    (".ls2.gamma", ".layer_scale2.lambda1"),
    ("head.motion_modules.", "temporal."),
    (".temporal_transformer.transformer_blocks.0.", ".block."),
    (".temporal_transformer.", "."),
    (".attention_blocks.0.pos_encoder.", ".pos_embed."),
    (".attention_blocks.0.", ".attn1."),
    (".attention_blocks.1.", ".attn2."),
    (".block.norms.0.", ".block.norm1."),
    (".block.norms.1.", ".block.norm2."),
    (".ff_norm.", ".norm3."),
    ("head.scratch.output_conv1.", "head.conv1."),
    ("head.scratch.output_conv2.0.", "head.conv2."),
    ("head.scratch.output_conv2.2.", "head.conv3."),
    (".out_conv.", ".projection."),
    (".resConfUnit1.conv", ".residual_layer1.convolution"),
    (".resConfUnit2.conv", ".residual_layer2.convolution"),
    *((f"head.scratch.refinenet{4 - i}.", f"neck.fusion_stage.layers.{i}.") for i in range(4)),
    *((f"head.scratch.layer{i + 1}_rn.", f"neck.convs.{i}.") for i in range(4)),
    *((f"head.projects.{i}.", f"neck.reassemble_stage.layers.{i}.projection.") for i in range(4)),
    *((f"head.resize_layers.{i}.", f"neck.reassemble_stage.layers.{i}.resize.") for i in range(4)),
)


def convert(
    states: Iterator[dict[str, torch.Tensor]],
    snapshot: Path,
    folder: Path,
) -> None:
    """The authors' checkpoint -> config.json and model.safetensors."""
    tensors: dict[str, torch.Tensor] = {}
    for name, tensor in next(states).items():
        if ".1.pos_encoder.pe" in name:  # the same as the first block's
            continue
        for old, new in UPSTREAM_NAMES:
            name = name.replace(old, new)
        if ".attn.qkv." in name:
            for part, third in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                tensors[name.replace(".attn.qkv.", f".attention.attention.{part}.")] = third
        else:
            tensors[name] = tensor
    tensors = {name: tensor.contiguous().clone() for name, tensor in tensors.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    full = VideoDepthAnythingConfig(**SMALL).to_dict()
    (folder / "config.json").write_text(json.dumps(full), encoding="utf-8")
