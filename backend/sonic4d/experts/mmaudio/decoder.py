"""From latents to sound: MMAudio's VAE makes log-mel spectra, a BigVGAN vocoder the waveform."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from diffusers import MMAudioVocoder
from diffusers.models.autoencoders.autoencoder_mmaudio import MMAudioAutoencoder
from torch import Tensor, nn

CHANNEL_MULTIPLIERS, LAYERS_PER_BLOCK = (1, 2, 4), 2  # of all MMAudio VAEs
PIECE = 256  # mel frames that the vocoder takes at once
FILTER = 6  # samples that an activation sees on either side, for its up- and downsampling


class TanhConv1d(nn.Conv1d):
    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(super().forward(x))


def make_vae(config: dict[str, Any]) -> MMAudioAutoencoder:
    """Only what decodes, of the network inside diffusers' MMAudioVAE; config as that takes it."""
    vae = MMAudioAutoencoder(
        config["mel_bins"],
        config["latent_channels"],
        config["hidden_channels"],
        CHANNEL_MULTIPLIERS,
        LAYERS_PER_BLOCK,
    )
    del vae.encoder
    return vae


def make_vocoder(config: dict[str, Any]) -> MMAudioVocoder:
    """The first BigVGAN, of the 16 kHz model, ends in a bias and a tanh ("tanh" in its config), where the second clips."""
    config = dict(config)
    tanh = config.pop("tanh", False)
    vocoder = MMAudioVocoder(**config)
    if tanh:
        vocoder.conv_post = TanhConv1d(vocoder.conv_post.in_channels, 1, 7, padding=3)
    return vocoder


def decode(vae: MMAudioAutoencoder, latents: Tensor, parts: Sequence[tuple[int, Tensor]]) -> Tensor:
    """(latents, channels) -> log-mel spectra (mel bins, 2 * latents), float32.

    parts: the first latent and the weights (latents, 1) of each window; each is decoded by itself, at the length that
    the VAE's attention knows, and they are crossfaded.
    """
    mel = None
    for first, weights in parts:
        span = latents[first : first + len(weights)].to(vae.data_mean.dtype)
        decoded = vae.decode(span.T[None])[0].float()
        if mel is None:
            mel = decoded.new_zeros(len(decoded), 2 * len(latents))
        mel[:, 2 * first : 2 * (first + len(weights))] += decoded * weights[:, 0].repeat_interleave(
            2
        )
    return mel


def reach(vocoder: MMAudioVocoder) -> int:
    """How many mel frames before and after a sample it depends on, at most."""
    config = vocoder.config
    block = max(
        sum((kernel - 1) // 2 * (dilation + 1) for dilation in dilations)
        + 2 * len(dilations) * FILTER
        for kernel, dilations in zip(
            config.resblock_kernel_sizes, config.resblock_dilation_sizes, strict=True
        )
    )
    frames, samples_a_frame = 3.0, 1
    for rate, kernel in zip(config.upsample_rates, config.upsample_kernel_sizes, strict=True):
        frames += kernel / rate / samples_a_frame
        samples_a_frame *= rate
        frames += block / samples_a_frame
    return math.ceil(frames + (FILTER + 3) / samples_a_frame)


def vocode(vocoder: MMAudioVocoder, mel: Tensor, on_piece: Callable[[int, int], None]) -> Tensor:
    """(mel bins, frames) -> (samples,) float32, piece by piece. `on_piece` takes the numbers of frames done and of all."""
    frames, margin = mel.shape[1], reach(vocoder)
    pieces = []
    for first in range(0, frames, PIECE):
        end = min(first + PIECE, frames)
        begin = max(first - margin, 0)
        part = mel[None, :, begin : end + margin].to(vocoder.dtype)
        sound = vocoder(part).sample[0, 0].float()
        hop = len(sound) // part.shape[2]
        pieces.append(sound[(first - begin) * hop : (end - begin) * hop])
        on_piece(end, frames)
    return torch.cat(pieces)
