"""Experts that fill what a new camera sees and the video didn't."""

from __future__ import annotations

from ..model import Licence, Model, Part
from .licences import APACHE

TRAJECTORYCRAFTER = Licence(
    "TrajectoryCrafter (academic, research and education only)",
    "https://github.com/TrajectoryCrafter/TrajectoryCrafter/blob/main/LICENSE",
    commercial=False,
)
COGVIDEOX = Licence(
    "CogVideoX", "https://huggingface.co/THUDM/CogVideoX-5b/blob/main/LICENSE", commercial=False
)

MODELS = (
    Model(
        name="wan-vace-1.3b",
        job="novel_view",
        title="Wan 2.1 VACE 1.3B: repaints the gaps of a rendered view",
        option="wan-vace",
        module="novel_view.wan_vace",
        memory_gb=12.0,
        needs_gpu=True,
        parts=(
            Part(
                repo="Wan-AI/Wan2.1-VACE-1.3B-diffusers",
                commit="ec4d2cb062b548996b179d493fdd05340de702a1",
                files=(
                    "model_index.json",
                    "scheduler/*",
                    "tokenizer/*",
                    "text_encoder/*.json",
                    "text_encoder/*.safetensors",
                    "transformer/*.json",
                    "transformer/*.safetensors",
                    "vae/*.json",
                    "vae/*.safetensors",
                ),
                size_bytes=19_000_000_000,
                licence=APACHE,
                components={
                    "text_encoder": "umt5",
                    "transformer": "WanVACETransformer3DModel",
                    "vae": "AutoencoderKLWan",
                },
                needs=("scheduler/scheduler_config.json", "tokenizer/tokenizer_config.json"),
            ),
        ),
    ),
    Model(
        name="trajectorycrafter",
        job="novel_view",
        title="TrajectoryCrafter: the paper's expert",
        option="trajectorycrafter",
        module="novel_view.trajectorycrafter",
        memory_gb=24.0,
        needs_gpu=True,
        parts=(
            Part(
                name="transformer",
                repo="TrajectoryCrafter/TrajectoryCrafter",
                commit=None,
                files=("*.json", "*.safetensors"),
                size_bytes=12_200_000_000,
                licence=TRAJECTORYCRAFTER,
                components={"": "*Transformer3DModel"},
            ),
            Part(
                name="cogvideox",
                repo="alibaba-pai/CogVideoX-Fun-V1.1-5b-InP",
                commit="b3798d82878e57443314b29d73633a165dd4c008",
                files=(
                    "text_encoder/*.json",
                    "text_encoder/*.safetensors",
                    "tokenizer/*",
                    "scheduler/*",
                    "vae/*.json",
                    "vae/*.safetensors",
                ),
                size_bytes=9_950_000_000,
                licence=COGVIDEOX,
                components={"text_encoder": "t5", "vae": "AutoencoderKLCogVideoX"},
                needs=("tokenizer/tokenizer_config.json", "scheduler/scheduler_config.json"),
            ),
        ),
    ),
)
