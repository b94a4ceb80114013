"""The official checkpoints (pickles, already read and checked) as safetensors that our networks load.

Each function takes an iterator of state dicts, the downloaded folder and the folder to write into (see `model.Checkpoint`).
Sizes are read off the weights. Raises `Sonic4DError` "bad_checkpoint" where names or shapes are not those expected.
"""

from __future__ import annotations

import dataclasses
import math
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel

from ...files import write_json
from ...protocol import Sonic4DError
from ...shot import read_json
from .decoder import make_vae, make_vocoder
from .flow_network import FlowNetwork
from .sizes import FLOWS, HEAD_WIDTH, VAE_16K, VAE_44K, VOCODER_16K, FlowSize, SynchformerSize
from .synchformer import Synchformer

States = Iterator[Mapping[str, Any]]

WEIGHTS = "model.safetensors"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.json",
    "merges.txt",
)


def flow(states: States, source: Path, folder: Path) -> None:
    """mmaudio_*.pth"""
    # Tables that older versions stored and newer ones compute.
    computed = ("t_embed.freqs", "latent_rot", "clip_rot")
    state = {key: value for key, value in next(states).items() if key not in computed}
    size = _sized(_flow_size, state)
    _check(lambda: FlowNetwork(size), state, "MMAudio's flow network")
    names = [name for name, official in FLOWS.items() if official == size]
    kind = "-".join(["mmaudio", *names]).replace("_", "-")
    _write(folder, state, {"model_type": kind, **dataclasses.asdict(size)})


def _flow_size(state: Mapping[str, Tensor]) -> FlowSize:
    width, latent_channels = state["audio_input_proj.0.weight"].shape[:2]
    v2 = "clip_input_proj.2.w1.weight" in state
    return FlowSize(
        latent_channels,
        width,
        width // len(state["fused_blocks.0.attn.q_norm.weight"]),
        _count(state, "joint_blocks"),
        _count(state, "fused_blocks"),
        v2,
        state["empty_clip_feat"].shape[1],
        state["empty_sync_feat"].shape[1],
        state["empty_string_feat"].shape[1],
    )


def synchformer(states: States, source: Path, folder: Path) -> None:
    """synchformer_state_dict.pth, of which only the visual encoder is kept."""
    prefix = "vfeat_extractor."
    state = {
        key.removeprefix(prefix): value
        for key, value in next(states).items()
        # Its two-dimensional patch embedding is never used.
        if key.startswith(prefix) and not key.startswith(prefix + "patch_embed.")
    }
    size = _sized(_synchformer_size, state)
    _check(lambda: Synchformer(size), state, "Synchformer")
    _write(folder, state, {"model_type": "synchformer", **dataclasses.asdict(size)})


def _synchformer_size(state: Mapping[str, Tensor]) -> SynchformerSize:
    width, _, _, patch_px, _ = state["patch_embed_3d.proj.weight"].shape
    picture_px = patch_px * math.isqrt(state["pos_embed"].shape[1] - 1)
    heads = width // HEAD_WIDTH
    return SynchformerSize(
        width, heads, _count(state, "blocks"), picture_px, patch_px, state["temp_embed"].shape[1]
    )


def vae(states: States, source: Path, folder: Path) -> None:
    """v1-16.pth, v1-44.pth, of which only the decoder is kept.

    diffusers expects weights whose magnitude is already normalised (Karras et al., EDM2, 2024, equation 66).
    """
    state = {
        key: _unit_magnitude(value) if value.ndim == 3 and "data_" not in key else value
        for key, value in next(states).items()
        if not key.startswith("encoder.")
    }
    config = _sized(_vae_config, state)
    _check(lambda: make_vae(config), state, "MMAudio's VAE")
    _write(folder, state, {"_class_name": "MMAudioVAE", **config})


def _vae_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    mel_bins = state["data_mean"].shape[1]
    official = VAE_16K if mel_bins == VAE_16K["mel_bins"] else VAE_44K
    return {
        **official,
        "mel_bins": mel_bins,
        "latent_channels": state["decoder.conv_in.weight"].shape[1],
        "hidden_channels": len(state["decoder.conv_in.weight"]) // 4,
    }


