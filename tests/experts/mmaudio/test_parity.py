"""Our networks give what upstream's gave for the same weights (how that was measured: docs/parity.md)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from mmaudio_patterns import numbers, pattern, upstream, weights
from sonic4d.experts.machine import Machine
from sonic4d.experts.mmaudio import convert
from sonic4d.experts.mmaudio.decoder import PIECE, make_vae, make_vocoder, reach, vocode
from sonic4d.experts.mmaudio.flow_network import Conditions, FlowNetwork
from sonic4d.experts.mmaudio.loading import load_network
from sonic4d.experts.mmaudio.sampler import Stretch, sample
from sonic4d.experts.mmaudio.sizes import VAE_16K, VAE_44K, VOCODER_16K, FlowSize, SynchformerSize
from sonic4d.experts.mmaudio.synchformer import Synchformer
from sonic4d.experts.registry import find
from sonic4d.experts.store import Ready

CPU = Machine("cpu", "", 24.0, 24.0)
LATENTS, CLIP_FRAMES, SYNC_SEGMENTS = 44, 8, 2  # of a second
BIGVGAN = {
    **VOCODER_16K,
    "upsample_initial_channel": 64,
    "upsample_rates": [8, 4, 2, 2, 2, 2],
    "upsample_kernel_sizes": [16, 8, 4, 4, 4, 4],
}


def ready(**folders: Path) -> Ready:
    return Ready(find("mmaudio-small-44k"), folders, {})


def shapes(network: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in network.state_dict().items()}


def flow(v2: bool) -> FlowNetwork:
    network = FlowNetwork(FlowSize(8, 32, 2, 2, 2, v2, 24, 16, 24))
    network.load_state_dict(weights(shapes(network)))
    return network.eval()


def conditions(network: FlowNetwork) -> tuple[Conditions, Conditions]:
    """What is wanted, and what isn't."""
    size = (LATENTS, CLIP_FRAMES, SYNC_SEGMENTS)
    clip, sync = pattern("clip", (CLIP_FRAMES, 24)), pattern("sync", (8 * SYNC_SEGMENTS, 16))
    wanted = network.conditions(*size, clip, sync, pattern("text", (77, 24)))
    return wanted, network.conditions(*size, None, None, pattern("negative", (77, 24)))


def noise() -> torch.Tensor:
    return 1.5 * pattern("noise", (1, LATENTS, 8))


