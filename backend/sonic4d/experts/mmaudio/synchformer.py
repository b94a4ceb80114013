"""Synchformer's visual encoder: features of fast events, eight a segment of 16 pictures (Iashin et al., "Synchformer:
Efficient Synchronization from Sparse Cues", 2024).

A Motionformer with attention divided into time and space (Bertasius et al., "Is Space-Time Attention All You Need for
Video Understanding?", 2021), and a transformer layer that sums up each moment's patches. Names of parameters are those of
the official checkpoint.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .sizes import SynchformerSize

EPS = 1e-6


class DividedAttention(nn.Module):
    """Attention of each patch to those of its time line, or of its moment, and to the class token."""

    def __init__(self, width: int, heads: int, along_time: bool) -> None:
        super().__init__()
        self.heads, self.along_time = heads, along_time
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, moments: int) -> Tensor:
        """(batch, 1 + moments * patches, width)."""
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.qkv(x).chunk(3, dim=-1)
        )
        class_out = F.scaled_dot_product_attention(q[:, :, :1], k, v)

        def grouped(tokens: Tensor) -> Tensor:
            groups = tokens[:, :, 1:].unflatten(2, (moments, -1))
            return groups.transpose(2, 3) if self.along_time else groups

        def with_class(tokens: Tensor) -> Tensor:
            groups = grouped(tokens)
            class_token = tokens[:, :, None, :1].expand(-1, -1, groups.shape[2], -1, -1)
            return torch.cat([class_token, groups], dim=3)

        out = F.scaled_dot_product_attention(grouped(q), with_class(k), with_class(v))
        if self.along_time:
            out = out.transpose(2, 3)
        out = torch.cat([class_out, out.flatten(2, 3)], dim=2)
        return self.proj(out.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, EPS)
        self.attn = DividedAttention(width, heads, along_time=False)
        self.timeattn = DividedAttention(width, heads, along_time=True)
        self.norm2 = nn.LayerNorm(width, EPS)
        self.mlp = Mlp(width)
        self.norm3 = nn.LayerNorm(width, EPS)

    def forward(self, x: Tensor, moments: int) -> Tensor:
        x = x + self.timeattn(self.norm3(x), moments)
        x = x + self.attn(self.norm1(x), moments)
        return x + self.mlp(self.norm2(x))


class Patches(nn.Module):
    """Cubes of two pictures by patch_px squared."""

    def __init__(self, width: int, patch_px: int) -> None:
        super().__init__()
        cube = (2, patch_px, patch_px)
        self.proj = nn.Conv3d(3, width, cube, stride=cube)


class MomentSummary(nn.TransformerEncoderLayer):
    """Sums up the patches of a moment in a class token."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(
            width, heads, 4 * width, 0.0, nn.GELU(), EPS, batch_first=True, norm_first=True
        )
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """(batch, patches, width) -> (batch, width)."""
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1)
        return super().forward(x)[:, 0]


class Synchformer(nn.Module):
    def __init__(self, size: SynchformerSize) -> None:
        super().__init__()
        self.size = size
        width = size.width
        patches = (size.picture_px // size.patch_px) ** 2
        self.patch_embed_3d = Patches(width, size.patch_px)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + patches, width))
        self.temp_embed = nn.Parameter(torch.zeros(1, size.moments, width))
        self.blocks = nn.ModuleList(Block(width, size.heads) for _ in range(size.blocks))
        self.norm = nn.LayerNorm(width, EPS)
        self.spatial_attn_agg = MomentSummary(width, size.heads)

    def forward(self, segments: Tensor) -> Tensor:
        """(batch, 2 * moments, 3, picture_px, picture_px) in -1..1 -> (batch, moments, width)."""
        x = self.patch_embed_3d.proj(
            segments.transpose(1, 2)
        )  # (batch, width, moments, rows, columns)
        x = x.flatten(3).permute(0, 2, 3, 1)
        x = x + self.pos_embed[:, None, 1:] + self.temp_embed[:, :, None]
        class_token = (self.cls_token + self.pos_embed[:, :1]).expand(len(x), -1, -1)
        x = torch.cat([class_token, x.flatten(1, 2)], dim=1)
        for block in self.blocks:
            x = block(x, self.size.moments)
        x = self.norm(x[:, 1:]).unflatten(1, (self.size.moments, -1))
        return self.spatial_attn_agg(x.flatten(0, 1)).unflatten(0, (-1, self.size.moments))
