"""GroundingGPT on tiny weights: as its authors' code computes, and as an expert."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sonic4d.experts.grounding import grounding_gpt
from sonic4d.experts.grounding.grounding_gpt_weights import convert, convert_clip, load_llava
from sonic4d.monitor import SILENT, Cancelled, Monitor
from sonic4d.protocol import Sonic4DError
from tiny_grounding import CPU, LAST, LEFT, RIGHT, ready, write_grounding_gpt
from transformers import CLIPModel, CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM

# Logits [3, 8, 14, 19][:8] that the authors' code gave for the weights and inputs below (docs/parity.md).
UPSTREAM = """
0.59116 -2.139934 -0.402868 0.49299 0.120319 1.165975 -2.57406 2.113557
0.506355 -0.60111 -0.047709 0.911634 -0.668539 0.376129 -0.957969 0.648644
-1.20783 0.744629 -0.045868 -0.071271 -1.364768 2.037239 -2.104812 1.566622
-0.24675 -0.683906 1.049255 0.628943 -1.205112 0.333072 -2.724326 1.470122
"""


def weight(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """A weight that is the same in every version of every library: by its name."""
    noise = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    values = 0.2 * noise.astype(np.float32)
    is_norm = "norm" in name and name.endswith("weight")
    return torch.from_numpy(1 + values if is_norm else values)


class SomeTokens:
    """A tokenizer of 60 words."""

    def __len__(self) -> int:
        return 60

    def convert_tokens_to_ids(self, token: str) -> int:
        return 51


def test_parity_with_the_authors_code(tmp_path: Path) -> None:
    language = LlamaConfig(
        vocab_size=60,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        rms_norm_eps=1e-5,
        max_position_embeddings=256,
    )
    vision = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=42,
        patch_size=14,
    )
    llama = LlamaForCausalLM(language).state_dict()
    prefix = "vision_model."
    clip = [name.removeprefix(prefix) for name in CLIPVisionModel(vision).state_dict()]
    shapes = CLIPVisionModel(vision).state_dict().values()
    projector = {"0.weight": (32, 16), "0.bias": (32,), "2.weight": (32, 32), "2.bias": (32,)}
    named = {f"model.mm_vision_projector.{key}": shape for key, shape in projector.items()}
    write_grounding_gpt(
        tmp_path,
        language,
        vision,
        {name: weight(name, tuple(value.shape)) for name, value in llama.items()},
        {name: weight(name, shape) for name, shape in named.items()},
        {
            name: weight(prefix + name, tuple(value.shape))
            for name, value in zip(clip, shapes, strict=True)
        },
    )
    model = load_llava(ready("grounding-gpt", tmp_path), SomeTokens(), "<im_patch>", CPU)
    ids = torch.tensor([[1, 7, 23, 52, *[51] * 9, 53, 4, 31, 8, 40, 12, 9]])
    picture = np.random.default_rng(5).standard_normal((1, 3, 42, 42)).astype(np.float32)
    with torch.inference_mode():
        logits = model(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            pixel_values=torch.from_numpy(picture),
        ).logits[0]
    expected = np.array(UPSTREAM.split(), dtype=np.float64).reshape(4, 8)
    np.testing.assert_allclose(logits[[3, 8, 14, 19], :8], expected, atol=1e-4)
    assert logits.argmax(dim=-1).tolist() == [0, 23, 5, 7, 46, 58, 30, 21, 22, 54, 30, 30, 15, 22, 15, 9, 42, 54, 42, 26]  # fmt: skip
    assert float(logits.abs().sum()) == pytest.approx(1264.4254, abs=0.01)


@pytest.fixture(scope="module")
def model(learnt: Callable) -> grounding_gpt.GroundingGPT:
    return learnt("grounding_gpt")[0]


def test_answers_become_boxes_of_the_picture(
    model: grounding_gpt.GroundingGPT, frames: np.ndarray
) -> None:
    """The picture has 128 x 96 pixels, the model's square 128 x 128; what it says after ### isn't heard."""
    for index, box in ((0, LEFT), (LAST, RIGHT)):
        (found,) = model(frames[index], "a red square", SILENT)
        assert found.box == pytest.approx(box, abs=2e-3)
        assert 0.8 < found.confidence <= 1


def test_prompt() -> None:
    assert grounding_gpt.prompt("Where is it?", 2) == (
        "A chat between a curious human and an artificial intelligence assistant. The assistant gives "
        "helpful, detailed, and polite answers to the human's questions.###Human: "
        "<im_start><im_patch><im_patch><im_end>\nWhere is it?###Assistant:"
    )


def test_cancelled(model: grounding_gpt.GroundingGPT, frames: np.ndarray) -> None:
    polls = iter([False] * 5)
    with pytest.raises(Cancelled):
        model(frames[0], "a red square", Monitor(lambda event: None, lambda: next(polls, True)))


def test_a_missing_weight_is_told(folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    folder = folder_of("grounding_gpt")
    weights = load_file(folder / "llm" / "model.safetensors")
    weights.pop("model.mm_vision_projector.2.bias")
    (tmp_path / "llm").mkdir()
    for path in (folder / "llm").glob("*.json"):
        (tmp_path / "llm" / path.name).write_bytes(path.read_bytes())
    save_file(weights, tmp_path / "llm" / "model.safetensors")
    (tmp_path / "clip").symlink_to(folder / "clip")
    with pytest.raises(Sonic4DError, match=r"multi_modal_projector\.linear_2\.bias") as caught:
        grounding_gpt.load(ready("grounding-gpt", tmp_path), CPU)
    assert caught.value.code == "bad_model"


def test_the_authors_pickles_are_converted(
    folder_of: Callable[[str], Path], tmp_path: Path, frames: np.ndarray
) -> None:
    """Two shards of the language model and a whole CLIP become folders that load and compute the same."""
    source = folder_of("grounding_gpt")
    weights = load_file(source / "llm" / "model.safetensors")
    names = sorted(weights)
    shards = [{name: weights[name] for name in part} for part in (names[::2], names[1::2])]
    target = tmp_path / "converted"
    for place in ("llm", "clip"):
        (target / place).mkdir(parents=True)
    convert(iter(shards), source / "llm", target / "llm")
    vision = CLIPVisionConfig.from_pretrained(source / "clip")
    whole = tmp_path / "clip"
    clip = CLIPModel(CLIPModel.config_class(vision_config=vision.to_dict()))
    clip.config.save_pretrained(whole)
    (whole / "preprocessor_config.json").write_bytes(
        (source / "clip" / "preprocessor_config.json").read_bytes()
    )
    state = {
        **{f"text_model.{i}": torch.zeros(2) for i in range(3)},
        **load_file(source / "clip" / "model.safetensors"),
    }
    convert_clip(iter([state]), whole, target / "clip")
    kept = {name for path in (target / "llm").glob("*.safetensors") for name in load_file(path)}
    assert "lm_head.weight" in kept
    assert not any("Qformer" in name for name in kept)
    inputs = [
        (loaded._model, loaded._inputs(frames[0], "Where?"))
        for loaded in (
            grounding_gpt.load(ready("grounding-gpt", folder), CPU) for folder in (source, target)
        )
    ]
    with torch.inference_mode():
        a, b = (model(**given).logits for model, given in inputs)
    assert torch.equal(a, b)
