"""Experts that fill what a new camera sees and the video didn't."""

from __future__ import annotations

from ..model import Licence, Model, Part
from ..novel_view.memory import Network, needs
from .licences import APACHE, BSD_3

TRAJECTORYCRAFTER = Licence(
    "TrajectoryCrafter (academic, research and education only)",
    "https://github.com/TrajectoryCrafter/TrajectoryCrafter/blob/main/LICENSE",
    commercial=False,
)
COGVIDEOX = Licence(
    "CogVideoX", "https://huggingface.co/THUDM/CogVideoX-5b/blob/main/LICENSE", commercial=False
)

# Parameters counted on torch's meta device. Activations: the largest sum of live tensors of one evaluation with 16-bit fake
# tensors, of 49 frames of 672x384 pixels (TrajectoryCrafter) and 81 of 832x480 (Wan).
TRAJECTORYCRAFTER_NETWORKS = {
    "text_encoder": Network(4_762_310_656, 131_596_288, 0.1, 0.1),
    "transformer": Network(6_099_432_000, 37_748_736, 1.1, 1.1),
    "vae": Network(215_583_907, 7_077_888, 11.9, 4.0),
}
WAN_VACE_NETWORKS = {
    "text_encoder": Network(5_680_910_336, 1_050_148_864, 0.2, 0.2),
    "transformer": Network(2_153_972_032, 14_155_776, 3.3, 3.3),
    "vae": Network(126_892_531, 3_981_312, 4.3, 1.0, bytes=4),
}
TRAJECTORYCRAFTER_NEEDS = needs([*TRAJECTORYCRAFTER_NETWORKS.values()])
WAN_VACE_NEEDS = needs([*WAN_VACE_NETWORKS.values()])

MODELS = (
    Model(
        name="wan-vace-1.3b",
        job="novel_view",
        title="Wan 2.1 VACE 1.3B: repaints the gaps of a rendered view",
        option="wan-vace",
        module="novel_view.wan_vace",
        memory_gb=round(WAN_VACE_NEEDS["sequential"].gpu_gb, 1),
        needs_gpu=True,
        presets=tuple(WAN_VACE_NEEDS.values()),
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
        memory_gb=round(TRAJECTORYCRAFTER_NEEDS["sequential"].gpu_gb, 1),
        needs_gpu=True,
        presets=tuple(TRAJECTORYCRAFTER_NEEDS.values()),
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
    Model(
        name="blip-captioning",
        job="novel_view",
        title="BLIP base: describes the scene for the other two",
        module="novel_view.captions",
        memory_gb=1.5,
        parts=(
            Part(
                repo="Salesforce/blip-image-captioning-base",
                commit=None,
                files=("*.json", "vocab.txt", "model.safetensors"),
                size_bytes=990_000_000,
                licence=BSD_3,
                components={"": "blip"},
                needs=("preprocessor_config.json", "tokenizer_config.json"),
            ),
        ),
    ),
)
