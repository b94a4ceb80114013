"""Tiny grounding and tracking models in folders as their authors lay them out: random weights, or taught two answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from sonic4d.experts.grounding.grounding_gpt_weights import RENAMED
from sonic4d.experts.machine import Machine
from sonic4d.experts.registry import find
from sonic4d.experts.store import Ready
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    BertConfig,
    BertTokenizerFast,
    CLIPImageProcessor,
    CLIPVisionConfig,
    CLIPVisionModel,
    GroundingDinoConfig,
    GroundingDinoForObjectDetection,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Sam2HieraDetConfig,
    Sam2VideoConfig,
    Sam2VideoModel,
    Sam2VisionConfig,
    SwinConfig,
)

CPU = Machine("cpu", "", 16.0, 16.0)
# What models are taught to answer for the first and the last picture of the clip of these tests.
LAST = 7
LEFT, RIGHT = (0.125, 0.333, 0.375, 0.667), (0.563, 0.333, 0.813, 0.667)
QWEN_TOKENS = (
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)


def ready(name: str, folder: Path) -> Ready:
    """The model `name` in a local folder, with a subfolder for each of several parts."""
    parts = find(name).parts
    return Ready(find(name), {part.name: folder / part.name for part in parts}, {})


def grounding_dino(folder: Path) -> None:
    torch.manual_seed(0)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "a", "red", "square", "dog"]
    model = GroundingDinoForObjectDetection(
        GroundingDinoConfig(
            backbone_config=SwinConfig(
                image_size=64,
                embed_dim=8,
                depths=[1, 1, 1, 1],
                num_heads=[1, 1, 2, 2],
                window_size=4,
                out_features=["stage2", "stage3", "stage4"],
            ),
            text_config=BertConfig(
                vocab_size=len(words),
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=32,
            ),
            d_model=32,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=32,
            decoder_ffn_dim=32,
            num_queries=20,
        )
    )
    _shaken(model).save_pretrained(folder)
    BertTokenizerFast(vocab={word: i for i, word in enumerate(words)}).save_pretrained(folder)
    _write(
        folder / "preprocessor_config.json",
        {
            "image_processor_type": "GroundingDinoImageProcessor",
            "size": {"shortest_edge": 64, "longest_edge": 96},
        },
    )


def qwen_vl(folder: Path) -> None:
    torch.manual_seed(0)
    tokenizer = _tokenizer(QWEN_TOKENS, end="<|im_end|>")
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in QWEN_TOKENS}
    config = Qwen3VLConfig(
        text_config={
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "intermediate_size": 64,
            "head_dim": 8,
            "vocab_size": len(tokenizer),
            "eos_token_id": ids["<|im_end|>"],
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [2, 1, 1],
            },
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "num_heads": 2,
            "intermediate_size": 32,
            "patch_size": 16,
            "out_hidden_size": 32,
            "deepstack_visual_indexes": [0],
            "num_position_embeddings": 64,
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=False,
    )
    Qwen3VLForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _write(
        folder / "preprocessor_config.json",
        {
            "image_processor_type": "Qwen2VLImageProcessorFast",
            "patch_size": 16,
            "merge_size": 2,
            "temporal_patch_size": 2,
            "size": {"shortest_edge": 32 * 32, "longest_edge": 128 * 128},
        },
    )


def grounding_gpt(folder: Path) -> None:
    """llm/ and clip/, as the download leaves them: the authors' names, safetensors."""
    torch.manual_seed(0)
    tokenizer = _tokenizer((), end="</s>")
    language = LlamaConfig(
        vocab_size=len(tokenizer) + 9,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=2048,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    vision = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=56,
        patch_size=14,
    )
    write_grounding_gpt(
        folder,
        language,
        vision,
        dict(LlamaForCausalLM(language).state_dict()),
        {
            f"model.mm_vision_projector.{layer}.{kind}": torch.randn(shape) * 0.2
            for layer in (0, 2)
            for kind, shape in (("weight", (32, 32)), ("bias", (32,)))
        },
        dict(CLIPVisionModel(vision).state_dict()),
    )
    tokenizer.save_pretrained(folder / "llm")
    CLIPImageProcessor(
        size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}
    ).save_pretrained(folder / "clip")


