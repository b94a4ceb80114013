"""Qwen3-VL (Qwen team, 2025): boxes for a free description, with the stock classes of transformers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoImageProcessor, AutoTokenizer, Qwen3VLForConditionalGeneration

from ...monitor import Monitor
from ..loading import load_processor, load_transformers
from ..machine import Machine
from ..protocols import Detection
from ..running import stoppable
from ..store import Ready
from . import answers
from .box_text import qwen_boxes

FORM = 'Answer in JSON: [{"bbox_2d": [x1, y1, x2, y2], "label": "what it is"}], nothing else.'
BY_SOUND = (
    "Locate the object that makes the sound in this video frame. If several could, list each, "
    "the likeliest first."
)


class QwenVL:
    """A `GroundingModel`."""

    interval_s = 1.0

    def __init__(self, ready: Ready, machine: Machine) -> None:
        folder = ready.folder
        # The stock processor of videos needs torchvision; pictures don't.
        self._prepare = load_processor(AutoImageProcessor, ready, folder)
        self._tokenizer = load_processor(AutoTokenizer, ready, folder)
        self._model = load_transformers(Qwen3VLForConditionalGeneration, ready, folder, machine)

    @torch.inference_mode()
    def __call__(
        self, picture: npt.NDArray[np.uint8], words: str | None, monitor: Monitor
    ) -> list[Detection]:
        inputs = self._inputs(picture, question(words))
        with stoppable(monitor, self._model):
            answer = answers.ask(self._model, self._tokenizer, inputs, None, monitor)
        return answers.detections(answer, qwen_boxes(answer.text), words)

    def _inputs(self, picture: npt.NDArray[np.uint8], question: str) -> dict[str, torch.Tensor]:
        """The prompt of Qwen3-VL's chat template, one image token for each merged patch."""
        pixels = self._prepare(picture, return_tensors="pt")
        grid = pixels["image_grid_thw"]
        patches = int(grid.prod()) // self._prepare.merge_size**2
        image = "<|vision_start|>" + "<|image_pad|>" * patches + "<|vision_end|>"
        prompt = f"<|im_start|>user\n{image}{question}<|im_end|>\n<|im_start|>assistant\n"
        tokens = self._tokenizer(prompt, return_tensors="pt")
        is_image = tokens["input_ids"] == self._model.config.image_token_id
        inputs = {
            "input_ids": tokens["input_ids"],
            "attention_mask": tokens["attention_mask"],
            "mm_token_type_ids": is_image.int(),
            "pixel_values": pixels["pixel_values"].to(self._model.dtype),
            "image_grid_thw": grid,
        }
        return {key: value.to(self._model.device) for key, value in inputs.items()}


def question(words: str | None) -> str:
    if not words:
        return f"{BY_SOUND} {FORM}"
    return f"Locate every instance of this in the picture: {answers.plain(words)}. {FORM}"


def load(ready: Ready, machine: Machine) -> QwenVL:
    return QwenVL(ready, machine)
