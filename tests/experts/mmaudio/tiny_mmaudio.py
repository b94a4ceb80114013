"""MMAudio so small that it takes a second, with random weights: a local folder as `models download` would leave it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import sonic4d.experts  # noqa: F401  (before torch's libraries)
import torch
from safetensors.torch import save_file
from sonic4d.experts.mmaudio.decoder import make_vae, make_vocoder
from sonic4d.experts.mmaudio.flow_network import FlowNetwork
from sonic4d.experts.mmaudio.sizes import FlowSize, SynchformerSize
from sonic4d.experts.mmaudio.synchformer import Synchformer
from sonic4d.files import write_json
from torch import nn
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

WIDTH = 16
LATENT_CHANNELS, MEL_BINS = 4, 8
FLOW = FlowSize(LATENT_CHANNELS, 32, 2, 2, 2, True, WIDTH, WIDTH, WIDTH)
SYNCHFORMER = SynchformerSize(WIDTH, 2, 1, 224, 112)
VAE = {
    "mel_bins": MEL_BINS,
    "latent_channels": LATENT_CHANNELS,
    "hidden_channels": 8,
    "sample_rate": 44100,
    "n_fft": 2048,
    "hop_length": 512,
}
VOCODER = {
    "num_mels": MEL_BINS,
    "upsample_initial_channel": 32,
    "upsample_rates": [8, 8, 8],
    "upsample_kernel_sizes": [16, 16, 16],
    "resblock_kernel_sizes": [3],
    "resblock_dilation_sizes": [[1, 3]],
}


def randomised(network: nn.Module, seed: int, scale: float = 0.2) -> nn.Module:
    """Noise on all weights: as they are made, parts of the networks are zero and would prove nothing."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in network.parameters():
            weight += scale * torch.randn(weight.shape, generator=generator)
    return network.eval()


def make_flow() -> FlowNetwork:
    return randomised(FlowNetwork(FLOW), 1)


def make_folder(folder: Path) -> Path:
    """All parts, each in its subfolder; see `catalogue.audio`."""
    torch.manual_seed(0)
    _write(
        folder / "flow",
        make_flow(),
        {"model_type": "mmaudio-small-44k", **dataclasses.asdict(FLOW)},
    )
    size = dataclasses.asdict(SYNCHFORMER)
    synchformer = randomised(Synchformer(SYNCHFORMER), 2)
    _write(folder / "synchformer", synchformer, {"model_type": "synchformer", **size})
    _write(folder / "vae", randomised(make_vae(VAE), 3), {"_class_name": "MMAudioVAE", **VAE})
    vocoder = randomised(make_vocoder(VOCODER), 4, 0.1)
    with torch.no_grad():
        vocoder.conv_post.weight *= 0.2  # it must not clip: that would hide steps of the level
    _write(folder / "vocoder", vocoder, {"_class_name": "MMAudioVocoder", **VOCODER})
    make_clip(folder / "clip")
    return folder


def make_clip(folder: Path) -> Path:
    letters = list(bytes_to_unicode().values())
    ends = ["<|startoftext|>", "<|endoftext|>"]
    tokens = [*letters, *(letter + "</w>" for letter in letters), *ends]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    CLIPTokenizer(vocab=vocabulary, merges=[]).save_pretrained(folder)
    layers = {
        "hidden_size": WIDTH,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "hidden_act": "quick_gelu",
    }
    config = CLIPConfig(
        text_config={
            **layers,
            "vocab_size": len(tokens),
            "bos_token_id": len(tokens) - 2,
            "eos_token_id": len(tokens) - 1,
        },
        vision_config={**layers, "image_size": 378, "patch_size": 126},
        projection_dim=WIDTH,
    )
    randomised(CLIPModel(config), 5, 0.02).save_pretrained(folder)
    return folder


def _write(folder: Path, network: nn.Module, config: dict[str, Any]) -> None:
    folder.mkdir(parents=True)
    state = {key: value.contiguous() for key, value in network.state_dict().items()}
    save_file(state, folder / "model.safetensors")
    write_json(folder / "config.json", config)
