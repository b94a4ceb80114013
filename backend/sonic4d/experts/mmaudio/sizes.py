"""The official models' sizes. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

SYNC_TOKENS = 8  # features of one Synchformer segment
TEXT_TOKENS = 77
HEAD_WIDTH = 64


@dataclass(frozen=True)
class FlowSize:
    """A flow network: `joint_blocks` over sound, pictures and text together, then `fused_blocks` over the sound alone."""

    latent_channels: int
    width: int
    heads: int
    joint_blocks: int
    fused_blocks: int
    v2: bool = False
    clip_width: int = 1024
    sync_width: int = 768
    text_width: int = 1024


FLOWS = {
    "small_16k": FlowSize(20, 448, 7, 4, 8),
    "small_44k": FlowSize(40, 448, 7, 4, 8),
    "medium_44k": FlowSize(40, 896, 14, 4, 8),
    "large_44k": FlowSize(40, 896, 14, 7, 14),
    "large_44k_v2": FlowSize(40, 896, 14, 7, 14, v2=True),
}


@dataclass(frozen=True)
class SynchformerSize:
    width: int = 768
    heads: int = 12
    blocks: int = 12
    picture_px: int = 224
    patch_px: int = 16
    moments: int = SYNC_TOKENS  # of a segment, each of two pictures


# Of diffusers' MMAudioVAE.
VAE_16K = {
    "mel_bins": 80,
    "latent_channels": 20,
    "hidden_channels": 384,
    "sample_rate": 16000,
    "n_fft": 1024,
    "hop_length": 256,
}
VAE_44K = {
    "mel_bins": 128,
    "latent_channels": 40,
    "hidden_channels": 512,
    "sample_rate": 44100,
    "n_fft": 2048,
    "hop_length": 512,
}
# Of diffusers' MMAudioVocoder. The other one's are in its own config.json.
VOCODER_16K = {
    "num_mels": 80,
    "upsample_initial_channel": 1536,
    "upsample_rates": [4, 4, 2, 2, 2, 2],
    "upsample_kernel_sizes": [8, 8, 4, 4, 4, 4],
    "resblock_kernel_sizes": [3, 7, 11],
    "resblock_dilation_sizes": [[1, 3, 5]] * 3,
}
