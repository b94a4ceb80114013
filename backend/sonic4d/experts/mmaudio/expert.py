"""The expert: a silent video and a prompt become sound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from ...monitor import Monitor
from ...shot import read_json
from ..machine import Machine
from ..protocols import GeneratedSound, SilentVideo
from ..running import free_memory, stoppable
from ..store import Ready
from .decoder import decode, make_vae, make_vocoder, vocode
from .encoders import Clip, SyncEncoder
from .flow_network import FlowNetwork
from .loading import load_network
from .pictures import for_clip, for_sync
from .sampler import STEPS, Stretch, sample
from .sizes import FlowSize
from .windows import HOP, SEGMENT, Window, frame_shown, latent_count, weights, windows

Planner = Callable[[Fraction, Fraction], list[Window]]


@dataclass(frozen=True)
class MMAudio:
    """Implements `protocols.AudioModel`.

    plan: how a clip is cut into windows. Each network is in memory only while it works, so that the largest of them decides
    how much is needed.
    """

    ready: Ready
    machine: Machine
    plan: Planner = windows

    @torch.inference_mode()
    def __call__(
        self, video: SilentVideo, prompt: str, negative_prompt: str, seed: int, monitor: Monitor
    ) -> GeneratedSound:
        vae = read_json(self.ready.folders["vae"] / "config.json", "a model's configuration")
        latents_a_second = Fraction(vae["sample_rate"], 2 * vae["hop_length"])
        plan = self.plan(video.duration_s, latents_a_second)
        shares = [torch.from_numpy(w)[:, None] for w in weights(plan, latents_a_second)]
        shares = [share.to(self.machine.device) for share in shares]
        clip, texts = self._look(video, plan, (prompt, negative_prompt), monitor)
        sync = self._follow(video, plan, monitor)
        latents = self._compose(plan, shares, clip, sync, texts, seed, monitor)
        samples = self._sound(plan, shares, latents, monitor)
        return GeneratedSound(samples.cpu().numpy(), vae["sample_rate"])

    def _look(
        self,
        video: SilentVideo,
        plan: list[Window],
        texts: tuple[str, str],
        monitor: Monitor,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """CLIP's features of each window's pictures, and of the texts."""
        monitor.progress("looking at the pictures", 0, 1)
        places = [_places(window.clip_times_s, video) for window in plan]
        wanted = sorted({index for window in places for index in window})
        clip = Clip(self.ready, self.machine)
        seen: dict[int, Tensor] = {}
        with stoppable(monitor, clip.model):
            read = [clip.read(text) for text in texts]
            batch: dict[int, Tensor] = {}
            for index, picture in video.pictures(wanted):
                batch[index] = for_clip(picture)
                if len(batch) == clip.batch or index == wanted[-1]:
                    features = clip.see([*batch.values()])
                    seen.update(zip(batch, map(torch.from_numpy, features), strict=True))
                    batch = {}
                    monitor.progress("looking at the pictures", len(seen), len(wanted))
        clip.cache.prune()
        del clip
        free_memory()
        return [torch.stack([seen[index] for index in window]) for window in places], read

    def _follow(self, video: SilentVideo, plan: list[Window], monitor: Monitor) -> list[Tensor]:
        """Synchformer's features of each window."""
        monitor.progress("following the motion", 0, 1)
        places = [_places(window.sync_times_s, video) for window in plan]
        wanted = sorted({index for window in places for index in window})
        encoder = SyncEncoder(self.ready, self.machine)
        side_px = encoder.model.size.picture_px
        held: dict[int, Tensor] = {}
        features: list[Tensor] = []
        with stoppable(monitor, encoder.model):
            for index, picture in video.pictures(wanted):
                held[index] = for_sync(picture, side_px)
                while len(features) < len(plan) and index == places[len(features)][-1]:
                    window = places[len(features)]
                    segments = [
                        torch.stack([held[i] for i in window[first : first + SEGMENT]])
                        for first in range(0, len(window) - SEGMENT + 1, HOP)
                    ]
                    seen = [torch.from_numpy(found) for found in encoder.see(segments)]
                    features.append(torch.cat(seen))
                    monitor.progress("following the motion", len(features), len(plan))
                    if len(features) < len(plan):
                        begin = places[len(features)][0]
                        held = {i: value for i, value in held.items() if i >= begin}
        encoder.cache.prune()
        del encoder
        free_memory()
        return features

    def _compose(
        self,
        plan: list[Window],
        shares: list[Tensor],
        clip: list[Tensor],
        sync: list[Tensor],
        texts: list[Tensor],
        seed: int,
        monitor: Monitor,
    ) -> Tensor:
        """(latents, channels) float32."""
        monitor.progress("composing the sound", 0, STEPS)
        device, dtype = self.machine.device, self.machine.dtype
        network = load_network(self.ready, "flow", self.machine, _make_flow)
        prompt, negative_prompt = (text.to(device, dtype) for text in texts)
        with stoppable(monitor, network):
            stretches = []
            for window, share, looks, events in zip(plan, shares, clip, sync, strict=True):
                size = (window.latents, window.clip_frames, window.sync_segments)
                known = (looks.to(device, dtype), events.to(device, dtype), prompt)
                wanted = network.conditions(*size, *known)
                unwanted = network.conditions(*size, None, None, negative_prompt)
                stretches.append(Stretch(window.first_latent, share, wanted, unwanted))
            # On the CPU, so that a seed makes the same sound with any device.
            generator = torch.Generator().manual_seed(seed)
            shape = (latent_count(plan), network.size.latent_channels)
            noise = torch.randn(shape, generator=generator).to(device)

            def report(step: int) -> None:
                monitor.progress("composing the sound", step, STEPS)

            latents = sample(network, noise, stretches, report)
        latents = latents * network.latent_std[0].float() + network.latent_mean[0].float()
        del network
        free_memory()
        return latents

    def _sound(
        self, plan: list[Window], shares: list[Tensor], latents: Tensor, monitor: Monitor
    ) -> Tensor:
        """(samples,) float32."""
        monitor.progress("making the waveform", 0, 1)
        vae = load_network(self.ready, "vae", self.machine, make_vae)
        with stoppable(monitor, vae):
            firsts = [window.first_latent for window in plan]
            mel = decode(vae, latents, [*zip(firsts, shares, strict=True)])
        del vae
        vocoder = load_network(self.ready, "vocoder", self.machine, make_vocoder)
        with stoppable(monitor, vocoder):
            return vocode(
                vocoder,
                mel,
                lambda done, total: monitor.progress("making the waveform", done, total),
            )


def load(ready: Ready, machine: Machine) -> MMAudio:
    return MMAudio(ready, machine)


def _places(times_s: list[Fraction], video: SilentVideo) -> list[int]:
    return [frame_shown(time_s, video.frame_rate, video.frame_count) for time_s in times_s]


def _make_flow(config: dict[str, Any]) -> FlowNetwork:
    return FlowNetwork(FlowSize(**{key: config[key] for key in FlowSize.__dataclass_fields__}))