def _unit_magnitude(weight: Tensor) -> Tensor:
    norm = torch.linalg.vector_norm(weight.float(), dim=(1, 2), keepdim=True)
    fan_in = weight[0].numel()
    unit = weight.float() / (1e-4 + norm / math.sqrt(fan_in))
    return (unit / math.sqrt(fan_in)).to(weight.dtype)


def vocoder_16k(states: States, source: Path, folder: Path) -> None:
    """best_netG.pt, of Make-An-Audio 2."""
    _vocoder(next(states), {**VOCODER_16K, "tanh": True}, folder)


def vocoder_44k(states: States, source: Path, folder: Path) -> None:
    """bigvgan_generator.pt, whose sizes are in the config.json beside it."""
    found = read_json(source / "config.json", "a vocoder's configuration")
    config = {key: found[key] for key in VOCODER_16K if key in found}
    _vocoder(next(states), {**config, "tanh": bool(found.get("use_tanh_at_final", True))}, folder)


def _vocoder(checkpoint: Mapping[str, Any], config: dict[str, Any], folder: Path) -> None:
    if not isinstance(checkpoint.get("generator"), Mapping):
        raise _unknown("the vocoder", 'it has no "generator"')
    state = _without_weight_norm(checkpoint["generator"])
    _check(lambda: make_vocoder(config), state, "the vocoder")
    _write(folder, state, {"_class_name": "MMAudioVocoder", **config})


def _without_weight_norm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Magnitudes g and directions v (Salimans and Kingma, 2016) as plain weights, under torch's newer and older names."""
    pair = re.compile(r"(.*)\.(?:parametrizations\.weight\.original([01])|weight_([gv]))")
    plain: dict[str, Tensor] = {}
    pairs: dict[str, dict[str, Tensor]] = {}
    for key, value in state.items():
        if match := pair.fullmatch(key):
            part = {"0": "g", "1": "v"}.get(match[2] or "", match[3] or "")
            pairs.setdefault(f"{match[1]}.weight", {})[part] = value
        else:
            plain[key] = value
    for key, parts in pairs.items():
        if set(parts) != {"g", "v"}:
            raise _unknown("the vocoder", f"half of {key} is missing")
        plain[key] = torch._weight_norm(parts["v"], parts["g"], 0)
    return plain


def clip(states: States, source: Path, folder: Path) -> None:
    """pytorch_model.bin of DFN5B CLIP, as transformers wrote it."""
    config = CLIPConfig.from_pretrained(source, local_files_only=True)
    computed = "embeddings.position_ids"
    state = {key: value for key, value in next(states).items() if not key.endswith(computed)}
    _check(lambda: CLIPModel(config), state, "CLIP")
    _write(folder, state, config.to_dict())
    for name in TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)


def _count(state: Mapping[str, Tensor], blocks: str) -> int:
    return 1 + max(int(key.split(".")[1]) for key in state if key.startswith(f"{blocks}."))


def _sized(read: Callable[[Mapping[str, Tensor]], Any], state: Mapping[str, Tensor]) -> Any:
    """What `read` makes of the shapes."""
    try:
        return read(state)
    except (KeyError, ValueError, IndexError, AttributeError) as error:
        raise _unknown("the checkpoint", f"{error} is missing or has another shape") from None


def _check(make: Callable[[], nn.Module], state: Mapping[str, Tensor], what: str) -> None:
    """Names and shapes have to be the network's, all of them."""
    with torch.device("meta"):
        expected = {key: tuple(value.shape) for key, value in make().state_dict().items()}
    found = {key: tuple(value.shape) for key, value in state.items()}
    different = sorted(key for key in {*expected, *found} if expected.get(key) != found.get(key))
    if different:
        raise _unknown(what, f"{len(different)} weights differ, such as {different[0][:100]}")


def _unknown(what: str, why: str) -> Sonic4DError:
    return Sonic4DError(
        "bad_checkpoint",
        f"The file is not {what} as Sonic4D knows it: {why}.",
        "Download the model again; if that doesn't help, update Sonic4D.",
    )


def _write(folder: Path, state: Mapping[str, Tensor], config: dict[str, Any]) -> None:
    whole = {key: value.contiguous() for key, value in state.items()}
    save_file(whole, folder / WEIGHTS, {"format": "pt"})
    write_json(folder / "config.json", config)
