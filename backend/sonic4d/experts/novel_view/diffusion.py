"""What the diffusion models of this folder share: what fits the machine, what to ask for, where the networks are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from ...monitor import Monitor
from ...scene.novel_view import View
from ..machine import Machine
from ..protocols import Sampling
from .captions import caption
from .framing import Framing
from .memory import Network, counted, preset_for

PLAIN_PROMPT = "A video of a scene"

Pipeline = TypeVar("Pipeline", bound=Any)


def plan(
    name: str,
    view: View,
    sampling: Sampling,
    size: tuple[int, int],
    longest: int,
    networks: Mapping[str, Network],
    folders: Mapping[str, Path],
    machine: Machine,
) -> tuple[Framing, str]:
    """The picture to work on and the memory preset, by the networks in `folders` as they are. Raises `Sonic4DError`.

    size, longest: the model's own picture (width, height) and number of frames.
    """
    framing = Framing.inside(view.lens, sampling.size or size)
    pixels = framing.lens.width * framing.lens.height * min(view.frame_count, longest)
    share = pixels / (size[0] * size[1] * longest)
    there = [counted(network, folders[part]) for part, network in networks.items()]
    return framing, preset_for(name, sampling.memory, there, share, machine)


def prepared_prompt(view: View, sampling: Sampling, machine: Machine, monitor: Monitor) -> str:
    """The user's prompt, else a caption of the shot's middle if there is a captioner, else a plain one."""
    if sampling.prompt:
        return sampling.prompt
    middle = int(view.shown[view.frame_count // 2])
    text = caption(view.video([middle])[0], sampling.models, machine, monitor)
    if text is None:
        monitor.log(
            "Without a description of the scene the result is less sure: give one with --prompt.",
            "warning",
        )
        return PLAIN_PROMPT
    monitor.log(f"The scene is taken for: {text}")
    return text


def on_device(pipeline: Pipeline, preset: str, machine: Machine) -> Pipeline:
    """Place a diffusers pipeline as the preset says (see `memory.PRESETS`)."""
    pipeline.set_progress_bar_config(disable=True)
    if preset in ("tiled", "sequential"):
        pipeline.vae.enable_tiling()
    if preset == "offload":
        pipeline.enable_model_cpu_offload(device=machine.device)
    elif preset == "sequential":
        pipeline.enable_sequential_cpu_offload(device=machine.device)
    else:
        pipeline.to(machine.device)
    return pipeline
