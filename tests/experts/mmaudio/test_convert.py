"""The official checkpoints' names and shapes fit our networks.

data/mmaudio_checkpoints.json.gz holds the names and shapes of upstream's modules at full size (docs/parity.md).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmaudio_patterns import DATA
from safetensors.torch import load_file
from sonic4d.experts import folders
from sonic4d.experts.catalogue.audio import MODELS
from sonic4d.experts.mmaudio import convert
from sonic4d.experts.mmaudio.decoder import make_vae, make_vocoder
from sonic4d.experts.mmaudio.flow_network import FlowNetwork
from sonic4d.experts.mmaudio.sizes import FLOWS, VAE_16K, VAE_44K, VOCODER_16K, SynchformerSize
from sonic4d.experts.mmaudio.synchformer import Synchformer
from sonic4d.experts.model import Model
from sonic4d.protocol import Sonic4DError
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel

CHECKPOINTS = json.loads(gzip.decompress((DATA / "mmaudio_checkpoints.json.gz").read_bytes()))
BIGVGAN_44K = {
    **VOCODER_16K,
    "num_mels": 128,
    "upsample_rates": [8, 4, 2, 2, 2, 2],
    "upsample_kernel_sizes": [16, 8, 4, 4, 4, 4],
    "use_tanh_at_final": False,
    "use_bias_at_final": False,
}


def checkpoint(name: str) -> dict[str, Tensor]:
    """Of the official shapes, without memory."""
    return {key: torch.empty(shape, device="meta") for key, shape in CHECKPOINTS[name].items()}


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict[str, Tensor], dict[str, object]]]:
    """State dict and config of what would be written."""
    calls: list[tuple[dict[str, Tensor], dict[str, object]]] = []
    monkeypatch.setattr(convert, "_write", lambda _, state, config: calls.append((state, config)))
    return calls


def fits(state: dict[str, Tensor], make: Callable[[], nn.Module]) -> bool:
    with torch.device("meta"):
        wanted = {name: value.shape for name, value in make().state_dict().items()}
    return {name: value.shape for name, value in state.items()} == wanted


@pytest.mark.parametrize("name", FLOWS)
def test_flow_networks(name: str, written: list, tmp_path: Path) -> None:
    state = {**checkpoint(f"mmaudio_{name}.pth"), "latent_rot": torch.empty(0)}  # of older files
    convert.flow(iter([state]), tmp_path, tmp_path)
    ((converted, config),) = written
    kind = f"mmaudio-{name.replace('_', '-')}"
    assert config == {"model_type": kind, **vars(FLOWS[name])}
    assert fits(converted, lambda: FlowNetwork(FLOWS[name]))


def test_synchformer(written: list, tmp_path: Path) -> None:
    """The file holds all of Synchformer: the encoder of sounds goes."""
    state = {
        **checkpoint("synchformer_state_dict.pth"),
        "afeat_extractor.norm.bias": torch.empty(9),
    }
    convert.synchformer(iter([state]), tmp_path, tmp_path)
    ((converted, config),) = written
    assert config == {"model_type": "synchformer", **vars(SynchformerSize())}
    assert fits(converted, lambda: Synchformer(SynchformerSize()))


@pytest.mark.parametrize(("name", "official"), [("v1-16", VAE_16K), ("v1-44", VAE_44K)])
def test_vaes(name: str, official: dict[str, int], written: list, tmp_path: Path) -> None:
    convert.vae(iter([checkpoint(f"{name}.pth")]), tmp_path, tmp_path)
    ((converted, config),) = written
    assert config == {"_class_name": "MMAudioVAE", **official}
    assert fits(converted, lambda: make_vae(official))


def test_vocoders(written: list, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(BIGVGAN_44K))
    states = iter([{"generator": checkpoint("best_netG.pt")}])
    convert.vocoder_16k(states, tmp_path, tmp_path)
    states = iter([{"generator": checkpoint("bigvgan_generator.pt")}])
    convert.vocoder_44k(states, tmp_path, tmp_path)
    for (converted, config), tanh in zip(written, (True, False), strict=True):
        sizes = {key: value for key, value in config.items() if key != "_class_name"}
        assert sizes["tanh"] is tanh
        assert fits(converted, lambda sizes=sizes: make_vocoder(sizes))


def test_weight_norm_under_its_older_names() -> None:
    v, g = torch.randn(3, 2, 5), torch.rand(3, 1, 1)
    new = {"a.parametrizations.weight.original0": g, "a.parametrizations.weight.original1": v}
    plain = convert._without_weight_norm({**new, "a.bias": g})
    assert set(plain) == {"a.weight", "a.bias"}
    torch.testing.assert_close(plain["a.weight"].norm(dim=(1, 2)), g[:, 0, 0])
    old = convert._without_weight_norm({"a.weight_g": g, "a.weight_v": v})
    assert torch.equal(old["a.weight"], plain["a.weight"])


def test_clip(tiny: Path, tmp_path: Path) -> None:
    """A pickle's state dict and the files around it become a folder that transformers reads."""
    state = load_file(tiny / "clip" / "model.safetensors")
    old = {"text_model.embeddings.position_ids": torch.arange(77), **state}
    convert.clip(iter([old]), tiny / "clip", tmp_path)
    model = CLIPModel.from_pretrained(tmp_path, local_files_only=True)
    assert torch.equal(model.state_dict()["logit_scale"], state["logit_scale"])
    assert (tmp_path / "tokenizer.json").is_file()


