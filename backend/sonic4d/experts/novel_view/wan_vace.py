"""Wan 2.1 VACE 1.3B (Jiang et al., 2025), the open-licence novel-view expert: repaints the holes of the render."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from diffusers import (
    AutoencoderKLWan,
    UniPCMultistepScheduler,
    WanVACEPipeline,
    WanVACETransformer3DModel,
)
from PIL import Image
from transformers import AutoTokenizer, UMT5EncoderModel

from ...monitor import Monitor
from ...scene.novel_view import Frame, View
from ..catalogue.novel_view import WAN_VACE_NETWORKS
from ..loading import load_diffusers, load_transformers
from ..machine import Machine
from ..protocols import NovelViewModel, Sampling
from ..running import in_background, step_callback, stoppable
from ..store import Ready
from .diffusion import on_device, plan, prepared_prompt
from .windows import Float32, painted

SIZE = (832, 480)
LONGEST, OVERLAP = 81, 9  # the overlap is whole latents
STEPS, GUIDANCE = 50, 5.0
FLOW_SHIFT = 3.0  # for pictures of 480 lines
HOLE_GREY = 0.5  # what VACE was shown where it had to paint
NEGATIVE = (
    "overexposed, static, blurry details, subtitles, worst quality, low quality, JPEG artefacts, deformed, "
    "disfigured, still picture, cluttered background"
)


def load(ready: Ready, machine: Machine) -> NovelViewModel:
    return WanVace(ready, machine)


@dataclass(frozen=True)
class WanVace:
    """The `NovelViewModel`."""

    ready: Ready
    machine: Machine

    def __call__(self, view: View, sampling: Sampling, monitor: Monitor) -> Iterator[Frame]:
        title, folder, machine = self.ready.model.name, self.ready.folder, self.machine
        places = {part: folder / part for part in WAN_VACE_NETWORKS}
        framing, preset = plan(
            title, view, sampling, SIZE, LONGEST, WAN_VACE_NETWORKS, places, machine
        )
        prompt = prepared_prompt(view, sampling, machine, monitor)
        pipeline = in_background(monitor, lambda: self._pipeline(preset, monitor))
        steps = sampling.steps or STEPS

        def paint(render: Float32, holes: Float32, frames: range) -> Float32:
            hole = holes[..., None]
            video = render * (1 - hole) + HOLE_GREY * hole
            with stoppable(monitor, pipeline.text_encoder, pipeline.vae, pipeline.transformer):
                result = pipeline(
                    prompt=prompt,
                    negative_prompt=NEGATIVE,
                    video=_images(video),
                    mask=_images(np.repeat(hole, 3, axis=-1)),
                    height=framing.lens.height,
                    width=framing.lens.width,
                    num_frames=len(video),
                    num_inference_steps=steps,
                    guidance_scale=GUIDANCE,
                    generator=torch.Generator().manual_seed(sampling.seed + frames.start),
                    callback_on_step_end=step_callback(monitor, "paint", steps),
                )
            return result.frames[0]

        yield from painted(view, framing, LONGEST, OVERLAP, paint, monitor)

    def _pipeline(self, preset: str, monitor: Monitor) -> WanVACEPipeline:
        ready, folder, machine = self.ready, self.ready.folder, self.machine
        computer = replace(machine, device="cpu")
        parts = 3
        monitor.progress("loading", 0, parts)
        text = load_transformers(
            UMT5EncoderModel, ready, folder / "text_encoder", computer, machine.dtype
        )
        monitor.progress("loading", 1, parts)
        # In 16 bits this VAE's pictures lose contrast, so it isn't.
        vae = load_diffusers(AutoencoderKLWan, ready, folder / "vae", machine, torch.float32)
        monitor.progress("loading", 2, parts)
        transformer = load_diffusers(
            WanVACETransformer3DModel, ready, folder / "transformer", machine
        )
        pipeline = WanVACEPipeline(
            tokenizer=AutoTokenizer.from_pretrained(
                str(folder / "tokenizer"), local_files_only=True
            ),
            text_encoder=text,
            vae=vae,
            scheduler=UniPCMultistepScheduler.from_pretrained(
                str(folder / "scheduler"), local_files_only=True, flow_shift=FLOW_SHIFT
            ),
            transformer=transformer,
        )
        monitor.progress("loading", parts, parts)
        return on_device(pipeline, preset, machine)


def _images(pictures: Float32) -> list[Image.Image]:
    return [Image.fromarray((picture * 255 + 0.5).astype(np.uint8)) for picture in pictures]
