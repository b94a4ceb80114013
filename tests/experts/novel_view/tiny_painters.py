"""Tiny networks of the real kinds, with weights that follow from their names alone, and model folders of them."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLCogVideoX,
    AutoencoderKLWan,
    DDIMScheduler,
    UniPCMultistepScheduler,
    WanVACETransformer3DModel,
)
from safetensors.torch import save_file
from sonic4d.experts.novel_view.trajectorycrafter import transformer as trajectorycrafter
from tokenizers import Tokenizer, models
from transformers import (
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
    UMT5Config,
    UMT5EncoderModel,
)

TEXT_WIDTH = 24
CROSS_TRANSFORMER: dict[str, Any] = {
    "num_attention_heads": 2,
    "attention_head_dim": 16,
    "in_channels": 33,
    "out_channels": 16,
    "time_embed_dim": 32,
    "text_embed_dim": TEXT_WIDTH,
    "num_layers": 4,
    "sample_width": 12,
    "sample_height": 8,
    "max_text_seq_length": 226,
    "use_rotary_positional_embeddings": True,
    "add_noise_in_inpaint_model": True,
    "is_train_cross": True,
    "cross_attn_interval": 2,
    "cross_attn_dim_head": 8,
    "cross_attn_num_heads": 2,
}
COGVIDEOX_VAE: dict[str, Any] = {
    "block_out_channels": (4, 4, 4, 8),
    "down_block_types": ("CogVideoXDownBlock3D",) * 4,
    "up_block_types": ("CogVideoXUpBlock3D",) * 4,
    "layers_per_block": 1,
    "norm_num_groups": 2,
    "latent_channels": 16,
    "sample_height": 96,  # twice a tile, of which 5/6 and 4/5 have to be whole latents
    "sample_width": 160,
}
T5: dict[str, Any] = {
    "vocab_size": 98,
    "d_model": TEXT_WIDTH,
    "d_kv": 8,
    "d_ff": 32,
    "num_layers": 2,
    "num_heads": 2,
    "feed_forward_proj": "gated-gelu",
}
WAN_TRANSFORMER: dict[str, Any] = {
    "patch_size": (1, 2, 2),
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "in_channels": 16,
    "out_channels": 16,
    "text_dim": TEXT_WIDTH,
    "freq_dim": 32,
    "ffn_dim": 32,
    "num_layers": 3,
    "vace_layers": [0, 2],
    "vace_in_channels": 96,
}
WAN_VAE: dict[str, Any] = {
    "base_dim": 3,
    "z_dim": 16,
    "dim_mult": [1, 1, 1, 1],
    "num_res_blocks": 1,
}


def with_weights(network: Any, spread: float = 0.1) -> Any:
    """The same on every machine and in every version of torch that draws the same normals: seeded by the parameters' names."""
    for name, parameter in network.named_parameters():
        noise = torch.Generator().manual_seed(zlib.crc32(name.encode()))
        drawn = torch.randn(parameter.shape, generator=noise)
        is_scale = parameter.ndim == 1 and "bias" not in name
        parameter.data = 1 + 0.05 * drawn if is_scale else spread * drawn
    return network.eval().requires_grad_(False)


def tokenizer() -> PreTrainedTokenizerFast:
    words = ["<pad>", "</s>", "<unk>", *map(chr, range(32, 127))]
    bpe = models.BPE(vocab={w: i for i, w in enumerate(words)}, merges=[], unk_token="<unk>")
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(bpe), pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


def ddim() -> DDIMScheduler:
    """As the published checkpoint's scheduler_config.json has it."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
    )


def cross_transformer(**changes: Any) -> Any:
    return with_weights(trajectorycrafter.build({**CROSS_TRANSFORMER, **changes}))


def cogvideox_vae() -> AutoencoderKLCogVideoX:
    return with_weights(AutoencoderKLCogVideoX(**COGVIDEOX_VAE))


def t5() -> T5EncoderModel:
    return with_weights(T5EncoderModel(T5Config(**T5)))


def write_trajectorycrafter(folder: Path) -> Path:
    """As the registry has it: transformer/ of one repository, cogvideox/ of another."""
    transformer, rest = folder / "transformer", folder / "cogvideox"
    transformer.mkdir(parents=True)
    weights = cross_transformer().state_dict()
    names = sorted(weights)
    for shard, part in enumerate((names[::2], names[1::2]), 1):
        file = transformer / f"diffusion_pytorch_model-{shard:05}-of-00002.safetensors"
        save_file({name: weights[name] for name in part}, file)
    index = {
        name: f"diffusion_pytorch_model-{2 if i % 2 else 1:05}-of-00002.safetensors"
        for i, name in enumerate(names)
    }
    (transformer / "diffusion_pytorch_model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": index})
    )
    config = {"_class_name": "CrossTransformer3DModel", **CROSS_TRANSFORMER}
    (transformer / "config.json").write_text(json.dumps(config))
    cogvideox_vae().save_pretrained(rest / "vae")
    t5().save_pretrained(rest / "text_encoder")
    tokenizer().save_pretrained(rest / "tokenizer")
    ddim().save_pretrained(rest / "scheduler")
    return folder


def write_wan_vace(folder: Path) -> Path:
    with_weights(WanVACETransformer3DModel(**WAN_TRANSFORMER)).save_pretrained(
        folder / "transformer"
    )
    with_weights(AutoencoderKLWan(**WAN_VAE), 0.4).save_pretrained(folder / "vae")
    with_weights(UMT5EncoderModel(UMT5Config(**T5))).save_pretrained(folder / "text_encoder")
    tokenizer().save_pretrained(folder / "tokenizer")
    UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True
    ).save_pretrained(folder / "scheduler")
    return folder
