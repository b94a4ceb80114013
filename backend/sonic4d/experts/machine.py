"""What this machine can compute with."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from ..protocol import Sonic4DError
from .model import Model, Preset


@dataclass(frozen=True)
class Machine:
    """device: "cpu", "cuda" or "mps" as torch calls it, "" without torch. memory_gb: of the GPU, else of the computer."""

    device: str
    name: str
    memory_gb: float
    computer_memory_gb: float

    @property
    def has_gpu(self) -> bool:
        return self.device in ("cuda", "mps")

    @property
    def dtype(self) -> Any:
        """The torch dtype to infer in: half the memory where the device computes it well."""
        import torch

        if self.device == "cuda":
            return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        return self.half

    @property
    def half(self) -> Any:
        """As `dtype`, for models that were made for float16."""
        import torch

        return torch.float16 if self.has_gpu else torch.float32


def has_torch() -> bool:
    """Whether the extra `sonic4d[experts]` is installed, without importing it."""
    names = ("torch", "transformers", "diffusers")
    return all(importlib.util.find_spec(name) is not None for name in names)


def this_machine() -> Machine:
    """Imports torch where it is installed, which takes seconds."""
    computer_gb = computer_memory_gb()
    if not has_torch():
        return Machine("", "no torch", computer_gb, computer_gb)
    import torch

    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        return Machine("cuda", properties.name, properties.total_memory / 1e9, computer_gb)
    if torch.backends.mps.is_available():
        gb = torch.mps.recommended_max_memory() / 1e9
        return Machine("mps", "Apple GPU", gb, computer_gb)
    return Machine("cpu", f"{os.cpu_count()} cores", computer_gb, computer_gb)


def computer_memory_gb() -> float:
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    import ctypes

    class Status(ctypes.Structure):  # MEMORYSTATUSEX of Windows
        _fields_ = [("length", ctypes.c_uint32), ("load", ctypes.c_uint32)] + [
            (name, ctypes.c_uint64) for name in ("total", "free", *"abcde")
        ]

    status = Status(ctypes.sizeof(Status))
    ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
    return status.total / 1e9


def extra_versions() -> dict[str, str | None]:
    """Versions of what the extra brings; None for what isn't installed."""
    versions: dict[str, str | None] = {}
    for name in ("torch", "transformers", "diffusers", "accelerate"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def why_not(model: Model, machine: Machine) -> str:
    """Why the model doesn't fit this machine; "" if it does."""
    if not machine.device:
        return (
            "torch, transformers and diffusers are not installed (pip install 'sonic4d[experts]')"
        )
    if model.needs_gpu and not machine.has_gpu:
        return f"it needs a GPU with {model.memory_gb:g} GB"
    return _too_little_memory(model, machine)


def check_memory(model: Model, machine: Machine) -> None:
    """Raise the `Sonic4DError` that says why the model can't be loaded here, before it is; only what its presets tell."""
    problem = _too_little_memory(model, machine) if model.presets else ""
    if problem:
        raise Sonic4DError(
            "not_enough_memory",
            f"{model.name} is too large for this machine: {problem}.",
            f"Choose a smaller model. What each takes: sonic4d models show {model.name}",
        )


def _too_little_memory(model: Model, machine: Machine) -> str:
    """What the least demanding preset lacks; "" if there is one that fits."""
    least = (
        Preset("", model.memory_gb, 0.0) if machine.has_gpu else Preset("", 0.0, model.memory_gb)
    )
    presets = [preset for preset in model.presets if (preset.gpu_gb > 0) == machine.has_gpu]
    for preset in presets or [least]:
        problem = ""
        if machine.has_gpu and machine.memory_gb < preset.gpu_gb:
            problem = f"it needs {preset.gpu_gb:.3g} GB, the GPU has {machine.memory_gb:.0f} GB"
        elif machine.computer_memory_gb < preset.computer_gb:
            have_gb = machine.computer_memory_gb
            problem = f"it needs {preset.computer_gb:.3g} GB, the computer has {have_gb:.0f} GB"
        if not problem:
            return ""
    return problem
