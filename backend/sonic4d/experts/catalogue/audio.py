"""Experts that make a video's sound."""

from __future__ import annotations

from ..model import Checkpoint, Licence, Model, Part, Preset
from .licences import APPLE_RESEARCH, CC_BY_NC, MIT

_REPO = "hkchengrex/MMAudio"
_CONVERT = "mmaudio.convert:"


def _checkpoint(
    name: str,
    file: str,
    size_bytes: int,
    md5: str,
    kind: str,
    convert: str,
    licence: Licence = CC_BY_NC,
) -> Part:
    """A file of the authors' repository, converted; they publish MD5 sums."""
    return Part(
        name=name,
        repo=_REPO,
        commit=None,
        files=(file,),
        size_bytes=size_bytes,
        licence=licence,
        components={"": kind},
        checkpoint=Checkpoint(file, f"md5:{md5}", _CONVERT + convert),
    )


_SYNCHFORMER = _checkpoint(
    "synchformer",
    "ext_weights/synchformer_state_dict.pth",
    907_000_000,
    "5b2f5594b0730f70e41e549b7c94390c",
    "synchformer",
    "synchformer",
)
_VAE_16K = _checkpoint(
    "vae",
    "ext_weights/v1-16.pth",
    655_000_000,
    "69f56803f59a549a1a507c93859fd4d7",
    "MMAudioVAE",
    "vae",
)
_VAE_44K = _checkpoint(
    "vae",
    "ext_weights/v1-44.pth",
    1_200_000_000,
    "fab020275fa44c6589820ce025191600",
    "MMAudioVAE",
    "vae",
)
_VOCODER_16K = _checkpoint(
    "vocoder",
    "ext_weights/best_netG.pt",
    429_000_000,
    "eeaf372a38a9c31c362120aba2dde292",
    "MMAudioVocoder",
    "vocoder_16k",
    MIT,
)
_VOCODER_44K = Part(
    name="vocoder",
    repo="nvidia/bigvgan_v2_44khz_128band_512x",
    commit="95a9d1dcb12906c03edd938d77b9333d6ded7dfb",
    files=("config.json", "bigvgan_generator.pt"),
    size_bytes=489_000_000,
    licence=MIT,
    components={"": "MMAudioVocoder"},
    checkpoint=Checkpoint("bigvgan_generator.pt", None, _CONVERT + "vocoder_44k"),
)
_CLIP = Part(
    name="clip",
    repo="apple/DFN5B-CLIP-ViT-H-14-378",
    commit=None,
    files=("*.json", "*.txt", "pytorch_model.bin"),
    size_bytes=3_950_000_000,
    licence=APPLE_RESEARCH,
    components={"": "clip"},
    checkpoint=Checkpoint("pytorch_model.bin", None, _CONVERT + "clip"),
)


# Millions of parameters. The decoder of the VAE, the vocoder and Synchformer are smaller than CLIP by far.
_FLOW_M = {
    "small_16k": 157.3,
    "small_44k": 157.4,
    "medium_44k": 621.8,
    "large_44k": 1030.0,
    "large_44k_v2": 1030.6,
}
_CLIP_M = 986.7
_BESIDES_GB = 1.2  # what the networks compute, the pictures, torch itself


def _presets(size: str) -> tuple[Preset, ...]:
    """The networks are loaded one after the other, so the largest decides."""
    largest = max(_FLOW_M[size], _CLIP_M) / 1000
    return (
        Preset("GPU, 16 bit", 2 * largest + _BESIDES_GB, 2 * largest + _BESIDES_GB),
        Preset("CPU, 32 bit", 0.0, 4 * largest + _BESIDES_GB),
    )


def _mmaudio(size: str, bytes_: int, md5: str) -> Model:
    name = f"mmaudio-{size.replace('_', '-')}"
    flow = _checkpoint("flow", f"weights/mmaudio_{size}.pth", bytes_, md5, name, "flow")
    ends = (_VAE_16K, _VOCODER_16K) if size.endswith("16k") else (_VAE_44K, _VOCODER_44K)
    presets = _presets(size)
    return Model(
        name=name,
        job="audio",
        title=f"MMAudio {size.replace('_', ' ')}: the paper's expert, sound for a silent video",
        option=name,
        module="mmaudio.expert",
        memory_gb=round(min(preset.gpu_gb for preset in presets if preset.gpu_gb), 1),
        parts=(flow, _CLIP, _SYNCHFORMER, *ends),
        presets=presets,
    )


MODELS = (
    _mmaudio("large_44k_v2", 3_900_000_000, "01ad4464f049b2d7efdaa4c1a59b8dfe"),
    _mmaudio("large_44k", 3_900_000_000, "fed96c325a6785b85ce75ae1aafd2673"),
    _mmaudio("medium_44k", 2_400_000_000, "5a56b6665e45a1e65ada534defa903d0"),
    _mmaudio("small_44k", 601_000_000, "babd74c884783d13701ea2820a5f5b6d"),
    _mmaudio("small_16k", 601_000_000, "af93cde404179f58e3919ac085b8033b"),
)
