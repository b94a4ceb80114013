"""Models of the real make, tiny and with random weights, as folders that hold what the hub's do.

Random initialisation leaves some heads flat, so noise is added: outputs then depend on the input.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

NOISE = 0.05

DINOV2 = {
    "model_type": "dinov2",
    "hidden_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "image_size": 70,
    "patch_size": 14,
    "out_indices": [1, 2, 3, 4],
    "apply_layernorm": True,
    "reshape_hidden_states": False,
}
HEAD = {
    "reassemble_hidden_size": 32,
    "fusion_hidden_size": 32,
    "head_hidden_size": 16,
    "head_in_index": -1,
    "patch_size": 14,
}
SCHEDULER = {  # Stable Video Diffusion's
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "interpolation_type": "linear",
    "num_train_timesteps": 1000,
    "prediction_type": "v_prediction",
    "sigma_max": 700.0,
    "sigma_min": 0.002,
    "steps_offset": 1,
    "timestep_spacing": "leading",
    "timestep_type": "continuous",
    "use_karras_sigmas": True,
}


def stirred(model: torch.nn.Module, seed: int, noise: float = NOISE) -> torch.nn.Module:
    """The model with noise added to all its weights."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(noise * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def depth_anything(
    folder: Path, metric: bool = False, seed: int = 0, agreeing: bool = True
) -> Path:
    """agreeing: whether a metric one takes for near what a relative one of the same seed does."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation

    torch.manual_seed(seed)
    config = DepthAnythingConfig(
        backbone_config=DINOV2,
        neck_hidden_sizes=[8, 8, 16, 16],
        depth_estimation_type="metric" if metric else "relative",
        max_depth=20 if metric else 1,
        **HEAD,
    )
    model = stirred(DepthAnythingForDepthEstimation(config), seed + 1)
    with torch.no_grad():
        model.head.conv3.weight.abs_().mul_(-5.0 if metric and agreeing else 5.0)
        model.head.conv3.bias.fill_(0.0 if metric else 0.3)
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text("{}")
    return folder


def video_depth_anything(folder: Path, seed: int = 0) -> Path:
    from sonic4d.experts.depth.video_network import VideoDepthAnything, VideoDepthAnythingConfig

    torch.manual_seed(seed)
    config = VideoDepthAnythingConfig(
        backbone_config=DINOV2, neck_hidden_sizes=[32, 32, 64, 64], **HEAD
    )
    model = stirred(VideoDepthAnything(config), seed + 1)
    with torch.no_grad():
        model.head.conv3.weight.abs_().mul_(5.0)
        model.head.conv3.bias.fill_(0.3)
    model.save_pretrained(folder)
    return folder


def depthcrafter_unet(folder: Path, seed: int = 0) -> Path:
    from diffusers import UNetSpatioTemporalConditionModel

    torch.manual_seed(seed)
    model = UNetSpatioTemporalConditionModel(
        sample_size=8,
        in_channels=8,
        out_channels=4,
        down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
        block_out_channels=(32, 64),
        addition_time_embed_dim=32,
        projection_class_embeddings_input_dim=96,
        layers_per_block=1,
        cross_attention_dim=32,
        transformer_layers_per_block=1,
        num_attention_heads=(2, 4),
    )
    stirred(model, seed + 1, 0.03).save_pretrained(folder)
    # The hub's folder names the authors' class.
    config = json.loads((folder / "config.json").read_text())
    config["_class_name"] = "DiffusersUNetSpatioTemporalConditionModelDepthCrafter"
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def stable_video(folder: Path, seed: int = 0) -> Path:
    """What DepthCrafter needs of Stable Video Diffusion. The autoencoder shrinks by 8, else all is very slow."""
    from diffusers import AutoencoderKLTemporalDecoder, EulerDiscreteScheduler
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(seed)
    vae = AutoencoderKLTemporalDecoder(
        down_block_types=["DownEncoderBlock2D"] * 4,
        block_out_channels=[32] * 4,
        layers_per_block=1,
    )
    clip = CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=32,
            projection_dim=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=37,
            image_size=224,
            patch_size=32,
        )
    )
    stirred(vae, seed + 1, 0.03).save_pretrained(folder / "vae", variant="fp16")
    stirred(clip, seed + 2, 0.03).save_pretrained(folder / "image_encoder", variant="fp16")
    EulerDiscreteScheduler(**SCHEDULER).save_pretrained(folder / "scheduler")
    return folder


def depthcrafter(folder: Path, seed: int = 0) -> Path:
    depthcrafter_unet(folder / "unet", seed)
    stable_video(folder / "svd", seed)
    return folder


def depth_pro(folder: Path, seed: int = 0) -> Path:
    from transformers import DepthProConfig, DepthProForDepthEstimation

    torch.manual_seed(seed)
    encoder = {
        "model_type": "dinov2",
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 16,
        "patch_size": 4,
    }
    config = DepthProConfig(
        patch_size=16,
        fusion_hidden_size=16,
        intermediate_hook_ids=[1, 0],
        intermediate_feature_dims=[10, 8],
        scaled_images_ratios=[0.5, 1.0],
        scaled_images_overlap_ratios=[0.0, 0.2],
        scaled_images_feature_dims=[12, 12],
        use_fov_model=True,
        num_fov_head_layers=0,
        image_model_config=dict(encoder),
        patch_model_config=dict(encoder),
        fov_model_config=dict(encoder),
    )
    model = stirred(DepthProForDepthEstimation(config), seed + 1)
    with torch.no_grad():
        model.head.layers[-2].bias.fill_(0.5)
        model.fov_model.head.layers[-1].bias.fill_(50.0)
    model.save_pretrained(folder)
    return folder


def upstream_video_depth_anything(
    seed: int = 0,
) -> tuple[dict[str, torch.Tensor], dict[str, object]]:
    """A checkpoint with the authors' names, and the configuration that fits it."""
    from sonic4d.experts.depth.video_depth_anything import UPSTREAM_NAMES
    from sonic4d.experts.depth.video_network import VideoDepthAnything, VideoDepthAnythingConfig

    config = {"backbone_config": DINOV2, "neck_hidden_sizes": [32, 32, 64, 64], **HEAD}
    torch.manual_seed(seed)
    model = stirred(VideoDepthAnything(VideoDepthAnythingConfig(**config)), seed + 1)
    with torch.no_grad():
        model.head.conv3.weight.abs_().mul_(5.0)
        model.head.conv3.bias.fill_(0.3)
    ours = model.state_dict()
    state: dict[str, torch.Tensor] = {}
    for name, tensor in ours.items():
        if ".attention.attention." in name:
            before, after = name.split(".attention.attention.")
            part, kind = after.split(".")
            if part != "query":
                continue
            names = [f"{before}.attention.attention.{p}.{kind}" for p in ("query", "key", "value")]
            name, tensor = f"{before}.attn.qkv.{kind}", torch.cat([ours[n] for n in names])
        for old, new in reversed(UPSTREAM_NAMES):
            name = name.replace(new, old)
        state[name] = tensor
    return state, config