def test_the_official_clip_is_transformers_own(written: list, tmp_path: Path) -> None:
    """ViT-H/14 at 378 pixels, as DFN5B's configuration says: 986 million parameters."""
    layers = {"hidden_act": "quick_gelu"}
    config = CLIPConfig(
        text_config={
            **layers,
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
        },
        vision_config={
            **layers,
            "hidden_size": 1280,
            "intermediate_size": 5120,
            "num_hidden_layers": 32,
            "num_attention_heads": 16,
            "image_size": 378,
            "patch_size": 14,
        },
        projection_dim=1024,
    )
    config.save_pretrained(tmp_path)
    with torch.device("meta"):
        model = CLIPModel(config)
    convert.clip(iter([model.state_dict()]), tmp_path, tmp_path)
    ((converted, _),) = written
    assert sum(value.numel() for value in converted.values()) == pytest.approx(986.7e6, rel=1e-3)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda state: state.pop("final_layer.conv.bias"), "final_layer.conv.bias"),
        (lambda state: state.pop("empty_clip_feat"), "empty_clip_feat"),
        (lambda state: state.update(surprise=torch.zeros(1)), "surprise"),
        (lambda state: state.clear(), "is missing"),
        (lambda state: state.update({"t_embed.mlp.0.bias": torch.zeros(3)}), "t_embed.mlp.0.bias"),
    ],
)
def test_another_file_is_refused(
    spoil: Callable[[dict[str, Tensor]], None], words: str, written: list, tmp_path: Path
) -> None:
    state = checkpoint("mmaudio_small_44k.pth")
    spoil(state)
    with pytest.raises(Sonic4DError, match=words) as caught:
        convert.flow(iter([state]), tmp_path, tmp_path)
    assert caught.value.code == "bad_checkpoint"
    assert not written


def test_a_vocoder_without_generator_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Sonic4DError, match="generator"):
        convert.vocoder_16k(iter([{"state": {}}]), tmp_path, tmp_path)


def test_the_catalogue_names_conversions_that_exist() -> None:
    for part in [part for model in MODELS for part in model.parts]:
        module, _, name = part.checkpoint.convert.partition(":")
        assert module == "mmaudio.convert"
        assert callable(getattr(convert, name))


def test_a_local_folder_is_known_by_its_size(tiny: Path) -> None:
    """The tiny one poses as small_44k."""
    for model in MODELS:
        flow, *others = model.parts
        for part in others:
            folders.check_folder(model, part, tiny / part.name)
        if model.name == "mmaudio-small-44k":
            folders.check_folder(model, flow, tiny / "flow")
        else:
            with pytest.raises(Sonic4DError, match="another kind of model"):
                folders.check_folder(model, flow, tiny / "flow")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_memory_by_parameters(model: Model) -> None:
    """The catalogue's numbers hold the largest network, as it is counted here."""
    size = FLOWS[model.name.removeprefix("mmaudio-").replace("-", "_")]
    with torch.device("meta"):
        networks = [FlowNetwork(size), Synchformer(SynchformerSize()), make_vae(VAE_44K)]
        networks.append(make_vocoder({**VOCODER_16K, "tanh": True}))
    largest = max(sum(value.numel() for value in n.parameters()) for n in networks)
    gpu, cpu = model.presets
    assert gpu.gpu_gb >= 2e-9 * max(largest, 986.7e6) + 1
    assert cpu.computer_gb >= 4e-9 * max(largest, 986.7e6) + 1
    assert cpu.computer_gb < 6
    assert cpu.gpu_gb == 0
