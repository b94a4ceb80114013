"""From noise to sound latents: Euler steps along the flow, guided, over one window or several that overlap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .flow_network import Conditions, FlowNetwork

STEPS = 25
GUIDANCE = 4.5


@dataclass(frozen=True)
class Stretch:
    """A window of the latents: its place, how much it counts at each of them (latents, 1), and what it is to fit and not."""

    first: int
    weights: Tensor
    wanted: Conditions
    unwanted: Conditions


def sample(
    network: FlowNetwork,
    noise: Tensor,
    stretches: Sequence[Stretch],
    on_step: Callable[[int], None],
    steps: int = STEPS,
    guidance: float = GUIDANCE,
) -> Tensor:
    """noise (latents, channels) float32 -> latents of the same shape, normalised.

    Classifier-free guidance (Ho and Salimans, 2022). Where windows overlap, each step follows the weighted mean of
    what they predict (Bar-Tal et al., "MultiDiffusion", 2023), so that they agree on one sound. `on_step` takes the number of
    steps done.
    """
    times = torch.linspace(0, 1, steps + 1)
    dtype = network.final_layer.conv.weight.dtype
    latents = noise
    for step, (time, end) in enumerate(zip(times[:-1], times[1:], strict=True)):
        now = time.reshape(1).to(noise.device)
        velocity = torch.zeros_like(latents)
        for stretch in stretches:
            span = slice(stretch.first, stretch.first + len(stretch.weights))
            part = latents[None, span].to(dtype)
            wanted = network(part, now, stretch.wanted)[0].float()
            unwanted = network(part, now, stretch.unwanted)[0].float()
            guided = guidance * wanted + (1 - guidance) * unwanted
            velocity[span] += stretch.weights * guided
        latents = latents + (end - time) * velocity
        on_step(step + 1)
    return latents
