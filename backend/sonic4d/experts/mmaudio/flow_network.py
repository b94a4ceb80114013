"""MMAudio's flow network: a multimodal diffusion transformer over sound latents, pictures and text.

Names of parameters are those of the official checkpoints.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .sizes import SYNC_TOKENS, TEXT_TOKENS, FlowSize

ROPE_BASE = 10000.0
MLP_RATIO = 4
MLP_MULTIPLE = 256


class ChannelLastConv1d(nn.Conv1d):
    """A convolution along the tokens of (batch, tokens, channels)."""

    def __init__(self, n_in: int, n_out: int, kernel: int, bias: bool = True) -> None:
        super().__init__(n_in, n_out, kernel, padding=kernel // 2, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


def _layer(n_in: int, n_out: int, kernel: int, bias: bool = True) -> nn.Module:
    """A linear layer is a convolution that sees one token; the checkpoints keep them apart by the weights' shape."""
    if kernel == 1:
        return nn.Linear(n_in, n_out, bias)
    return ChannelLastConv1d(n_in, n_out, kernel, bias)


class SwiGLU(nn.Module):
    """The gated MLP (Shazeer, "GLU Variants Improve Transformer", 2020), over `kernel` tokens."""

    def __init__(self, width: int, kernel: int = 1) -> None:
        super().__init__()
        hidden = -(-(2 * MLP_RATIO * width // 3) // MLP_MULTIPLE) * MLP_MULTIPLE
        self.w1 = _layer(width, hidden, kernel, bias=False)
        self.w2 = _layer(hidden, width, kernel, bias=False)
        self.w3 = _layer(width, hidden, kernel, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


def rope(length: int, dim: int, scale: float, device: torch.device) -> Tensor:
    """Rotary position embedding (Su et al., 2021): (length, dim / 2) angles; positions are `scale` apart."""
    frequencies = ROPE_BASE ** (-torch.arange(0, dim, 2, device=device, dtype=torch.float32) / dim)
    positions = torch.arange(length, device=device, dtype=torch.float32)
    return positions[:, None] * (frequencies * scale)


def rotated(x: Tensor, angles: Tensor) -> Tensor:
    """Turn neighbouring channels of (..., tokens, dim) by `angles`."""
    first, second = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    cos, sin = angles.cos(), angles.sin()
    turned = torch.stack([cos * first - sin * second, sin * first + cos * second], dim=-1)
    return turned.flatten(-2).to(x.dtype)


class Attention(nn.Module):
    """Queries, keys and values of one stream; the attention itself joins the streams."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.q_norm = nn.RMSNorm(width // heads)
        self.k_norm = nn.RMSNorm(width // heads)

    def forward(self, x: Tensor, angles: Tensor | None) -> list[Tensor]:
        """(batch, tokens, width) -> three of (batch, heads, tokens, width / heads)."""
        q, k, v = self.qkv(x).unflatten(-1, (self.heads, -1, 3)).transpose(1, 2).unbind(-1)
        q, k = self.q_norm(q), self.k_norm(k)
        if angles is not None:
            q, k = rotated(q, angles), rotated(k, angles)
        return [q.contiguous(), k.contiguous(), v.contiguous()]


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """(batch, heads, tokens, dim) -> (batch, tokens, heads * dim)."""
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return x * (1 + scale) + shift


class StreamBlock(nn.Module):
    """One stream's part of a transformer block, modulated by a condition (adaLN).

    `only_heard`: the last joint block's pictures and texts, which nothing is made of any more.
    """

    def __init__(self, width: int, heads: int, kernel: int, only_heard: bool = False) -> None:
        super().__init__()
        self.only_heard = only_heard
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False)
        self.attn = Attention(width, heads)
        parts = 2 if only_heard else 6
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, parts * width))
        if not only_heard:
            self.linear1 = _layer(width, width, kernel)
            self.norm2 = nn.LayerNorm(width, elementwise_affine=False)
            self.ffn = SwiGLU(width, kernel)

    def before(
        self, x: Tensor, condition: Tensor, angles: Tensor | None
    ) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        """Queries, keys, values, and the modulation that `after` needs."""
        parts = 2 if self.only_heard else 6
        shift, scale, *rest = self.adaLN_modulation(condition).chunk(parts, dim=-1)
        return self.attn(modulated(self.norm1(x), shift, scale), angles), tuple(rest)

    def after(self, x: Tensor, attended: Tensor, modulation: tuple[Tensor, ...]) -> Tensor:
        if self.only_heard:
            return x
        attention_gate, shift, scale, gate = modulation
        x = x + self.linear1(attended) * attention_gate
        return x + self.ffn(modulated(self.norm2(x), shift, scale)) * gate


class FusedBlock(StreamBlock):
    """A block over the sound alone."""

    def forward(self, x: Tensor, condition: Tensor, angles: Tensor) -> Tensor:
        qkv, modulation = self.before(x, condition, angles)
        return self.after(x, attend(*qkv), modulation)


class JointBlock(nn.Module):
    """A block in which sound, pictures and text attend to each other."""

    def __init__(self, width: int, heads: int, last: bool) -> None:
        super().__init__()
        self.latent_block = StreamBlock(width, heads, kernel=3)
        self.clip_block = StreamBlock(width, heads, kernel=3, only_heard=last)
        self.text_block = StreamBlock(width, heads, kernel=1, only_heard=last)

    def forward(
        self, streams: list[Tensor], conditions: list[Tensor], angles: list[Tensor | None]
    ) -> list[Tensor]:
        blocks = [self.latent_block, self.clip_block, self.text_block]
        inputs = zip(blocks, streams, conditions, angles, strict=True)
        prepared = [block.before(x, condition, turn) for block, x, condition, turn in inputs]
        joint = [
            torch.cat(parts, dim=2) for parts in zip(*(qkv for qkv, _ in prepared), strict=True)
        ]
        attended = attend(*joint).split([x.shape[1] for x in streams], dim=1)
        return [
            block.after(x, part, modulation)
            for block, x, part, (_, modulation) in zip(
                blocks, streams, attended, prepared, strict=True
            )
        ]


class FinalLayer(nn.Module):
    def __init__(self, width: int, latent_channels: int) -> None:
        super().__init__()
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.conv = ChannelLastConv1d(width, latent_channels, 7)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        return self.conv(modulated(self.norm(x), *self.adaLN_modulation(condition).chunk(2, -1)))


class TimeEmbedding(nn.Module):
    """Sinusoids of the flow's time 0..1 and an MLP."""

    def __init__(self, width: int, sinusoids: int, scale: float) -> None:
        super().__init__()
        self.sinusoids, self.scale = sinusoids, scale
        self.mlp = nn.Sequential(nn.Linear(sinusoids, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, time: Tensor) -> Tensor:
        """(batch,) -> (batch, width)."""
        # On the CPU everywhere: the last bits of v2's frequencies make thousandths of a radian.
        steps = torch.arange(0, self.sinusoids, 2, dtype=torch.float32, device="cpu")
        frequencies = self.scale * (1.0 / ROPE_BASE ** (steps / self.sinusoids))
        angles = time[:, None].float() * frequencies.to(time.device)
        return self.mlp(torch.cat([angles.cos(), angles.sin()], -1).to(self.mlp[0].weight.dtype))


@dataclass(frozen=True)
class Conditions:
    """What a stretch of sound is to fit, prepared once for all steps (batch 1)."""

    clip: Tensor
    text: Tensor
    sync: Tensor  # one row a latent
    summary: Tensor
    latent_angles: Tensor
    clip_angles: Tensor


class FlowNetwork(nn.Module):
    """Predicts the velocity from noise to sound latents (conditional flow matching)."""

    def __init__(self, size: FlowSize) -> None:
        super().__init__()
        self.size = size
        width, v2 = size.width, size.v2

        def stream(first: nn.Module, activation: type[nn.Module] | None, kernel: int) -> nn.Module:
            between = [] if activation is None else [activation()]
            return nn.Sequential(first, *between, SwiGLU(width, kernel))

        selu, plain = (nn.SiLU, nn.SiLU) if v2 else (nn.SELU, None)
        latent = ChannelLastConv1d(size.latent_channels, width, 7)
        self.audio_input_proj = stream(latent, selu, 7)
        self.clip_input_proj = stream(nn.Linear(size.clip_width, width), plain, 3)
        self.sync_input_proj = stream(ChannelLastConv1d(size.sync_width, width, 7), selu, 3)
        self.text_input_proj = stream(nn.Linear(size.text_width, width), plain, 1)
        self.clip_cond_proj = nn.Linear(width, width)
        self.text_cond_proj = nn.Linear(width, width)
        self.global_cond_mlp = SwiGLU(width)
        self.sync_pos_emb = nn.Parameter(torch.zeros(1, 1, SYNC_TOKENS, size.sync_width))
        self.t_embed = (
            TimeEmbedding(width, width, ROPE_BASE) if v2 else TimeEmbedding(width, 256, 1)
        )
        self.joint_blocks = nn.ModuleList(
            JointBlock(width, size.heads, last=i == size.joint_blocks - 1)
            for i in range(size.joint_blocks)
        )
        self.fused_blocks = nn.ModuleList(
            FusedBlock(width, size.heads, kernel=3) for _ in range(size.fused_blocks)
        )
        self.final_layer = FinalLayer(width, size.latent_channels)
        self.latent_mean = nn.Parameter(torch.zeros(1, 1, size.latent_channels))
        self.latent_std = nn.Parameter(torch.ones(1, 1, size.latent_channels))
        self.empty_string_feat = nn.Parameter(torch.zeros(TEXT_TOKENS, size.text_width))
        self.empty_clip_feat = nn.Parameter(torch.zeros(1, size.clip_width))
        self.empty_sync_feat = nn.Parameter(torch.zeros(1, size.sync_width))

    def conditions(
        self,
        latents: int,
        clip_frames: int,
        sync_segments: int,
        clip: Tensor | None,
        sync: Tensor | None,
        text: Tensor | None,
    ) -> Conditions:
        """clip (clip_frames, clip_width), sync (8 * sync_segments, sync_width), text (77, text_width); None is "nothing known"."""
        if clip is None:
            clip = self.empty_clip_feat.expand(clip_frames, -1)
        if sync is None:
            sync = self.empty_sync_feat.expand(sync_segments * SYNC_TOKENS, -1)
        if text is None:
            text = self.empty_string_feat
        placed = sync.unflatten(0, (sync_segments, SYNC_TOKENS))[None] + self.sync_pos_emb
        clip = self.clip_input_proj(clip[None])
        text = self.text_input_proj(text[None])
        sync = self.sync_input_proj(placed.flatten(1, 2))
        sync = F.interpolate(sync.transpose(1, 2), size=latents, mode="nearest-exact")
        summary = self.clip_cond_proj(clip.mean(1)) + self.text_cond_proj(text.mean(1))
        dim = self.size.width // self.size.heads
        device = self.latent_mean.device
        return Conditions(
            clip,
            text,
            sync.transpose(1, 2),
            summary,
            rope(latents, dim, 1.0, device),
            rope(clip_frames, dim, latents / clip_frames, device),
        )

    def forward(self, latent: Tensor, time: Tensor, given: Conditions) -> Tensor:
        """latent (1, latents, channels), time (1,) in 0..1 -> the velocity, of the latent's shape."""
        whole = (self.t_embed(time) + self.global_cond_mlp(given.summary))[:, None]
        each = whole + given.sync
        streams = [self.audio_input_proj(latent), given.clip, given.text]
        angles = [given.latent_angles, given.clip_angles, None]
        for block in self.joint_blocks:
            streams = block(streams, [each, whole, whole], angles)
        sound = streams[0]
        for block in self.fused_blocks:
            sound = block(sound, each, given.latent_angles)
        # Not `each`: the models were trained with this (upstream's issue 55).
        return self.final_layer(sound, whole)
