"""Asking a vision-language model: greedy answers that can be cancelled, and how sure the model is of each part of them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from ...monitor import Monitor
from ..protocols import Detection
from .box_text import TextBox

MAX_NEW_TOKENS = 256
# Characters that mean something to a prompt's format; words come from anybody.
_MARKUP = re.compile(r"[<>|#\[\]{}\\\"]+")


@dataclass(frozen=True)
class Answer:
    """text: without special tokens. ends: where each token ends in it. probabilities: of each token."""

    text: str
    ends: tuple[int, ...]
    probabilities: tuple[float, ...]

    def certainty(self, start: int, end: int) -> float:
        """Geometric mean of the probabilities of the tokens that make text[start:end], 0..1."""
        starts = (0, *self.ends[:-1])
        parts = [
            probability
            for first, last, probability in zip(starts, self.ends, self.probabilities, strict=True)
            if first < end and last > start
        ]
        logs = [math.log(max(probability, 1e-12)) for probability in parts]
        return math.exp(sum(logs) / len(logs)) if logs else 0.0


def ask(
    model: Any, tokenizer: Any, inputs: dict[str, Any], stop: str | None, monitor: Monitor
) -> Answer:
    """The model's greedy answer to a prompt (input_ids (1, n) and what belongs to it), up to the text `stop` or its end token."""
    prompt_length = inputs["input_ids"].shape[1]

    def decoded(ids: torch.Tensor) -> str:
        return tokenizer.decode(ids, skip_special_tokens=True)

    output = model.generate(
        **inputs,
        do_sample=False,
        temperature=None,
        top_p=None,
        top_k=None,
        max_new_tokens=MAX_NEW_TOKENS,
        output_scores=True,
        return_dict_in_generate=True,
        stopping_criteria=StoppingCriteriaList(
            [_Stop(lambda ids: decoded(ids[prompt_length:]), stop, monitor)]
        ),
    )
    ids = output.sequences[0, prompt_length:]
    probabilities = [
        float(scores[0].float().softmax(dim=-1)[token])
        for token, scores in zip(ids, output.scores, strict=True)
    ]
    ends = [len(decoded(ids[: i + 1])) for i in range(len(ids))]
    text = decoded(ids)
    if stop:
        text = text.split(stop)[0]
    return Answer(text, tuple(ends), tuple(probabilities))


def detections(answer: Answer, boxes: list[TextBox], words: str | None) -> list[Detection]:
    """What the boxes found in an answer say, as sure as the model was of their numbers."""
    return [
        Detection(
            np.array(entry.box),
            answer.certainty(entry.start, entry.end),
            entry.label or words or "",
        )
        for entry in boxes
    ]


def plain(words: str) -> str:
    """The words without what could be taken for a prompt's markup."""
    return " ".join(_MARKUP.sub(" ", words).split())


class _Stop(StoppingCriteria):
    """Ends an answer at a text; asks the monitor after each token."""

    def __init__(self, decoded: Callable[[torch.Tensor], str], stop: str | None, monitor: Monitor):
        self._decoded, self._stop, self._monitor = decoded, stop, monitor

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        self._monitor.check()
        done = self._stop is not None and self._stop in self._decoded(input_ids[0])
        return torch.full((input_ids.shape[0],), done, device=input_ids.device)
