"""TrajectoryCrafter's transformer (Yu et al., ICCV 2025): CogVideoX-Fun's with cross-attention to the source video.

Diffusers' `CogVideoXTransformer3DModel` does all of CogVideoX; hooks on its blocks add what the paper calls Ref-DiT. Names of
parameters are those of the published checkpoint.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import torch
from diffusers import CogVideoXTransformer3DModel
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from ....monitor import Monitor
from ....protocol import Sonic4DError

_STOCK = frozenset(inspect.signature(CogVideoXTransformer3DModel.__init__).parameters) - {"self"}
_CROSS = {
    "cross_attn_in_channels": 16,
    "cross_attn_interval": 2,
    "cross_attn_dim_head": 128,
    "cross_attn_num_heads": 16,
}


class PatchEmbedding(nn.Module):
    """Latents (batch, frames, channels, h, w) -> tokens (batch, frames x h/p x w/p, width)."""

    def __init__(self, patch: int, channels: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, kernel_size=patch, stride=patch)

    def forward(self, latents: Tensor) -> Tensor:
        tokens = self.proj(latents.flatten(0, 1)).flatten(2).transpose(1, 2)
        return tokens.reshape(latents.shape[0], -1, tokens.shape[-1])


class ReferenceAttention(nn.Module):
    """Video tokens (batch, n, width) look up reference tokens (batch, m, width)."""

    def __init__(self, width: int, heads: int, head_width: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.to_q = nn.Linear(width, heads * head_width, bias=False)
        self.to_kv = nn.Linear(width, 2 * heads * head_width, bias=False)
        self.to_out = nn.Linear(heads * head_width, width, bias=False)

    def forward(self, reference: Tensor, video: Tensor) -> Tensor:
        key, value = self.to_kv(self.norm1(reference)).chunk(2, dim=-1)
        query = self.to_q(self.norm2(video))
        split = [t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (query, key, value)]
        return self.to_out(scaled_dot_product_attention(*split).transpose(1, 2).flatten(2))


def build(config: dict[str, Any]) -> CogVideoXTransformer3DModel:
    """The network of a checkpoint's config.json, with fresh weights. Call it as the stock one, with `reference=` latents.

    Input: 33 channels (noisy, mask, masked video), reference (batch, frames, 16, h, w). Raises `Sonic4DError`.
    """
    cross = {key: config.get(key, default) for key, default in _CROSS.items()}
    if not (config.get("is_train_cross") and config.get("use_rotary_positional_embeddings")):
        raise Sonic4DError(
            "bad_model",
            "The transformer is none of TrajectoryCrafter's: it lacks reference attention or rotary positions.",
            "Give the folder of the published checkpoint.",
        )
    transformer = CogVideoXTransformer3DModel(
        **{key: value for key, value in config.items() if key in _STOCK}
    )
    settings = transformer.config
    width = settings.num_attention_heads * settings.attention_head_dim
    interval = cross["cross_attn_interval"]
    transformer.ref_patch_embed = PatchEmbedding(
        settings.patch_size, cross["cross_attn_in_channels"], width
    )
    transformer.perceiver_cross_attention = nn.ModuleList(
        ReferenceAttention(width, cross["cross_attn_num_heads"], cross["cross_attn_dim_head"])
        for _ in range(settings.num_layers // interval)
    )
    transformer.register_to_config(
        add_noise_in_inpaint_model=bool(config.get("add_noise_in_inpaint_model", False))
    )
    _attend_to_reference(transformer, interval)
    return transformer


def _attend_to_reference(transformer: CogVideoXTransformer3DModel, interval: int) -> None:
    """After every `interval`-th block, beginning with the first, the video tokens also attend to the reference."""
    reference: dict[str, Tensor] = {}

    def keep(_module: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        reference["latents"] = kwargs.pop("reference")
        return args, kwargs

    def forget(*_: Any) -> None:
        reference.clear()

    def look_up(index: int) -> Any:
        def hook(_block: nn.Module, _args: Any, tokens: tuple[Tensor, Tensor]) -> Any:
            # Here rather than in `keep`: offloaded weights are on the device only while the network runs.
            if "tokens" not in reference:
                reference["tokens"] = transformer.ref_patch_embed(reference["latents"])
            video, text = tokens
            attention = transformer.perceiver_cross_attention[index]
            return video + attention(reference["tokens"], video), text

        return hook

    transformer.register_forward_pre_hook(keep, with_kwargs=True)
    transformer.register_forward_hook(forget, always_call=True)
    for index in range(len(transformer.perceiver_cross_attention)):
        block = transformer.transformer_blocks[index * interval]
        block.register_forward_hook(look_up(index))


def load(folder: Path, dtype: torch.dtype, monitor: Monitor) -> CogVideoXTransformer3DModel:
    """From config.json and *.safetensors; every name and shape has to fit. Raises `Sonic4DError`."""
    with torch.device("meta"):
        transformer = build(json.loads((folder / "config.json").read_bytes()))
    weights: dict[str, Tensor] = {}
    for shard in sorted(folder.glob("*.safetensors")):
        with safe_open(shard, "pt") as file:
            for name in file.keys():  # noqa: SIM118
                monitor.check()
                weights[name] = file.get_tensor(name).to(dtype)
    try:
        transformer.load_state_dict(weights, strict=True, assign=True)
    except RuntimeError as error:
        raise Sonic4DError(
            "bad_model",
            f"The weights in {folder} don't fit their config.json: {_second_line(error)}",
            "Download the model again.",
        ) from None
    return transformer.eval().requires_grad_(False)


def _second_line(error: Exception) -> str:
    """Where torch says what doesn't fit."""
    return str(error).splitlines()[1].strip()[:200]
