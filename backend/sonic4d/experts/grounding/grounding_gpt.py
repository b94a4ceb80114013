"""GroundingGPT (Li et al., ACL 2024), the paper's expert, through the stock LLaVA classes of transformers.

Its way from a picture to words is that of LLaVA-1.5: the patches of CLIP's last layer but one, two linear layers, LLaMA.
Its branches for video and sound are not used, and their weights not loaded.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from transformers import AddedToken, AutoTokenizer, CLIPImageProcessor

from ...monitor import Monitor
from ..loading import load_processor
from ..machine import Machine
from ..protocols import Detection
from ..running import stoppable
from ..store import Ready
from . import answers
from .box_text import grounding_gpt_boxes, padded_square
from .grounding_gpt_weights import load_llava

SYSTEM = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions."
)
STOP = "###"
PATCH, START, END = "<im_patch>", "<im_start>", "<im_end>"
OTHERS = ("<vi_patch>", "<vi_start>", "<vi_end>", "<so_patch>", "<so_start>", "<so_end>")
BY_SOUND = "the object that makes the sound"


class GroundingGPT:
    """A `GroundingModel`."""

    interval_s = 1.0

    def __init__(self, ready: Ready, machine: Machine) -> None:
        folder, clip = ready.folders["llm"], ready.folders["clip"]
        self._prepare = load_processor(CLIPImageProcessor, ready, clip)
        self._tokenizer = load_processor(AutoTokenizer, ready, folder)
        self._tokenizer.add_tokens(  # the weights know them by this order
            [AddedToken(token, special=True) for token in (PATCH, START, END, *OTHERS)]
        )
        self._model = load_llava(ready, self._tokenizer, PATCH, machine)
        self._pad = tuple(int(value * 255) for value in self._prepare.image_mean)

    @torch.inference_mode()
    def __call__(
        self, picture: npt.NDArray[np.uint8], words: str | None, monitor: Monitor
    ) -> list[Detection]:
        with stoppable(monitor, self._model):
            inputs = self._inputs(picture, question(words))
            answer = answers.ask(self._model, self._tokenizer, inputs, STOP, monitor)
        height, width = picture.shape[:2]
        return answers.detections(answer, grounding_gpt_boxes(answer.text, width, height), words)

    def _inputs(self, picture: npt.NDArray[np.uint8], question: str) -> dict[str, torch.Tensor]:
        pixels = self._prepare(padded_square(picture, self._pad), return_tensors="pt")
        tokens = self._tokenizer(
            prompt(question, self._model.config.image_seq_length), return_tensors="pt"
        )
        inputs = {
            "input_ids": tokens["input_ids"],
            "attention_mask": tokens["attention_mask"],
            "pixel_values": pixels["pixel_values"].to(self._model.dtype),
        }
        return {key: value.to(self._model.device) for key, value in inputs.items()}


def question(words: str | None) -> str:
    what = answers.plain(words) if words else BY_SOUND
    return f"Please provide the bounding box of {what} in the image."


def prompt(question: str, patches: int) -> str:
    """The authors' conversation of one question about a picture of so many patches."""
    image = f"{START}{PATCH * patches}{END}"
    return f"{SYSTEM}{STOP}Human: {image}\n{question}{STOP}Assistant:"


def load(ready: Ready, machine: Machine) -> GroundingGPT:
    return GroundingGPT(ready, machine)
