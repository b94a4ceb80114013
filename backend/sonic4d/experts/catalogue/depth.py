"""Depth experts."""

from __future__ import annotations

from ..model import Checkpoint, Licence, Model, Part
from .licences import APACHE, APPLE_RESEARCH

DEPTHCRAFTER = Licence(
    "DepthCrafter (academic, research and education only)",
    "https://github.com/Tencent/DepthCrafter/blob/main/LICENSE",
    commercial=False,
)
STABLE_VIDEO = Licence(
    "stable-video-diffusion-community",
    "https://huggingface.co/stabilityai/stable-video-diffusion-img2vid-xt/blob/main/LICENSE.md",
    commercial=False,
)

_DEPTH_ANYTHING_FILES = ("config.json", "preprocessor_config.json", "model.safetensors")


def _depth_anything(repo: str, commit: str, sha256: str) -> Part:
    return Part(
        repo=f"depth-anything/{repo}",
        commit=commit,
        files=_DEPTH_ANYTHING_FILES,
        size_bytes=99_175_385,
        licence=APACHE,
        components={"": "depth_anything"},
        sha256={"model.safetensors": sha256},
    )


MODELS = (
    Model(
        name="video-depth-anything-small",
        job="depth",
        title="Video Depth Anything Small: steady relative depth",
        option="video-depth-anything",
        module="depth.video_depth_anything",
        memory_gb=3.0,
        parts=(
            Part(
                repo="depth-anything/Video-Depth-Anything-Small",
                commit="256875362cff76724b920335dfb4b29dd611f66e",
                files=("video_depth_anything_vits.pth",),
                size_bytes=116_440_756,
                licence=APACHE,
                components={"": "video_depth_anything"},
                checkpoint=Checkpoint(
                    "video_depth_anything_vits.pth",
                    "sha256:13379300b739e659f076a59d52e9801bd8d38c541a7e71f73bbca4dcfb013609",
                    "depth.video_depth_anything:convert",
                ),
            ),
        ),
    ),
    Model(
        name="depth-anything-v2-small",
        job="depth",
        title="Depth Anything V2 Small: relative depth of each frame, aligned over time",
        option="depth-anything",
        module="depth.depth_anything",
        memory_gb=1.0,
        parts=(
            _depth_anything(
                "Depth-Anything-V2-Small-hf",
                "5426e4f0f36572d16453bbda7a8389317b1bef99",
                "3152477ce0d8d6978d76b995120de97cb5b928701fd0f817769f59e249a16b70",
            ),
        ),
    ),
    Model(
        name="depth-anything-v2-metric-indoor",
        job="depth",
        title="Depth Anything V2 Small, metric, indoors: metres up to 20 m",
        option="depth-anything-indoor",
        module="depth.depth_anything",
        memory_gb=1.0,
        parts=(
            _depth_anything(
                "Depth-Anything-V2-Metric-Indoor-Small-hf",
                "8078d68a9c75a972131914f6afd0c1723be0da7f",
                "e990eb82fbf11b05b7813261196a2b841bdcf5a05f64396724a8987fa90504a3",
            ),
        ),
    ),
    Model(
        name="depth-anything-v2-metric-outdoor",
        job="depth",
        title="Depth Anything V2 Small, metric, outdoors: metres up to 80 m",
        option="depth-anything-outdoor",
        module="depth.depth_anything",
        memory_gb=1.0,
        parts=(
            _depth_anything(
                "Depth-Anything-V2-Metric-Outdoor-Small-hf",
                "fd2c22027eaf20374204f14099b8341e1925ad39",
                "ad065c77a7421ca55159a1f0db9433397a607690f2d76bb8a6fc54b1be7a3124",
            ),
        ),
    ),
    Model(
        name="depthcrafter",
        job="depth",
        title="DepthCrafter: the paper's expert, steady relative depth by diffusion",
        option="depthcrafter",
        module="depth.depthcrafter",
        memory_gb=9.0,
        needs_gpu=True,
        parts=(
            Part(
                name="unet",
                repo="tencent/DepthCrafter",
                commit=None,
                files=("config.json", "diffusion_pytorch_model.safetensors"),
                size_bytes=3_050_000_000,
                licence=DEPTHCRAFTER,
                components={"": "*UNetSpatioTemporalConditionModel*"},
            ),
            Part(
                name="svd",
                repo="stabilityai/stable-video-diffusion-img2vid-xt",
                commit="9e43909513c6714f1bc78bcb44d96e733cd242aa",
                files=(
                    "image_encoder/config.json",
                    "image_encoder/model.fp16.safetensors",
                    "vae/config.json",
                    "vae/diffusion_pytorch_model.fp16.safetensors",
                    "scheduler/scheduler_config.json",
                ),
                size_bytes=1_460_000_000,
                licence=STABLE_VIDEO,
                components={
                    "image_encoder": "clip_vision_model",
                    "vae": "AutoencoderKLTemporalDecoder",
                },
                needs=("scheduler/scheduler_config.json",),
            ),
        ),
    ),
    Model(
        name="depth-pro",
        job="depth",
        title="Depth Pro: metres and field of view of each frame",
        option="depth-pro",
        module="depth.depth_pro",
        memory_gb=5.0,
        parts=(
            Part(
                repo="apple/DepthPro-hf",
                commit=None,
                files=("config.json", "preprocessor_config.json", "model.safetensors"),
                size_bytes=1_900_000_000,
                licence=APPLE_RESEARCH,
                components={"": "depth_pro"},
            ),
        ),
    ),
)
