"""The network of Video Depth Anything (Chen et al. 2025): Depth Anything's, with attention over time in its head."""

from __future__ import annotations

import math

import torch
from diffusers.models.attention import BasicTransformerBlock
from torch import nn
from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation

TEMPORAL_HEADS = 8
NORM_GROUPS = 32
POSITION_OFFSET = 0.1  # with which DINOv2 was trained to stretch its position embeddings


class VideoDepthAnythingConfig(DepthAnythingConfig):
    model_type = "video_depth_anything"
    max_frames: int = 32


class TemporalLayer(nn.Module):
    """Attention over time at each place of a feature map (n, c, h, w), added to it."""

    def __init__(self, channels: int, max_frames: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(NORM_GROUPS, channels, eps=1e-6)
        self.proj_in = nn.Linear(channels, channels)
        self.block = BasicTransformerBlock(
            channels,
            TEMPORAL_HEADS,
            channels // TEMPORAL_HEADS,
            activation_fn="geglu",
            double_self_attention=True,
            positional_embeddings="sinusoidal",
            num_positional_embeddings=max_frames,
        )
        self.proj_out = nn.Linear(channels, channels)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        count, channels, height, width = maps.shape
        over_time = self.norm(maps).permute(2, 3, 0, 1).reshape(-1, count, channels)
        over_time = self.proj_out(self.block(self.proj_in(over_time)))
        return maps + over_time.reshape(height, width, count, channels).permute(2, 3, 0, 1)


class VideoDepthAnything(DepthAnythingForDepthEstimation):
    """Disparity (n, h, w), relative, of a window of pictures (n, 3, h, w)."""

    config_class = VideoDepthAnythingConfig

    def __init__(self, config: VideoDepthAnythingConfig) -> None:
        super().__init__(config)
        fused = config.fusion_hidden_size
        channels = (*config.neck_hidden_sizes[2:], fused, fused)
        self.temporal = nn.ModuleList(TemporalLayer(c, config.max_frames) for c in channels)
        # Not the stock stretching: a tenth of a patch makes per cents of difference in depth.
        self.backbone.embeddings.interpolate_pos_encoding = self._stretched_positions
        self.post_init()

    def forward(self, pixel_values: torch.Tensor, batch: int = 4) -> torch.Tensor:
        """`batch`: so many pictures at a time where time doesn't matter."""
        height, width = pixel_values.shape[-2:]
        patches = height // self.config.patch_size, width // self.config.patch_size
        parts = [
            self.neck.reassemble_stage(self.backbone(part).feature_maps, *patches)
            for part in pixel_values.split(batch)
        ]
        one, two, three, four = (torch.cat(maps) for maps in zip(*parts, strict=True))
        three, four = self.temporal[0](three), self.temporal[1](four)
        one, two, three, four = (
            conv(maps) for conv, maps in zip(self.neck.convs, (one, two, three, four), strict=True)
        )
        fuse = self.neck.fusion_stage.layers
        path = self.temporal[2](fuse[0](four, size=three.shape[2:]))
        path = self.temporal[3](fuse[1](path, three, size=two.shape[2:]))
        depth = []
        for path_part, one_part, two_part in zip(
            path.split(batch), one.split(batch), two.split(batch), strict=True
        ):
            fused = fuse[2](path_part, two_part, size=one_part.shape[2:])
            depth.append(self.head([fuse[3](fused, one_part)], *patches))
        return torch.cat(depth)

    def _stretched_positions(
        self, embeddings: torch.Tensor, height: int, width: int
    ) -> torch.Tensor:
        """DINOv2's position embeddings for a picture of another size than it was trained with."""
        table = self.backbone.embeddings.position_embeddings
        side = math.isqrt(table.shape[1] - 1)
        rows, columns = (length // self.config.patch_size for length in (height, width))
        if rows == columns == side:
            return table
        places = table[:, 1:].float().reshape(1, side, side, -1).permute(0, 3, 1, 2)
        scale = ((rows + POSITION_OFFSET) / side, (columns + POSITION_OFFSET) / side)
        places = nn.functional.interpolate(places, scale_factor=scale, mode="bicubic")
        places = places.permute(0, 2, 3, 1).flatten(1, 2).to(table)
        return torch.cat([table[:, :1], places], dim=1)
