"""DepthCrafter (Hu et al. 2025), the paper's depth expert: video diffusion on the parts of Stable Video Diffusion.

The network is the stock one; only what it attends to differs: the picture's embedding of each frame, not of the first.
Facts of the authors' pipeline (github.com/Tencent/DepthCrafter at e518612) that the code keeps are marked as such.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from diffusers import (
    AutoencoderKLTemporalDecoder,
    EulerDiscreteScheduler,
    UNetSpatioTemporalConditionModel,
)
from diffusers.pipelines.stable_video_diffusion.pipeline_stable_video_diffusion import (
    _resize_with_antialiasing,
)
from transformers import CLIPVisionModelWithProjection

from ...monitor import Monitor
from ...scene.depth import Frames
from ..loading import load_diffusers, load_transformers
from ..machine import Machine
from ..protocols import DepthEstimate
from ..running import stoppable, with_less_memory
from ..store import Ready

WINDOW, OVERLAP = 110, 25
STEPS = 5
SEED = 42
CHUNK = 8  # frames at a time through the autoencoder and the picture encoder
NOISE_AUGMENTATION = 0.02
TIME_IDS = (7.0, 127.0, NOISE_AUGMENTATION)  # frame rate, motion bucket, noise augmentation
SIDE_STEP = 64
LONG_SIDES = (1024, 896, 768, 640, 512, 384, 256)
# Gigabytes a pixel and without any, from the authors' figures: 26 GB at 1024x576, 9 GB at 512x256.
GB_PER_PIXEL, GB_ALWAYS = 3.7e-5, 4.2
CLIP_SIDE = 224
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def load(ready: Ready, machine: Machine) -> DepthCrafter:
    unet, svd = ready.folders["unet"], ready.folders["svd"]
    clip = load_transformers(
        CLIPVisionModelWithProjection, ready, svd / "image_encoder", machine, machine.half
    )
    return DepthCrafter(
        load_diffusers(UNetSpatioTemporalConditionModel, ready, unet, machine, machine.half),
        load_diffusers(AutoencoderKLTemporalDecoder, ready, svd / "vae", machine, machine.half),
        clip.to("cpu"),
        EulerDiscreteScheduler.from_pretrained(str(svd / "scheduler"), local_files_only=True),
        machine,
    )


def model_size(height: int, width: int, long_side: int) -> tuple[int, int]:
    """(height, width), each the nearest multiple of 64 (the authors'), the longer at most `long_side`."""
    scale = min(long_side / max(height, width), 1.0)
    sides = (round(side * scale / SIDE_STEP) * SIDE_STEP for side in (height, width))
    rows, columns = (max(side, SIDE_STEP) for side in sides)
    return rows, columns


def model_sizes(height: int, width: int, machine: Machine) -> list[tuple[int, int]]:
    """Resolutions to try, the largest that memory should suffice for first."""
    sizes = list(dict.fromkeys(model_size(height, width, side) for side in LONG_SIDES))
    fitting = [
        (rows, columns)
        for rows, columns in sizes
        if rows * columns * GB_PER_PIXEL + GB_ALWAYS <= machine.memory_gb
    ]
    return fitting or [sizes[-1]]


@dataclass
class DepthCrafter:
    """A `protocols.DepthModel`."""

    unet: Any
    vae: Any
    image_encoder: Any
    scheduler: Any
    machine: Machine
    window: int = WINDOW
    overlap: int = OVERLAP

    def __call__(self, frames: Frames, monitor: Monitor) -> DepthEstimate:
        values = with_less_memory(
            model_sizes(*frames.shape[1:3], self.machine),
            lambda size: self._maps(frames, size, monitor),
            lambda size: f"pictures of {size[1]}x{size[0]} pixels",
            monitor,
        )
        return DepthEstimate(values, "disparity", steady=True)

    def _maps(self, frames: Frames, size: tuple[int, int], monitor: Monitor) -> np.ndarray:
        """Disparity (n, H, W), 0 to 1 over the whole clip (the authors')."""
        count, height, width = frames.shape[:3]
        values = np.empty((count, height, width), np.float32)
        low, high = np.inf, -np.inf
        for t, picture in enumerate(self.disparity(frames, size, monitor)):
            low, high = min(low, picture.min()), max(high, picture.max())
            values[t] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
        values -= np.float32(low)
        values /= np.float32(max(high - low, 1e-12))
        return np.clip(values, 0, 1, out=values)

    @torch.inference_mode()
    def disparity(
        self, frames: Frames, size: tuple[int, int], monitor: Monitor
    ) -> Iterator[np.ndarray]:
        """Maps of `size`, one a frame, in an unknown unit."""
        count = len(frames)
        generator = torch.Generator().manual_seed(SEED)
        with stoppable(monitor, self.unet, self.vae, self.image_encoder):
            embeddings, pictures = self._encoded(frames, size, generator, monitor)
            latents = self._denoised(embeddings, pictures, generator, monitor)
            with self._on_device(self.vae):
                for start in range(0, count, CHUNK):
                    part = latents[start : start + CHUNK].to(self.vae.device, self.vae.dtype)
                    part = part / self.vae.config.scaling_factor
                    decoded = self.vae.decode(part, num_frames=len(part)).sample.float()
                    yield from (decoded / 2 + 0.5).clamp(0, 1).mean(1).cpu().numpy()
                    monitor.progress("depth model: maps", min(start + CHUNK, count), count)

    def _encoded(
        self,
        frames: Frames,
        size: tuple[int, int],
        generator: torch.Generator,
        monitor: Monitor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings (n, c) of the pictures, and latents (n, 4, h, w) of the pictures with a little noise."""
        embeddings, latents = [], []
        count = len(frames)
        with self._on_device(self.image_encoder):
            for start in range(0, count, CHUNK):
                video = _to_tensor(frames[start : start + CHUNK], size)
                small = _resize_with_antialiasing(video, (CLIP_SIDE, CLIP_SIDE)) / 2 + 0.5
                mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (CLIP_MEAN, CLIP_STD))
                small = ((small - mean) / std).to(
                    self.image_encoder.device, self.image_encoder.dtype
                )
                embeddings.append(self.image_encoder(small).image_embeds)
                monitor.progress("depth model: pictures", min(start + CHUNK, count), 2 * count)
        # In half precision the encoder overflows (its config says force_upcast).
        with self._on_device(self.vae, torch.float32):
            for start in range(0, count, CHUNK):
                video = _to_tensor(frames[start : start + CHUNK], size)
                video += NOISE_AUGMENTATION * torch.randn(video.shape, generator=generator)
                encoded = self.vae.encode(video.to(self.vae.device, self.vae.dtype)).latent_dist
                latents.append(encoded.mode())  # not scaled (the authors')
                done = count + min(start + CHUNK, count)
                monitor.progress("depth model: pictures", done, 2 * count)
        return torch.cat(embeddings), torch.cat(latents)

    def _denoised(
        self,
        embeddings: torch.Tensor,
        pictures: torch.Tensor,
        generator: torch.Generator,
        monitor: Monitor,
    ) -> torch.Tensor:
        """Latents (n, 4, h, w) of the disparity: windows that share noise, begin where the last ended, and are blended."""
        count = len(pictures)
        window, overlap = (count, 0) if count <= self.window else (self.window, self.overlap)
        stride = window - overlap
        starts = range(0, count - overlap, stride)
        self.scheduler.set_timesteps(STEPS)
        noise = torch.randn((1, window, *pictures.shape[1:]), generator=generator)[0]
        noise *= self.scheduler.init_noise_sigma
        ramp = torch.linspace(0, 1, overlap).view(-1, 1, 1, 1)
        result = torch.empty(pictures.shape)
        with self._on_device(self.unet):
            for index, start in enumerate(starts):
                end = min(start + window, count)
                latents = noise[: end - start].clone()
                noise = torch.cat([noise[len(noise) - overlap :], noise[:stride]])
                if start:
                    share = self.scheduler.sigmas[0] / self.scheduler.init_noise_sigma
                    begun = result[start : start + overlap]
                    latents[:overlap] = begun + latents[:overlap] * share
                latents = self._steps(
                    latents,
                    embeddings[start:end],
                    pictures[start:end],
                    lambda step, index=index: monitor.progress(
                        "depth model: diffusion", index * STEPS + step, len(starts) * STEPS
                    ),
                )
                if start:
                    blend = latents[:overlap] * ramp + result[start : start + overlap] * (1 - ramp)
                    latents[:overlap] = blend
                result[start:end] = latents
        return result

    def _steps(
        self, latents: torch.Tensor, embeddings: torch.Tensor, pictures: torch.Tensor, tick: Any
    ) -> torch.Tensor:
        """One window (m, 4, h, w) denoised."""
        weight = self.unet.conv_in.weight
        context = embeddings[:, None].to(weight)
        pictures = pictures[None].to(weight)
        time_ids = torch.tensor([TIME_IDS]).to(weight)
        self.scheduler.set_timesteps(STEPS, device=weight.device)
        latents = latents[None].to(weight)
        with _attending_to(self.unet, context):
            for step, t in enumerate(self.scheduler.timesteps):
                given = self.scheduler.scale_model_input(latents, t)
                given = torch.cat([given, pictures], dim=2)
                noise = self.unet(
                    given, t, context[:1], added_time_ids=time_ids, return_dict=False
                )[0]
                latents = self.scheduler.step(noise, t, latents).prev_sample
                tick(step + 1)
        return latents[0].float().cpu()

    @contextmanager
    def _on_device(self, part: Any, dtype: torch.dtype | None = None) -> Iterator[None]:
        """Only the part at work is in the GPU's memory."""
        usual = part.dtype
        part.to(self.machine.device, dtype or usual)
        try:
            yield
        finally:
            part.to("cpu", usual)


@contextmanager
def _attending_to(unet: Any, context: torch.Tensor) -> Iterator[None]:
    """While it lasts, all cross-attention sees `context` (frames, 1, c) instead of one embedding repeated."""

    def replace(module: Any, arguments: Any, named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        if named.get("encoder_hidden_states") is not None:
            named = {**named, "encoder_hidden_states": context}
        return arguments, named

    blocks = [*unet.down_blocks, unet.mid_block, *unet.up_blocks]
    handles = [block.register_forward_pre_hook(replace, with_kwargs=True) for block in blocks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _to_tensor(frames: Frames, size: tuple[int, int]) -> torch.Tensor:
    """(n, H, W, 3) uint8 -> (n, 3, h, w) float32 in -1..1."""
    height, width = size
    resized = [
        cv2.resize(np.ascontiguousarray(f), (width, height), interpolation=cv2.INTER_AREA)
        for f in frames
    ]
    return torch.from_numpy(np.stack(resized).transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1)