@torch.inference_mode()
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_one_evaluation_of_the_flow_network(version: str) -> None:
    network = flow(version == "v2")
    velocity = network(noise(), torch.tensor([0.37]), conditions(network)[0])
    expected = upstream(f"flow_{version}")
    assert velocity.shape == (1, LATENTS, 8)
    assert expected[-1] > 0.1
    torch.testing.assert_close(torch.tensor(numbers(velocity)), expected, rtol=0, atol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_whole_sampler_from_fixed_noise(version: str) -> None:
    network = flow(version == "v2")
    steps: list[int] = []
    stretch = Stretch(0, torch.ones(LATENTS, 1), *conditions(network))
    latents = sample(network, noise()[0], [stretch], steps.append)
    latents = latents * network.latent_std[0] + network.latent_mean[0]
    assert steps == [*range(1, 26)]
    expected = upstream(f"sampler_{version}")
    torch.testing.assert_close(torch.tensor(numbers(latents)), expected, rtol=0, atol=1e-4)


@torch.inference_mode()
def test_synchformer() -> None:
    network = Synchformer(SynchformerSize(width=128, heads=2, blocks=2, patch_px=56))
    network.load_state_dict(weights(shapes(network)))
    features = network.eval()(pattern("segments", (2, 16, 3, 224, 224)))
    assert features.shape == (2, 8, 128)
    expected = upstream("synchformer")
    torch.testing.assert_close(torch.tensor(numbers(features)), expected, rtol=0, atol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize(("name", "official"), [("16k", VAE_16K), ("44k", VAE_44K)])
def test_vae(name: str, official: Mapping[str, int], tmp_path: Path) -> None:
    """Through the conversion, which normalises the weights."""
    network = make_vae({**official, "hidden_channels": 8})
    state = weights(shapes(network))
    mel_bins = official["mel_bins"]
    convert.vae(
        iter([{**state, "encoder.conv_in.weight": torch.ones(8, mel_bins, 3)}]), tmp_path, tmp_path
    )
    ours = load_network(ready(vae=tmp_path), "vae", CPU, make_vae)
    channels = official["latent_channels"]
    assert "encoder" not in dict(ours.named_children())
    mel = ours.decode(pattern("latents", (1, channels, 30)))
    assert mel.shape == (1, mel_bins, 60)
    expected = upstream(f"vae_{name}")
    torch.testing.assert_close(torch.tensor(numbers(mel)), expected, rtol=0, atol=1e-5)


def generator(config: Mapping[str, object]) -> dict[str, torch.Tensor]:
    """A checkpoint as upstream's, with weight normalisation."""
    made = {}
    for name, value in make_vocoder(dict(config)).state_dict().items():
        stem = name.removesuffix(".weight")
        if name.endswith(".weight"):
            pair = (len(value), *[1] * (value.ndim - 1))
            made[f"{stem}.parametrizations.weight.original0"] = pair
            made[f"{stem}.parametrizations.weight.original1"] = tuple(value.shape)
        else:
            made[name] = tuple(value.shape)
    filters = make_vocoder(dict(config)).state_dict()
    return {
        name: filters[name] if name.endswith("filter") else value
        for name, value in weights(made).items()
    }


@torch.inference_mode()
@pytest.mark.parametrize("name", ["16k", "44k"])
def test_vocoder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "16k":
        monkeypatch.setitem(convert.VOCODER_16K, "upsample_initial_channel", 64)
        state = generator({**convert.VOCODER_16K, "tanh": True})
        convert.vocoder_16k(iter([{"generator": state}]), tmp_path, tmp_path)
    else:
        source = tmp_path / "source"
        source.mkdir()
        ends = {"use_tanh_at_final": False, "use_bias_at_final": False, "num_gpus": 8}
        config = {**BIGVGAN, "num_mels": 128}
        (source / "config.json").write_text(json.dumps({**config, **ends}))
        convert.vocoder_44k(iter([{"generator": generator(config)}]), source, tmp_path)
    vocoder = load_network(ready(vocoder=tmp_path), "vocoder", CPU, make_vocoder)
    mel = pattern("mel", (1, 80 if name == "16k" else 128, 12))
    sound = vocoder(mel).sample
    assert sound.shape == (1, 1, 12 * (256 if name == "16k" else 512))
    expected = upstream(f"vocoder_{name}")
    assert expected[-1] > 1e-3
    torch.testing.assert_close(torch.tensor(numbers(sound)), expected, rtol=0, atol=1e-6)


@torch.inference_mode()
@pytest.mark.parametrize(
    ("rates", "frames"), [([8, 4, 2, 2, 2, 2], 24), ([4, 4, 2, 2, 2, 2], 42)], ids=["44k", "16k"]
)
def test_a_waveform_in_pieces_is_the_waveform(rates: list[int], frames: int) -> None:
    """Both official vocoders' reach in mel frames, at a small width."""
    kernels = [2 * rate for rate in rates]
    config = {**BIGVGAN, "num_mels": 8, "upsample_rates": rates, "upsample_kernel_sizes": kernels}
    vocoder = make_vocoder({**config, "upsample_initial_channel": 64})
    state = shapes(vocoder)
    filters = {k: v for k, v in vocoder.state_dict().items() if k.endswith("filter")}
    vocoder.load_state_dict({**weights(state), **filters})
    assert reach(vocoder) == frames
    total = PIECE + 50
    mel = pattern("mel", (8, total))
    done: list[tuple[int, int]] = []
    pieces = vocode(vocoder.eval(), mel, lambda *progress: done.append(progress))
    whole = vocoder(mel[None]).sample[0, 0]
    assert done == [(PIECE, total), (total, total)]
    assert whole.abs().max() > 0.1
    torch.testing.assert_close(pieces, whole, rtol=0, atol=1e-5)
    place = 100  # what comes later than its reach does not change its past, what comes earlier does
    for later, same in ((frames, True), (frames // 2, False)):
        changed = mel.clone()
        changed[:, place + later :] += 1
        past = math.prod(rates) * place
        assert torch.equal(vocoder(changed[None]).sample[0, 0, :past], whole[:past]) is same
