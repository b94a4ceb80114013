"""What this machine can compute with."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from typing import Any

from .model import Model


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
        return torch.float16 if self.device == "mps" else torch.float32


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


def why_not(model: Model, machine: Machine) -> str:
    """Why the model doesn't fit this machine; "" if it does."""
    if not machine.device:
        return (
            "torch, transformers and diffusers are not installed (pip install 'sonic4d[experts]')"
        )
    if model.needs_gpu and not machine.has_gpu:
        return f"it needs a GPU with {model.memory_gb:g} GB"
    if machine.memory_gb < model.memory_gb:
        whose = "the GPU" if machine.has_gpu else "the computer"
        return f"it needs {model.memory_gb:g} GB, {whose} has {machine.memory_gb:.0f} GB"
    return ""
