"""Experts that find things by words, and that follow them."""

from __future__ import annotations

from ..model import Checkpoint, Licence, Model, Part
from .licences import APACHE

GROUNDING_GPT = Licence(
    "GroundingGPT (on LLaMA and Vicuna, non-commercial)",
    "https://github.com/lzw-lzw/GroundingGPT",
    commercial=False,
)
CLIP = Licence("MIT (CLIP)", "https://github.com/openai/CLIP/blob/main/LICENSE", commercial=True)

# Without them transformers makes up a tokenizer that knows no words.
_BESIDE = ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json")

MODELS = (
    Model(
        name="grounding-dino-tiny",
        job="grounding",
        title="Grounding DINO tiny: finds what a phrase names",
        option="grounding-dino",
        module="grounding.grounding_dino",
        memory_gb=3.0,
        needs_words=True,
        parts=(
            Part(
                repo="IDEA-Research/grounding-dino-tiny",
                commit="a2bb814dd30d776dcf7e30523b00659f4f141c71",
                files=("*.json", "vocab.txt", "model.safetensors"),
                size_bytes=690_000_000,
                licence=APACHE,
                components={"": "grounding-dino"},
                needs=_BESIDE,
            ),
        ),
    ),
    Model(
        name="qwen-vl-2b",
        job="grounding",
        title="Qwen3-VL 2B: finds what a sentence describes",
        option="qwen-vl",
        module="grounding.qwen_vl",
        memory_gb=6.0,
        parts=(
            Part(
                repo="Qwen/Qwen3-VL-2B-Instruct",
                commit="89644892e4d85e24eaac8bacfd4f463576704203",
                files=("*.json", "*.txt", "*.jinja", "*.safetensors"),
                size_bytes=4_300_000_000,
                licence=APACHE,
                components={"": "qwen3_vl"},
                needs=_BESIDE,
            ),
        ),
    ),
    Model(
        name="grounding-gpt",
        job="grounding",
        title="GroundingGPT: the paper's expert",
        option="grounding-gpt",
        module="grounding.grounding_gpt",
        memory_gb=16.0,
        needs_gpu=True,
        parts=(
            Part(
                name="llm",
                repo="zwli/GroundingGPT",
                commit=None,
                files=("*.json", "tokenizer.model", "pytorch_model*.bin", "*.safetensors"),
                size_bytes=14_000_000_000,
                licence=GROUNDING_GPT,
                components={"": "LEGO"},
                needs=("tokenizer_config.json",),
                checkpoint=Checkpoint(
                    "pytorch_model*.bin", None, "grounding.grounding_gpt_weights:convert"
                ),
            ),
            Part(
                name="clip",
                repo="openai/clip-vit-large-patch14-336",
                commit="ce19dc912ca5cd21c8a653c79e251e808ccabcd1",
                files=("config.json", "preprocessor_config.json", "pytorch_model.bin"),
                size_bytes=1_710_000_000,
                licence=CLIP,
                components={"": "clip_vision_model"},
                needs=("preprocessor_config.json",),
                checkpoint=Checkpoint(
                    "pytorch_model.bin", None, "grounding.grounding_gpt_weights:convert_clip"
                ),
            ),
        ),
    ),
    Model(
        name="sam2-tiny",
        job="tracking",
        title="SAM 2.1 tiny: follows a thing through the video",
        option="sam2",
        module="grounding.sam2",
        memory_gb=2.0,
        parts=(
            Part(
                repo="facebook/sam2.1-hiera-tiny",
                commit="de431c4043854a71d8101e17995dfe596bf101a5",
                files=("*.json", "model.safetensors"),
                size_bytes=156_000_000,
                licence=APACHE,
                components={"": "sam2*"},
            ),
        ),
    ),
    Model(
        name="edgetam",
        job="tracking",
        title="EdgeTAM: follows a thing through the video, faster (needs timm and torchvision)",
        option="edgetam",
        module="grounding.sam2",
        memory_gb=2.0,
        parts=(
            Part(
                repo="yonigozlan/EdgeTAM-hf",
                commit=None,
                files=("*.json", "model.safetensors"),
                size_bytes=60_000_000,
                licence=APACHE,
                components={"": "edgetam*"},
            ),
        ),
    ),
)
