"""Models of the real make, tiny and with random weights, as folders that hold what the hub's do.

Random initialisation leaves some heads flat, so noise is added: outputs then depend on the input.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
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


def numbered(model: torch.nn.Module) -> torch.nn.Module:
    """The model with weights that follow from their names, the same with every version of every library."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(_named_numbers(name, tuple(parameter.shape), 0.1))
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


def depthcrafter_unet(folder: Path) -> Path:
    from diffusers import UNetSpatioTemporalConditionModel

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
    numbered(model).save_pretrained(folder)
    # The hub's folder names the authors' class.
    config = json.loads((folder / "config.json").read_text())
    config["_class_name"] = "DiffusersUNetSpatioTemporalConditionModelDepthCrafter"
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def stable_video(folder: Path) -> Path:
    """What DepthCrafter needs of Stable Video Diffusion. The autoencoder shrinks by 8, else all is very slow."""
    from diffusers import AutoencoderKLTemporalDecoder, EulerDiscreteScheduler
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

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
    numbered(vae).save_pretrained(folder / "vae", variant="fp16")
    numbered(clip).save_pretrained(folder / "image_encoder", variant="fp16")
    EulerDiscreteScheduler(**SCHEDULER).save_pretrained(folder / "scheduler")
    return folder


def depthcrafter(folder: Path) -> Path:
    depthcrafter_unet(folder / "unet")
    stable_video(folder / "svd")
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


def upstream_video_depth_anything() -> tuple[dict[str, torch.Tensor], dict[str, object]]:
    """A checkpoint with the authors' names, and the configuration that fits it; the same with every version of every library."""
    width, layers, fused, necks, head = 32, 4, 32, (32, 32, 64, 64), 32
    shapes: dict[str, tuple[int, ...]] = {
        "pretrained.cls_token": (1, 1, width),
        "pretrained.pos_embed": (1, 26, width),
        "pretrained.mask_token": (1, width),
        "pretrained.patch_embed.proj": (width, 3, 14, 14),
        "pretrained.norm": (width,),
        "head.scratch.output_conv1": (fused // 2, fused, 3, 3),
        "head.scratch.output_conv2.0": (head, fused // 2, 3, 3),
        "head.scratch.output_conv2.2": (1, head, 1, 1),
    }
    for i in range(layers):
        block = f"pretrained.blocks.{i}."
        shapes |= {f"{block}norm1": (width,), f"{block}norm2": (width,)}
        shapes |= {f"{block}ls1.gamma": (width,), f"{block}ls2.gamma": (width,)}
        shapes |= {f"{block}attn.qkv": (3 * width, width), f"{block}attn.proj": (width, width)}
        shapes |= {f"{block}mlp.fc1": (4 * width, width), f"{block}mlp.fc2": (width, 4 * width)}
    for i, neck in enumerate(necks):
        shapes[f"head.projects.{i}"] = (neck, width, 1, 1)
        shapes[f"head.scratch.layer{i + 1}_rn.weight"] = (fused, neck, 3, 3)
        refine = f"head.scratch.refinenet{i + 1}."
        shapes[f"{refine}out_conv"] = (fused, fused, 1, 1)
        for unit in ("resConfUnit1.conv1", "resConfUnit1.conv2"):
            shapes[f"{refine}{unit}"] = (fused, fused, 3, 3)
            shapes[f"{refine}{unit.replace('1.', '2.')}"] = (fused, fused, 3, 3)
    shapes["head.resize_layers.0"] = (necks[0], necks[0], 4, 4)
    shapes["head.resize_layers.1"] = (necks[1], necks[1], 2, 2)
    shapes["head.resize_layers.3"] = (necks[3], necks[3], 3, 3)
    for i, size in enumerate((*necks[2:], fused, fused)):
        module = f"head.motion_modules.{i}.temporal_transformer."
        block = f"{module}transformer_blocks.0."
        shapes |= {f"{module}norm": (size,), f"{block}ff_norm": (size,)}
        shapes |= {f"{module}proj_in": (size, size), f"{module}proj_out": (size, size)}
        shapes[f"{block}ff.net.0.proj"] = (8 * size, size)
        shapes[f"{block}ff.net.2"] = (size, 4 * size)
        for j in range(2):
            attention = f"{block}attention_blocks.{j}."
            shapes[f"{block}norms.{j}"] = (size,)
            shapes |= {f"{attention}to_{x}.weight": (size, size) for x in "qkv"}
            shapes[f"{attention}to_out.0"] = (size, size)
            shapes[f"{attention}pos_encoder.pe"] = (1, 32, size)
    state: dict[str, torch.Tensor] = {}
    for name, shape in shapes.items():
        if name.endswith(".pe"):
            state[name] = _sinusoids(shape)
        elif name.endswith(("_token", "_embed", ".gamma", ".weight")):
            state[name] = _named_numbers(name, shape)
        else:
            state[f"{name}.weight"] = _named_numbers(f"{name}.weight", shape)
            outputs = (
                shape[1] if ".resize_layers.0" in name or ".resize_layers.1" in name else shape[0]
            )
            state[f"{name}.bias"] = _named_numbers(f"{name}.bias", (outputs,), 0.1)
    state["head.scratch.output_conv2.2.weight"] *= 0.1
    state["head.scratch.output_conv2.2.bias"] += 0.7  # else much of it is 0
    config = {
        "backbone_config": DINOV2,
        "neck_hidden_sizes": list(necks),
        **HEAD,
        "head_hidden_size": head,
    }
    return state, config


def _named_numbers(name: str, shape: tuple[int, ...], scale: float = 1.0) -> torch.Tensor:
    """Normal numbers that follow from the name; scaled so that layers neither explode nor fade, near 1 for norms, `scale` for
    biases."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    numbers = torch.from_numpy(random.standard_normal(shape).astype(np.float32))
    if len(shape) == 1 and not name.endswith("bias"):
        return 1 + 0.1 * numbers
    if len(shape) == 1:
        return scale * numbers
    return numbers * (1.2 / max(int(np.prod(shape[1:])), 1) ** 0.5)


def _sinusoids(shape: tuple[int, ...]) -> torch.Tensor:
    """The position table of Vaswani et al. 2017."""
    _, count, size = shape
    angle = np.arange(count)[:, None] * np.exp(np.arange(0, size, 2) * (-np.log(10000.0) / size))
    table = np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(1, count, size)
    return torch.from_numpy(table.astype(np.float32))
