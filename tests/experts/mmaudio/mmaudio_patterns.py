"""Weights and inputs that need no random numbers: what upstream made of the same is in data/upstream_numbers.json."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

DATA = Path(__file__).parent / "data"


def pattern(name: str, shape: tuple[int, ...]) -> Tensor:
    """Values of about -1..1 that depend on the name only."""
    phase = zlib.crc32(name.encode()) % 1000
    count = math.prod(shape)
    values = torch.sin(
        torch.arange(count, dtype=torch.float64) * 0.7133 * (1 + phase / 997) + phase
    )
    return values.float().reshape(shape)


def weights(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """A state dict that keeps signals at about their size; norms' gains and the like lie around 1."""
    made = {}
    for name, shape in shapes.items():
        gain = len(shape) == 1 and name.endswith("weight") or name.endswith("original0")
        size = 0.1 if len(shape) < 2 or gain else 1.2 / math.sqrt(math.prod(shape[1:]))
        made[name] = float(gain) + size * pattern(name, shape)
    return made


def numbers(output: Tensor) -> list[float]:
    """Sixteen of the values, spread evenly, and the mean magnitude."""
    flat = output.flatten()
    places = torch.linspace(0, len(flat) - 1, 16).long()
    return [*flat[places].tolist(), flat.abs().mean().item()]


def upstream(name: str) -> Tensor:
    return torch.tensor(json.loads((DATA / "upstream_numbers.json").read_text())[name])
