"""TrajectoryCrafter's networks and sampler against numbers that upstream's own code gave for the same weights (docs/parity.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import accelerate
import pytest
import tiny_painters as tiny
import torch
from diffusers import AutoencoderKLCogVideoX
from diffusers.models.embeddings import get_3d_rotary_pos_embed
from safetensors.torch import load_file, save_file
from sonic4d.experts.novel_view.trajectorycrafter import transformer as network
from sonic4d.experts.novel_view.trajectorycrafter.pipeline import TrajectoryCrafterPipeline
from sonic4d.monitor import SILENT, Cancelled, Monitor
from sonic4d.protocol import Sonic4DError
from torch import Tensor

KEYS = Path(__file__).parents[1] / "data" / "trajectorycrafter_keys.json"
TRANSFORMER = [-0.5784958, 0.9239213, -0.3480172, 0.8234705, 0.3015295, -0.0146016]
TRANSFORMER += [0.1499236, 1.0042096, 0.6004712, 0.1342413, 0.1342041, -0.0838823]
ENCODED = [-1.0799142, -0.7043054, -0.9011121, 0.026642, -0.9357965, -1.6002294]
ENCODED += [2.0250823, -1.374155, -0.2602834, 0.1401347, -0.7224207, -0.274868]
DECODED = [-0.0475268, 0.033355, -0.0969729, -0.0515453, -0.2259118, 0.1570994]
DECODED += [0.3541903, 0.0874246, 0.1468091, 0.1363005, -0.1911097, -0.0090146]
VIDEO_9 = [0.4347886, 0.3128897, 0.4906368, 1.0, 0.4454778, 0.5771534]
VIDEO_9 += [0.2457633, 0.4349221, 0.7922907, 0.3610511, 0.4274652, 0.3916793]
VIDEO_49 = [0.4193162, 0.7486379, 0.4137115, 0.1975344, 0.4336909, 0.4340843]
VIDEO_49 += [0.5865179, 0.4748159, 0.4824985, 0.8281848, 0.521023, 0.554726]


def some(values: Tensor) -> list[float]:
    flat = values.flatten()
    return flat[torch.linspace(0, len(flat) - 1, 12).long()].tolist()


def conditions(count: int, references: int) -> tuple[Tensor, Tensor, Tensor]:
    """Render (n, 3, H, W), holes (n, 1, H, W), reference (m, 3, H, W)."""
    draw = torch.Generator().manual_seed(5)
    render = torch.rand(count, 3, 64, 96, generator=draw)
    coarse = (torch.rand(count, 1, 8, 12, generator=draw) > 0.6).float()
    holes = coarse.repeat_interleave(8, 2).repeat_interleave(8, 3)
    return render * (1 - holes), holes, torch.rand(references, 3, 64, 96, generator=draw)


def pipeline(**changes: Any) -> TrajectoryCrafterPipeline:
    made = TrajectoryCrafterPipeline(
        tiny.tokenizer(),
        tiny.t5(),
        tiny.cogvideox_vae(),
        tiny.cross_transformer(**changes),
        tiny.ddim(),
    )
    made.set_progress_bar_config(disable=True)
    return made


def sampled(count: int, references: int, steps: int = 5, **changes: Any) -> Tensor:
    render, holes, reference = conditions(count, references)
    draw = torch.Generator().manual_seed(43)
    run = pipeline(**changes)
    return run("a dog", "bad", render, holes, reference, steps, 6.0, draw)


def evaluation(transformer: Any) -> Tensor:
    draw = torch.Generator().manual_seed(1)
    noisy, condition, reference = (
        torch.randn(2, frames, channels, 8, 12, generator=draw)
        for frames, channels in ((3, 16), (3, 17), (2, 16))
    )
    with torch.no_grad():
        return transformer(
            hidden_states=torch.cat([noisy, condition], dim=2),
            encoder_hidden_states=torch.randn(2, 16, tiny.TEXT_WIDTH, generator=draw),
            timestep=torch.tensor([700, 700]),
            reference=reference,
            image_rotary_emb=get_3d_rotary_pos_embed(16, ((0, 0), (4, 6)), (4, 6), 3),
            return_dict=False,
        )[0]


def test_one_evaluation_of_the_transformer_is_upstreams() -> None:
    result = evaluation(tiny.cross_transformer())
    assert some(result) == pytest.approx(TRANSFORMER, abs=2e-6)
    assert float(result.std()) == pytest.approx(0.59352046, abs=1e-6)


def test_the_reference_counts() -> None:
    transformer = tiny.cross_transformer()
    for attention in transformer.perceiver_cross_attention:
        attention.to_out.weight.zero_()
    assert float((evaluation(transformer) - evaluation(tiny.cross_transformer())).abs().max()) > 0.1


def test_offloaded_layer_by_layer_it_computes_the_same() -> None:
    """Accelerate's hooks, as the preset "sequential" has them, and ours don't get in each other's way."""
    transformer = tiny.cross_transformer()
    expected = evaluation(transformer)
    accelerate.cpu_offload(transformer, torch.device("cpu"))
    assert transformer.ref_patch_embed.proj.weight.is_meta
    assert torch.equal(evaluation(transformer), expected)