def write_grounding_gpt(
    folder: Path,
    language: LlamaConfig,
    vision: CLIPVisionConfig,
    llama: dict[str, torch.Tensor],
    projector: dict[str, torch.Tensor],
    clip: dict[str, torch.Tensor],
) -> None:
    """Weights and configurations of GroundingGPT under the authors' names, with some of the branches that aren't used."""
    unused = {"model.llama_proj.weight": torch.zeros(2), "model.Qformer.bert.x": torch.zeros(2)}
    for place in ("llm", "clip"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    save_file(_own({**llama, **projector, **unused}), folder / "llm" / "model.safetensors")
    prefix = "vision_model."
    named = {prefix + name.removeprefix(prefix): weight for name, weight in clip.items()}
    save_file(_own(named), folder / "clip" / "model.safetensors")
    _write(
        folder / "llm" / "config.json",
        {**language.to_dict(), "model_type": "LEGO", "mm_vision_select_layer": -2},
    )
    _write(folder / "llm" / "tokenizer_config.json", {})
    vision.save_pretrained(folder / "clip")


def sam2(folder: Path, object_score: float = 4.0) -> None:
    """object_score: what the model thinks of whether it sees the thing, as a logit, whatever it looks at."""
    torch.manual_seed(0)
    side, width = 128, 128
    backbone = Sam2HieraDetConfig(
        hidden_size=8,
        num_attention_heads=1,
        image_size=[side, side],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 2, 4],
        window_size_per_stage=[4, 2, 4, 2],
        global_attention_blocks=[3],
        window_positional_embedding_background_size=[4, 4],
    )
    config = Sam2VideoConfig(
        vision_config=Sam2VisionConfig(
            backbone_config=backbone,
            backbone_channel_list=[64, 32, 16, 8],
            backbone_feature_sizes=[[32, 32], [16, 16], [8, 8]],
            fpn_hidden_size=width,
        ),
        prompt_encoder_config={"hidden_size": width, "image_size": side},
        mask_decoder_config={
            "hidden_size": width,
            "mlp_dim": 32,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 32,
        },
        image_size=side,
        memory_attention_hidden_size=width,
        memory_attention_num_layers=1,
        memory_attention_feed_forward_hidden_size=32,
        memory_attention_rope_feat_sizes=[8, 8],
        memory_encoder_hidden_size=width,
        memory_encoder_output_channels=64,
        mask_downsampler_embed_dim=width,
        memory_fuser_embed_dim=width,
        memory_fuser_intermediate_dim=32,
        memory_fuser_num_layers=1,
    )
    model = _shaken(Sam2VideoModel(config))
    head = model.mask_decoder.pred_obj_score_head.proj_out
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.constant_(head.bias, object_score)
    model.save_pretrained(folder)


def taught(
    folder: Path,
    name: str,
    load: Callable[[Ready, Machine], Any],
    lessons: Sequence[tuple[np.ndarray, str, str]],
) -> Any:
    """The expert in a folder, after its model has learnt (picture, question) -> answer by heart."""
    expert = load(ready(name, folder), CPU)
    model, tokenizer = expert._model, expert._tokenizer
    batches = []
    for picture, question, answer in lessons:
        inputs = expert._inputs(picture, question)
        ids = tokenizer(answer, return_tensors="pt", add_special_tokens=False)["input_ids"]
        ids = torch.cat([ids, torch.tensor([[tokenizer.eos_token_id]])], dim=1)
        prompt = inputs["input_ids"]
        inputs["input_ids"] = torch.cat([prompt, ids], dim=1)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        if "mm_token_type_ids" in inputs:
            kinds = inputs["mm_token_type_ids"]
            inputs["mm_token_type_ids"] = torch.cat([kinds, torch.zeros_like(ids)], dim=1)
        batches.append((inputs, torch.cat([torch.full_like(prompt, -100), ids], dim=1)))
    optimiser = torch.optim.Adam(model.requires_grad_().parameters(), lr=4e-3)
    for _ in range(400):
        optimiser.zero_grad()
        losses = [model(**inputs, labels=labels).loss for inputs, labels in batches]
        torch.stack(losses).mean().backward()
        optimiser.step()
        if max(losses) < 0.02:
            break
    model.requires_grad_(requires_grad=False)
    return expert


def write_taught(expert: Any, kind: str, folder: Path) -> None:
    """The expert's weights in place of those in its folder, under the authors' names."""
    if kind == "qwen_vl":
        expert._model.save_pretrained(folder)
        return
    weights = expert._model.state_dict()
    first = "embeddings.class_embedding"
    tower = next(name for name in weights if name.endswith(first)).removesuffix(first)
    for place in ("llm", "clip"):
        path = folder / place / "model.safetensors"
        stored = load_file(path)
        for name in stored:
            for theirs, ours in {**RENAMED, "vision_model.": tower}.items():
                if name.startswith(theirs):
                    stored[name] = weights[ours + name.removeprefix(theirs)].contiguous()
        save_file(stored, path)


def _shaken(model: torch.nn.Module) -> Any:
    """Fresh weights make heads that answer the same to anything."""
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.05 * torch.randn_like(weight)
    return model.eval()


def _tokenizer(special: tuple[str, ...], end: str) -> PreTrainedTokenizerFast:
    """One token a byte."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE({byte: i for i, byte in enumerate(alphabet)}, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core)
    tokenizer.add_special_tokens({"eos_token": end})
    tokenizer.add_special_tokens(
        {"additional_special_tokens": [token for token in special if token != end]}
    )
    return tokenizer


def _own(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone().contiguous() for name, weight in weights.items()}


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content))
