"""How much memory a sampler of several networks takes, by how much of it is on the device at once; no torch needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from safetensors import safe_open

from ...protocol import Sonic4DError
from ..machine import Machine
from ..model import Preset

# From the fastest to the one that needs least. Without a GPU only the first two differ.
PRESETS = {
    "full": "all networks stay on the GPU",
    "tiled": "as full, but pictures are coded in tiles",
    "offload": "one network at a time is on the GPU",
    "sequential": "one layer at a time is on the GPU, pictures are coded in tiles; slow",
}
AUTO = "auto"
DRIVER_GB = 0.8  # what CUDA takes for itself


@dataclass(frozen=True)
class Network:
    """parameters, largest: all of them, and those of the largest layer. activations_gb: what computing takes beside, in 16 bits at
    the model's own picture size and length, tiled_gb: in tiles. bytes: of a parameter, if it isn't the device's choice."""

    parameters: int
    largest: int
    activations_gb: float
    tiled_gb: float
    bytes: int | None = None

    def weights_gb(self, usual_bytes: int) -> float:
        return self.parameters * (self.bytes or usual_bytes) / 1e9

    def computing_gb(self, usual_bytes: int, share: float, *, tiled: bool) -> float:
        activations_gb = self.tiled_gb if tiled else self.activations_gb
        return activations_gb * share * (self.bytes or usual_bytes) / 2


def needs(
    networks: Sequence[Network], *, usual_bytes: int = 2, share: float = 1.0, gpu: bool = True
) -> dict[str, Preset]:
    """By preset. share: of the model's own number of pixels, that are computed at once."""
    weights = [network.weights_gb(usual_bytes) for network in networks]
    whole, tiled = (
        [network.computing_gb(usual_bytes, share, tiled=tiled) for network in networks]
        for tiled in (False, True)
    )
    layers = [n.largest * (n.bytes or usual_bytes) / 1e9 for n in networks]
    at_once = {
        "full": sum(weights) + max(whole),
        "tiled": sum(weights) + max(tiled),
        "offload": max(map(sum, zip(weights, whole, strict=True))),
        "sequential": max(map(sum, zip(layers, tiled, strict=True))),
    }
    if not gpu:
        return {name: Preset(name, 0.0, at_once[name]) for name in ("full", "tiled")}
    return {
        name: Preset(f"--memory {name}: {PRESETS[name]}", gb + DRIVER_GB, sum(weights))
        for name, gb in at_once.items()
    }


def counted(network: Network, folder: Path) -> Network:
    """The network as it is in a folder, from the headers of its safetensors."""
    sizes = []
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "np") as file:
            for name in file.keys():  # noqa: SIM118
                count = 1
                for side in file.get_slice(name).get_shape():
                    count *= side
                sizes.append(count)
    return replace(network, parameters=sum(sizes), largest=max(sizes, default=0))


def preset_for(
    model: str, asked: str, networks: Sequence[Network], share: float, machine: Machine
) -> str:
    """The fastest preset that fits this machine, or the one asked for. Raises `Sonic4DError` before anything is loaded."""
    gpu = machine.has_gpu
    table = needs(networks, usual_bytes=2 if gpu else 4, share=share, gpu=gpu)
    fitting = [name for name, need in table.items() if _fits(need, machine)]
    if asked == AUTO and fitting:
        return fitting[0]
    if asked in fitting:
        return asked
    if asked not in (AUTO, *table):
        raise Sonic4DError(
            "bad_option",
            f'memory: "{asked}" is not one of {", ".join((AUTO, *table))}.',
            "Choose one of these.",
        )
    name = list(table)[-1] if asked == AUTO else asked
    need = table[name]
    what = f"{need.computer_gb:.1f} GB of the computer's memory"
    has = f"{machine.computer_memory_gb:.1f} GB"
    if gpu:
        what = f"{need.gpu_gb:.1f} GB of the GPU's and {what}"
        has = f"{machine.memory_gb:.1f} and {has}"
    hint = f'Choose the memory setting "{fitting[0]}".' if fitting else ""
    raise Sonic4DError(
        "out_of_memory",
        f'{model} with the memory setting "{name}" needs {what}; there are {has}.',
        hint or "Give a smaller working size, or use the expert fill, which needs no model.",
    )


def _fits(need: Preset, machine: Machine) -> bool:
    gpu_fits = not machine.has_gpu or need.gpu_gb <= machine.memory_gb
    return gpu_fits and need.computer_gb <= machine.computer_memory_gb