def test_the_vae_is_upstreams() -> None:
    run = pipeline()
    video = (2 * conditions(17, 5)[0] - 1).transpose(0, 1)[None]
    with torch.no_grad():
        latents = run.vae.encode(video).latent_dist.mode()
        assert some(latents) == pytest.approx(ENCODED, abs=1e-5)
        assert some(run.vae.decode(latents).sample) == pytest.approx(DECODED, abs=1e-5)


@pytest.mark.parametrize(
    ("count", "references", "expected", "spread"),
    [(9, 9, VIDEO_9, 0.14218342), (49, 10, VIDEO_49, 0.15199791)],
)
def test_a_whole_video_is_upstreams(
    count: int, references: int, expected: list[float], spread: float
) -> None:
    video = sampled(count, references)
    assert video.shape == (count, 3, 64, 96)
    assert some(video) == pytest.approx(expected, abs=1e-4)
    assert float(video.std()) == pytest.approx(spread, abs=1e-5)


def test_in_16_bits_it_is_nearly_the_same() -> None:
    render, holes, reference = conditions(5, 1)
    exact, rough = (
        pipeline()
        .to(dtype)("a dog", "bad", render, holes, reference, 2, 6.0, torch.Generator())
        .float()
        for dtype in (torch.float32, torch.bfloat16)
    )
    assert rough.isfinite().all()
    assert float(rough.std()) == pytest.approx(float(exact.std()), rel=0.2)


def test_without_noise_on_the_render_the_checkpoint_decides() -> None:
    noisy, clean = (
        sampled(5, 1, steps=1, add_noise_in_inpaint_model=noise) for noise in (True, False)
    )
    assert not torch.equal(noisy, clean)


def test_every_name_and_shape_of_the_published_checkpoint_has_its_place() -> None:
    """The lists are of upstream's own classes at full size."""
    lists = json.loads(KEYS.read_text())
    config = {
        **tiny.CROSS_TRANSFORMER,
        "num_attention_heads": 48,
        "attention_head_dim": 64,
        "time_embed_dim": 512,
        "text_embed_dim": 4096,
        "num_layers": 42,
        "sample_width": 90,
        "sample_height": 60,
        "cross_attn_dim_head": 128,
        "cross_attn_num_heads": 16,
    }
    with torch.device("meta"):
        transformer = network.build(config)
        vae = AutoencoderKLCogVideoX(
            block_out_channels=(128, 256, 256, 512),
            down_block_types=("CogVideoXDownBlock3D",) * 4,
            up_block_types=("CogVideoXUpBlock3D",) * 4,
            layers_per_block=3,
            latent_channels=16,
        )
    for module, name in ((transformer, "transformer"), (vae, "vae")):
        shapes = {key: list(value.shape) for key, value in module.state_dict().items()}
        assert shapes == lists[name]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny.write_trajectorycrafter(tmp_path / "model") / "transformer"


def test_it_is_loaded_from_shards(folder: Path) -> None:
    loaded = network.load(folder, torch.float32, SILENT)
    assert torch.equal(evaluation(loaded), evaluation(tiny.cross_transformer()))
    assert loaded.config.add_noise_in_inpaint_model


def test_loading_can_be_stopped(folder: Path) -> None:
    with pytest.raises(Cancelled):
        network.load(folder, torch.float32, Monitor(lambda event: None, lambda: True))


def test_weights_that_do_not_fit_are_named(folder: Path) -> None:
    shard = sorted(folder.glob("*.safetensors"))[0]
    weights = load_file(shard)
    gone = sorted(weights)[0]
    del weights[gone]
    save_file(weights, shard)
    with pytest.raises(Sonic4DError, match=gone) as caught:
        network.load(folder, torch.float32, SILENT)
    assert caught.value.code == "bad_model"


def test_a_plain_cogvideox_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "is_train_cross": False}))
    with pytest.raises(Sonic4DError, match="reference attention"):
        network.load(folder, torch.float32, SILENT)


def test_nothing_of_the_reference_stays(folder: Path) -> None:
    """A second video must not see the first one's."""
    transformer = tiny.cross_transformer()
    first = evaluation(transformer)
    assert torch.equal(evaluation(transformer), first)
    with pytest.raises(KeyError, match="reference"):
        transformer(hidden_states=torch.zeros(1, 1, 33, 8, 12))
