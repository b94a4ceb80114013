"""GroundingGPT's checkpoint, as its authors published it, in the stock LLaVA model of transformers."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

from ..loading import bad_model, load_processor
from ..machine import Machine
from ..store import Ready

# What the authors' checkpoint calls the parts that are used, and what LLaVA does.
RENAMED = {
    "model.mm_vision_projector.0.": "model.multi_modal_projector.linear_1.",
    "model.mm_vision_projector.2.": "model.multi_modal_projector.linear_2.",
    "model.embed_tokens.": "model.language_model.embed_tokens.",
    "model.layers.": "model.language_model.layers.",
    "model.norm.": "model.language_model.norm.",
    "lm_head.": "lm_head.",
}
_VISION = "vision_model."  # what CLIP calls its half that sees
_PREPROCESSING = "preprocessor_config.json"


def load_llava(
    ready: Ready, tokenizer: Any, patch_token: str, machine: Machine
) -> LlavaForConditionalGeneration:
    """The LLaVA model with the language model and projector of the part "llm" and the CLIP of the part "clip" (safetensors
    both). patch_token: what stands for a patch. Raises `Sonic4DError` where something doesn't fit together.
    """
    folder, clip = ready.folders["llm"], ready.folders["clip"]
    vision = load_processor(CLIPVisionConfig, ready, clip)
    text = load_processor(LlamaConfig, ready, folder)
    if len(tokenizer) > text.vocab_size:
        why = f"its tokenizer has {len(tokenizer)} words, its weights {text.vocab_size}"
        raise bad_model(ready, folder, why)
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids(patch_token),
        image_seq_length=(vision.image_size // vision.patch_size) ** 2,
        vision_feature_layer=getattr(text, "mm_vision_select_layer", -1),
        tie_word_embeddings=False,
    )
    with torch.device("meta"):
        wanted = LlavaForConditionalGeneration(config).state_dict()
    tower = _prefix(wanted)
    weights = _renamed(folder, RENAMED) | _renamed(clip, {_VISION: tower, "": tower})
    lacking = sorted(wanted.keys() - weights.keys())
    if lacking:
        raise bad_model(ready, folder, f"{len(lacking)} weights are missing, {lacking[0]} is one")
    odd = [name for name in wanted if wanted[name].shape != weights[name].shape]
    if odd:
        raise bad_model(ready, folder, f"{odd[0]} has another shape than its config.json says")
    transformers.utils.logging.disable_progress_bar()
    model = LlavaForConditionalGeneration.from_pretrained(
        None,
        config=config,
        state_dict={name: weights[name] for name in wanted},
        dtype=machine.dtype,
    )
    return model.eval().requires_grad_(requires_grad=False).to(machine.device)


def convert(states: Iterator[dict[str, torch.Tensor]], snapshot: Path, folder: Path) -> None:
    """The authors' pickled shards as safetensors, names and all, without the branches for video and sound."""
    for number, state in enumerate(states):
        used = {
            name: weight.contiguous()
            for name, weight in state.items()
            if name.startswith(tuple(RENAMED))
        }
        if used:
            save_file(used, folder / f"model-{number:05}.safetensors")
    for path in (*snapshot.glob("*.json"), *snapshot.glob("tokenizer.model")):
        if not path.name.endswith(".index.json"):
            shutil.copyfile(path, folder / path.name)


def convert_clip(states: Iterator[dict[str, torch.Tensor]], snapshot: Path, folder: Path) -> None:
    """The half of CLIP that sees."""
    (state,) = states
    vision = {
        name: weight.contiguous() for name, weight in state.items() if name.startswith(_VISION)
    }
    save_file(vision, folder / "model.safetensors")
    CLIPVisionConfig.from_pretrained(snapshot).save_pretrained(folder)
    shutil.copyfile(snapshot / _PREPROCESSING, folder / _PREPROCESSING)


def _prefix(names: Iterable[str]) -> str:
    """What CLIP's half that sees is called in the LLaVA model; versions of transformers differ."""
    first = "embeddings.class_embedding"
    return next(name.removesuffix(first) for name in names if name.endswith(first))


def _renamed(folder: Path, prefixes: dict[str, str]) -> dict[str, torch.Tensor]:
    """The weights of a folder under new names; those without one are left out."""
    weights = {}
    for path in sorted(folder.glob("*.safetensors")):
        for name, weight in load_file(path).items():
            for old, new in prefixes.items():
                if name.startswith(old):
                    weights[new + name.removeprefix(old)] = weight
                    break
    return weights
