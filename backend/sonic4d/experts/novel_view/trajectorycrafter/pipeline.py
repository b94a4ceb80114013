"""TrajectoryCrafter's sampler: from a render with holes and frames of the source video to a video of up to 49 frames."""

from __future__ import annotations

from collections.abc import Callable

import torch
from diffusers import AutoencoderKLCogVideoX, CogVideoXTransformer3DModel, DDIMScheduler
from diffusers.models.embeddings import get_3d_rotary_pos_embed
from diffusers.pipelines.cogvideo.pipeline_cogvideox import get_resize_crop_region_for_grid
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor
from torch.nn.functional import interpolate
from transformers import PreTrainedTokenizerBase, T5EncoderModel

TEXT_TOKENS = 226
TRAINED_HEIGHT_PX, TRAINED_WIDTH_PX = 480, 720  # what the rotary positions are laid out for
NOISE_ON_VIDEO = 0.0563
VAE_FRAME_BATCH = (
    4  # as the checkpoint was trained; with diffusers' 8 latents differ by several per cent
)


class TrajectoryCrafterPipeline(DiffusionPipeline):
    """Diffusers' machinery for offloading, around the networks of the published model."""

    model_cpu_offload_seq = "text_encoder->transformer->vae"

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        text_encoder: T5EncoderModel,
        vae: AutoencoderKLCogVideoX,
        transformer: CogVideoXTransformer3DModel,
        scheduler: DDIMScheduler,
    ) -> None:
        super().__init__()
        vae.num_sample_frames_batch_size = VAE_FRAME_BATCH
        self.register_modules(
            tokenizer=tokenizer,
            text_encoder=text_encoder,
            vae=vae,
            transformer=transformer,
            scheduler=scheduler,
        )

    @torch.no_grad()
    def __call__(
        self,
        prompt: str,
        negative_prompt: str,
        render: Tensor,
        holes: Tensor,
        reference: Tensor,
        steps: int,
        guidance: float,
        generator: torch.Generator,
        on_step: Callable[[int], None] = lambda done: None,
    ) -> Tensor:
        """render (n, 3, H, W) 0..1, holes (n, 1, H, W) 0 or 1, reference (m, 3, H, W) 0..1 -> video (n, 3, H, W) 0..1.

        n and m are 4 k + 1 or are treated as the VAE does, H and W multiples of 16. `on_step` is told how many of the steps are done.
        """
        device = self._execution_device
        texts = [self._embed(text, device) for text in (negative_prompt, prompt)]
        dtype = texts[0].dtype
        # In upstream's order, so that one seed gives the same noise.
        reference_latents = self._encode(reference, device, generator).to(dtype)
        shape = (1, (len(render) - 1) // self._frames_a_latent + 1, *reference_latents.shape[2:])
        latents = randn_tensor(shape, generator=generator, device=device, dtype=dtype)
        condition = self._condition(render, holes, latents, generator)
        rotary = self._rotary(*render.shape[-2:], latents.shape[1], device)

        self.scheduler.set_timesteps(steps, device=device)
        latents = latents * self.scheduler.init_noise_sigma
        for done, time in enumerate(self.scheduler.timesteps, 1):
            noisy = torch.cat([self.scheduler.scale_model_input(latents, time), condition], dim=2)
            without, along = (
                self.transformer(
                    hidden_states=noisy,
                    encoder_hidden_states=text,
                    timestep=time.expand(1),
                    reference=reference_latents,
                    image_rotary_emb=rotary,
                    return_dict=False,
                )[0].float()
                for text in texts
            )
            predicted = without + guidance * (along - without)
            latents = self.scheduler.step(predicted, time, latents, return_dict=False)[0].to(dtype)
            on_step(done)
        video = self._decode(latents)
        self.maybe_free_model_hooks()
        return video

    @property
    def _frames_a_latent(self) -> int:
        return self.vae.config.temporal_compression_ratio

    def _embed(self, text: str, device: torch.device) -> Tensor:
        """Text -> (1, TEXT_TOKENS, width)."""
        ids = self.tokenizer(
            text, padding="max_length", max_length=TEXT_TOKENS, truncation=True, return_tensors="pt"
        ).input_ids
        return self.text_encoder(ids.to(device))[0].to(device)

    def _encode(
        self, pictures: Tensor, device: torch.device, generator: torch.Generator | None
    ) -> Tensor:
        """Pictures (n, 3, H, W) 0..1 -> latents (1, frames, 16, H/8, W/8): drawn at random, or the mode without a generator."""
        video = (2 * pictures - 1).transpose(0, 1)[None]
        return self._encode_video(video.to(device), generator)

    def _encode_video(self, video: Tensor, generator: torch.Generator | None) -> Tensor:
        """`_encode` of (1, 3, n, H, W) in -1..1."""
        spread = self.vae.encode(video.to(self.vae.dtype)).latent_dist
        latents = spread.mode() if generator is None else spread.sample(generator)
        return (latents * self.vae.config.scaling_factor).transpose(1, 2)

    def _condition(
        self, render: Tensor, holes: Tensor, latents: Tensor, generator: torch.Generator
    ) -> Tensor:
        """What the transformer sees beside the noise: where the render is known, and its latents; 17 channels."""
        if holes.all():
            return torch.zeros_like(torch.cat([latents[:, :, :1], latents], dim=2))
        device, dtype = latents.device, latents.dtype
        hole = holes.transpose(0, 1)[None].to(device, torch.float32)
        video = (2 * render - 1).transpose(0, 1)[None].to(device, torch.float32)
        video = torch.where(hole > 0.5, -torch.ones_like(video), video)
        if self.transformer.config.add_noise_in_inpaint_model:
            noise = torch.empty_like(video, device=generator.device).normal_(generator=generator)
            video = torch.where(video == -1, video, video + NOISE_ON_VIDEO * noise.to(device))
        masked = self._encode_video(video, None).to(dtype)
        known = _to_latents(1 - hole, masked.shape[1], masked.shape[-2:])
        known = (known * self.vae.config.scaling_factor).to(dtype).transpose(1, 2)
        return torch.cat([known, masked], dim=2)

    def _rotary(
        self, height: int, width: int, frames: int, device: torch.device
    ) -> tuple[Tensor, Tensor]:
        settings = self.transformer.config
        token_px = 2 ** (len(self.vae.config.block_out_channels) - 1) * settings.patch_size
        grid = height // token_px, width // token_px
        crop = get_resize_crop_region_for_grid(
            grid, TRAINED_WIDTH_PX // token_px, TRAINED_HEIGHT_PX // token_px
        )
        return get_3d_rotary_pos_embed(
            settings.attention_head_dim, crop, grid, frames, use_real=True, device=device
        )

    def _decode(self, latents: Tensor) -> Tensor:
        video = self.vae.decode(latents.transpose(1, 2) / self.vae.config.scaling_factor).sample
        return (video[0].transpose(0, 1).float() / 2 + 0.5).clamp(0, 1).cpu()


def _to_latents(mask: Tensor, frames: int, size: torch.Size) -> Tensor:
    """A mask (1, 1, n, H, W) at the latents' size; the first frame stands alone, as in the VAE."""
    parts = [interpolate(mask[:, :, :1], (1, *size), mode="trilinear")]
    if frames > 1:
        parts.append(interpolate(mask[:, :, 1:], (frames - 1, *size), mode="trilinear"))
    return torch.cat(parts, dim=2)
