"""TrajectoryCrafter (Yu et al., ICCV 2025), the paper's novel-view expert, on diffusers' CogVideoX."""

from __future__ import annotations

from ...machine import Machine
from ...protocols import NovelViewModel
from ...store import Ready


def load(ready: Ready, machine: Machine) -> NovelViewModel:
    from .expert import TrajectoryCrafter

    return TrajectoryCrafter(ready, machine)
