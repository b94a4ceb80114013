"""What MMAudio knows of a clip: CLIP's features of pictures and texts, Synchformer's of fast events."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AutoTokenizer, CLIPModel

from ..loading import load_processor, load_transformers
from ..machine import Machine
from ..store import Ready
from .cache import FeatureCache, Features
from .loading import load_network
from .pictures import clip_input, sync_input
from .sizes import TEXT_TOKENS, SynchformerSize
from .synchformer import Synchformer


def batch_size(machine: Machine) -> int:
    """Inputs at once; on a CPU so few that it can be stopped soon."""
    return 16 if machine.has_gpu else 2


class Clip:
    """DFN5B CLIP (Fang et al., "Data Filtering Networks", 2023)."""

    def __init__(self, ready: Ready, machine: Machine) -> None:
        folder = ready.folders["clip"]
        self.batch = batch_size(machine)
        self.model = load_transformers(CLIPModel, ready, folder, machine)
        self.tokenizer = load_processor(AutoTokenizer, ready, folder)
        width = self.model.config.projection_dim
        self.cache = FeatureCache(folder, f"clip-{machine.dtype}".replace("torch.", ""), (width,))

    def see(self, pictures: Sequence[Tensor]) -> list[Features]:
        """(3, 384, 384) uint8 each -> (projection_dim,) each, of length 1."""
        side_px = self.model.config.vision_config.image_size

        def compute(some: list[Tensor]) -> Tensor:
            seen = clip_input(torch.stack(some), side_px).to(self.model.device, self.model.dtype)
            pooled = self.model.vision_model(pixel_values=seen).pooler_output
            return F.normalize(self.model.visual_projection(pooled), dim=-1)

        return _remembered(self.cache, self.batch, pictures, compute)

    def read(self, text: str) -> Tensor:
        """(77, width): the last layer's tokens, of length 1 each.

        The tokens after the text's end are zeros, as open_clip pads, and count like the others.
        """
        clean = " ".join(html.unescape(html.unescape(text)).split())
        tokens = self.tokenizer(clean, truncation=True, max_length=TEXT_TOKENS)["input_ids"]
        padded = torch.tensor([tokens + [0] * (TEXT_TOKENS - len(tokens))])
        states = self.model.text_model(padded.to(self.model.device)).last_hidden_state
        return F.normalize(states[0], dim=-1)


class SyncEncoder:
    """Synchformer's visual encoder."""

    def __init__(self, ready: Ready, machine: Machine) -> None:
        self.batch = batch_size(machine)
        self.model = load_network(ready, "synchformer", machine, _make_synchformer)
        self.place = (machine.device, machine.dtype)
        size = self.model.size
        name = f"synchformer-{machine.dtype}".replace("torch.", "")
        self.cache = FeatureCache(ready.folders["synchformer"], name, (size.moments, size.width))

    def see(self, segments: Sequence[Tensor]) -> list[Features]:
        """(16, 3, side, side) uint8 each -> (8, width) each."""

        def compute(some: list[Tensor]) -> Tensor:
            return self.model(sync_input(torch.stack(some)).to(*self.place))

        return _remembered(self.cache, self.batch, segments, compute)


def _make_synchformer(config: dict[str, Any]) -> Synchformer:
    size = SynchformerSize(**{key: config[key] for key in SynchformerSize.__dataclass_fields__})
    return Synchformer(size)


def _remembered(
    cache: FeatureCache,
    batch: int,
    inputs: Sequence[Tensor],
    compute: Callable[[list[Tensor]], Tensor],
) -> list[Features]:
    """Features of each input; what the cache doesn't know is computed, `batch` at a time, each once."""
    keys = [cache.key(value.numpy().tobytes()) for value in inputs]
    known: dict[str, Any] = {key: cache.get(key) for key in keys}
    unknown = {key: value for key, value in zip(keys, inputs, strict=True) if known[key] is None}
    todo = list(unknown)
    for first in range(0, len(todo), batch):
        some = todo[first : first + batch]
        features = compute([unknown[key] for key in some]).float().cpu().numpy()
        for key, value in zip(some, features, strict=True):
            known[key] = np.ascontiguousarray(value)
            cache.put(key, known[key])
    return [known[key] for key in keys]
