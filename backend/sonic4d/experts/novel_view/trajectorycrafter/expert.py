"""TrajectoryCrafter as an expert for a whole shot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from diffusers import AutoencoderKLCogVideoX, DDIMScheduler
from transformers import AutoTokenizer, T5EncoderModel

from ....monitor import Monitor
from ....scene.novel_view import Frame, View
from ...catalogue.novel_view import TRAJECTORYCRAFTER_NETWORKS
from ...loading import load_diffusers, load_transformers
from ...machine import Machine
from ...protocols import Sampling
from ...running import in_background, stoppable
from ...store import Ready
from ..diffusion import on_device, plan, prepared_prompt
from ..framing import filling
from ..windows import Float32, painted
from .pipeline import TrajectoryCrafterPipeline
from .transformer import load as load_transformer

SIZE = (672, 384)
LONGEST, OVERLAP = 49, 9  # the overlap is whole latents
REFERENCE_FRAMES = 10
STEPS, GUIDANCE = 50, 6.0
QUALITY = (
    ". The video is of high quality, and the view is very clear. High quality, masterpiece, best quality, "
    "highres, ultra-detailed, fantastic."
)
NEGATIVE = (
    "The video is not of a high quality, it has a low resolution. Watermark present in each frame. The background "
    "is solid. Strange body and strange trajectory. Distortion."
)


@dataclass(frozen=True)
class TrajectoryCrafter:
    """The `NovelViewModel`. Settings are those of upstream's demo."""

    ready: Ready
    machine: Machine

    def __call__(self, view: View, sampling: Sampling, monitor: Monitor) -> Iterator[Frame]:
        folders = self.ready.folders
        places = {
            "text_encoder": folders["cogvideox"] / "text_encoder",
            "transformer": folders["transformer"],
            "vae": folders["cogvideox"] / "vae",
        }
        framing, preset = plan(
            self.ready.model.name,
            view,
            sampling,
            SIZE,
            LONGEST,
            TRAJECTORYCRAFTER_NETWORKS,
            places,
            self.machine,
        )
        prompt = prepared_prompt(view, sampling, self.machine, monitor) + QUALITY
        pipeline = in_background(monitor, lambda: self._pipeline(preset, monitor))
        size = framing.lens.width, framing.lens.height
        steps = sampling.steps or STEPS

        def paint(render: Float32, holes: Float32, frames: range) -> Float32:
            source = view.video([int(view.shown[i]) for i in frames[:REFERENCE_FRAMES]])
            reference = filling(source, size).astype(np.float32) / 255
            with stoppable(monitor, pipeline.text_encoder, pipeline.vae, pipeline.transformer):
                video = pipeline(
                    prompt,
                    NEGATIVE,
                    _to_tensor(render),
                    torch.from_numpy(holes)[:, None],
                    _to_tensor(reference),
                    steps,
                    GUIDANCE,
                    torch.Generator().manual_seed(sampling.seed + frames.start),
                    lambda done: monitor.progress("paint", done, steps),
                )
            return video.permute(0, 2, 3, 1).contiguous().numpy()

        yield from painted(view, framing, LONGEST, OVERLAP, paint, monitor)

    def _pipeline(self, preset: str, monitor: Monitor) -> TrajectoryCrafterPipeline:
        machine, folder = self.machine, self.ready.folders["cogvideox"]
        computer = replace(machine, device="cpu")
        parts = 3
        monitor.progress("loading", 0, parts)
        text = load_transformers(
            T5EncoderModel, self.ready, folder / "text_encoder", computer, machine.dtype
        )
        monitor.progress("loading", 1, parts)
        vae = load_diffusers(AutoencoderKLCogVideoX, self.ready, folder / "vae", machine)
        monitor.progress("loading", 2, parts)
        transformer = load_transformer(self.ready.folders["transformer"], machine.dtype, monitor)
        pipeline = TrajectoryCrafterPipeline(
            tokenizer=AutoTokenizer.from_pretrained(
                str(folder / "tokenizer"), local_files_only=True
            ),
            text_encoder=text,
            vae=vae,
            transformer=transformer,
            scheduler=DDIMScheduler.from_pretrained(
                str(folder / "scheduler"), local_files_only=True
            ),
        )
        monitor.progress("loading", parts, parts)
        return on_device(pipeline, preset, machine)


def _to_tensor(pictures: Float32) -> torch.Tensor:
    """(n, H, W, 3) -> (n, 3, H, W)."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()
