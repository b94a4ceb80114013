"""From latents to sound: diffusers' MMAudioVAE makes log-mel spectra, a BigVGAN vocoder the waveform."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import MMAudioVAE, MMAudioVocoder
from torch import Tensor, nn

from ..folders import read_config

PIECE = 128  # mel frames that the vocoder takes at once
MARGIN = 64  # more on either side than its convolutions reach (measured by a test)


class TanhConv1d(nn.Conv1d):
    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(super().forward(x))


class TanhVocoder(MMAudioVocoder):
    """The first BigVGAN, of the 16 kHz model: ends in a bias and a tanh, where the second clips."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.conv_post = TanhConv1d(self.conv_post.in_channels, 1, 7, padding=3)


VOCODERS: dict[str, type[MMAudioVocoder]] = {
    "MMAudioVocoder": MMAudioVocoder,
    "TanhVocoder": TanhVocoder,
}


def load_vae(folder: Path) -> MMAudioVAE:
    """Only what decodes."""
    vae = MMAudioVAE.from_pretrained(folder, use_safetensors=True, local_files_only=True)
    del vae.vae.encoder, vae.mel_converter
    return vae.eval()


def load_vocoder(folder: Path) -> MMAudioVocoder:
    kind = VOCODERS[read_config(folder)["_class_name"]]
    return kind.from_pretrained(folder, use_safetensors=True, local_files_only=True).eval()


def decode(vae: MMAudioVAE, latents: Tensor, parts: Sequence[tuple[int, Tensor]]) -> Tensor:
    """(latents, channels) -> log-mel spectra (mel bins, 2 * latents), float32.

    parts: the first latent and the weights (latents, 1) of each window; each is decoded by itself, at the length that
    the VAE's attention knows, and they are crossfaded.
    """
    mel = None
    for first, weights in parts:
        span = latents[first : first + len(weights)].to(vae.dtype)
        decoded = vae.decode(span.T[None]).sample[0].float()
        if mel is None:
            mel = decoded.new_zeros(len(decoded), 2 * len(latents))
        mel[:, 2 * first : 2 * (first + len(weights))] += decoded * weights[:, 0].repeat_interleave(2)
    return mel


def vocode(vocoder: MMAudioVocoder, mel: Tensor, on_piece: Callable[[int, int], None]) -> Tensor:
    """(mel bins, frames) -> (samples,) float32, piece by piece. `on_piece` takes the numbers of frames done and of all."""
    frames = mel.shape[1]
    pieces = []
    for first in range(0, frames, PIECE):
        end = min(first + PIECE, frames)
        begin = max(first - MARGIN, 0)
        part = mel[None, :, begin : end + MARGIN].to(vocoder.dtype)
        sound = vocoder(part).sample[0, 0].float()
        hop = len(sound) // part.shape[2]
        pieces.append(sound[(first - begin) * hop : (end - begin) * hop])
        on_piece(end, frames)
    return torch.cat(pieces)
