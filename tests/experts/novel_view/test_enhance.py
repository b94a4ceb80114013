"""`sonic4d enhance` with each painter, of tiny random weights: frames, rate, seeds, long shots, stopping, refusing."""

from __future__ import annotations

import dataclasses
import json
import threading
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import tiny_painters as tiny
import torch
import wall_scene
from diffusers import AutoencoderKLCogVideoX, AutoencoderKLWan, WanVACETransformer3DModel
from sonic4d import cli
from sonic4d.bundle import Bundle
from sonic4d.enhance import EnhanceSettings, enhance
from sonic4d.experts import machine
from sonic4d.experts.catalogue import novel_view as catalogue
from sonic4d.experts.novel_view import wan_vace
from sonic4d.experts.novel_view.trajectorycrafter import expert as trajectorycrafter
from sonic4d.jobs import run_job
from sonic4d.monitor import SILENT, Cancelled, Monitor
from sonic4d.protocol import Sonic4DError
from transformers import T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel

COUNT = 7
PAINTERS = ("trajectorycrafter", "wan-vace")
MODULES = {"trajectorycrafter": trajectorycrafter, "wan-vace": wan_vace}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("paint")


@pytest.fixture(scope="module")
def models(folder: Path) -> list[str]:
    tiny.write_trajectorycrafter(folder / "trajectorycrafter")
    tiny.write_wan_vace(folder / "wan-vace-1.3b")
    return [f"{name}={folder / name}" for name in ("trajectorycrafter", "wan-vace-1.3b")]


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Bundle:
    return wall_scene.write_bundle(folder / "wall.sonic4d", COUNT)


@pytest.fixture
def job(folder: Path, bundle: Bundle, models: list[str], tmp_path: Path) -> dict[str, Any]:
    poses = wall_scene.moved_right(0.8, COUNT)
    return {
        "bundle": str(bundle.folder),
        "shot": str(wall_scene.write_shot(folder / "shot.json", bundle, poses)),
        "output": str(tmp_path / "out.mp4"),
        "model": models,
        "prompt": "a wall",
        "steps": 2,
        "working_size": "64x48",
    }


def run(job: dict[str, Any], monitor: Monitor = SILENT) -> list[np.ndarray]:
    with av.open(str(enhance(EnhanceSettings.from_json(job), monitor))) as movie:
        return [frame.to_ndarray(format="rgb24") for frame in movie.decode(video=0)]


@pytest.mark.parametrize("painter", PAINTERS)
def test_from_the_command_line(
    job: dict[str, Any], painter: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [job["bundle"], "--shot", job["shot"], "-o", job["output"], "--expert", painter]
    arguments += [option for model in job["model"] for option in ("--model", model)]
    arguments += ["--steps", "2", "--working-size", "64x48", "--prompt", "a wall", "--width", "90"]
    assert cli.main(["enhance", *arguments]) == 0
    told = capsys.readouterr()
    assert told.out == f"{job['output']}\n"
    assert ("not for commercial use" in told.err) == (painter == "trajectorycrafter")
    with av.open(job["output"]) as movie:
        stream = movie.streams.video[0]
        assert (stream.width, stream.height, stream.frames) == (90, 60, COUNT)
        assert stream.average_rate == wall_scene.RATE
        assert stream.duration * stream.time_base == COUNT / wall_scene.RATE
    report = json.loads(Path(job["output"]).with_name("out.report.json").read_text())["picture"]
    assert report["name"].startswith(painter)
    assert report["licence"]
    assert report["reason"] == "Asked for."


@pytest.mark.parametrize("painter", PAINTERS)
def test_the_seed_decides(
    job: dict[str, Any], painter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compared as painted: x264 is not the same every time at so few lines."""
    painted: list[np.ndarray] = []
    monkeypatch.setattr(
        "sonic4d.enhance.write_video",
        lambda _path, pictures, *_: painted.append(np.stack(list(pictures)).astype(int)),
    )
    for seed in (3, 3, 4):
        settings = {**job, "expert": painter, "steps": 1, "seed": seed}
        enhance(EnhanceSettings.from_json(settings), SILENT)
    first, again, other = painted
    assert first.shape == (COUNT, 64, 96, 3)
    assert (first == again).all()
    assert np.abs(first - other).max() > 10


@pytest.mark.parametrize("painter", PAINTERS)
def test_a_long_shot_is_painted_in_windows(
    job: dict[str, Any], painter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MODULES[painter], "LONGEST", 5)
    monkeypatch.setattr(MODULES[painter], "OVERLAP", 2)
    painted = []
    monitor = Monitor(
        lambda event: painted.append(event["done"]) if event.get("stage") == "paint" else None,
        lambda: False,
    )
    settings = {**job, "expert": painter, "steps": 1, "memory": "tiled", "working_size": "96x64"}
    assert len(run(settings, monitor)) == COUNT
    assert painted == [1, 1]


@pytest.mark.parametrize("painter", PAINTERS)
def test_stopped_in_the_middle_of_a_step(
    job: dict[str, Any], painter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker's way: asked to stop while the transformer computes, it does so before the transformer is through."""
    stop = threading.Event()
    layers = 0

    def count(*_: Any) -> None:
        nonlocal layers
        layers += stop.is_set()

    def report(event: dict[str, Any]) -> None:
        events.append(event)
        if event.get("stage") == "paint":  # after the first of many steps
            stop.set()

    monkeypatch.setattr("sonic4d.experts.running.POLL_S", 0.0)
    handle = torch.nn.modules.module.register_module_forward_hook(count)
    events: list[dict[str, Any]] = []
    try:
        run_job({"kind": "enhance", **job, "expert": painter, "steps": 500}, report, stop.is_set)
    finally:
        handle.remove()
    assert events[-1] == {"event": "cancelled"}
    assert layers <= 1
    assert not list(Path(job["output"]).parent.iterdir())


@pytest.mark.parametrize("painter", PAINTERS)
def test_stopped_while_it_loads(
    job: dict[str, Any], painter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights that take forever."""
    loading, over = threading.Event(), threading.Event()

    def load(*_: Any) -> Any:
        loading.set()
        over.wait()
        raise Cancelled

    monkeypatch.setattr(MODULES[painter], "load_diffusers", load)
    with pytest.raises(Cancelled):
        run({**job, "expert": painter}, Monitor(lambda event: None, loading.is_set))
    over.set()
    assert not list(Path(job["output"]).parent.iterdir())


@pytest.mark.parametrize("painter", PAINTERS)
def test_what_cannot_fit_is_refused_before_anything_is_loaded(
    job: dict[str, Any], painter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = machine.Machine("cpu", "1 core", 5.0, 5.0)
    monkeypatch.setattr("sonic4d.enhance.this_machine", lambda: small)
    for name in ("load_transformers", "load_diffusers"):
        monkeypatch.delattr(MODULES[painter], name)
    with pytest.raises(Sonic4DError, match=r"needs .* GB of the computer's memory") as caught:
        run({**job, "expert": painter, "working_size": "2048x2048"})
    assert caught.value.code == "out_of_memory"


def test_without_a_prompt_the_user_is_told(job: dict[str, Any], user_caches: Path) -> None:
    told: list[str] = []
    monitor = Monitor(
        lambda event: told.append(event["message"]) if event["event"] == "log" else None,
        lambda: False,
    )
    run({**job, "expert": "wan-vace", "prompt": None, "steps": 1}, monitor)
    assert any("--prompt" in message for message in told)


def test_auto_takes_a_folder_that_was_given_for_the_job(
    job: dict[str, Any], folder: Path, user_caches: Path
) -> None:
    run({**job, "model": [f"novel_view={folder / 'wan-vace-1.3b'}"], "steps": 1})
    report = Path(job["output"]).with_name("out.report.json").read_text()
    assert json.loads(report)["picture"]["name"] == "wan-vace-1.3b"


def test_auto_does_without_a_model(job: dict[str, Any], user_caches: Path) -> None:
    run({**job, "model": None})
    report = Path(job["output"]).with_name("out.report.json").read_text()
    assert json.loads(report)["picture"]["name"] == "fill"


@pytest.mark.parametrize("size", ["96", "96x65", "16x16", "9999x64", "ax64"])
def test_a_size_that_cannot_be_painted_is_refused(job: dict[str, Any], size: str) -> None:
    with pytest.raises(Sonic4DError, match="working_size"):
        EnhanceSettings.from_json({**job, "working_size": size})


def test_stopped_while_it_renders(job: dict[str, Any]) -> None:
    calls = 0

    def stop() -> bool:
        nonlocal calls
        calls += 1
        return calls > 30

    with pytest.raises(Cancelled):
        run({**job, "expert": "wan-vace"}, Monitor(lambda event: None, stop))
    assert not list(Path(job["output"]).parent.iterdir())


def size_of(network: torch.nn.Module) -> tuple[int, int]:
    sizes = [parameter.numel() for parameter in dict.fromkeys(network.parameters())]
    return sum(sizes), max(sizes)


def test_the_memory_table_counts_the_real_networks() -> None:
    """On torch's meta device: no memory, no weights."""
    text = {"d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24, "num_heads": 64}
    text["feed_forward_proj"] = "gated-gelu"
    with torch.device("meta"):
        t5 = T5EncoderModel(T5Config(vocab_size=32128, **text))
        cogvideox = AutoencoderKLCogVideoX(
            block_out_channels=(128, 256, 256, 512),
            down_block_types=("CogVideoXDownBlock3D",) * 4,
            up_block_types=("CogVideoXUpBlock3D",) * 4,
            layers_per_block=3,
            latent_channels=16,
        )
        umt5 = UMT5EncoderModel(UMT5Config(vocab_size=256384, **text))
        wan = WanVACETransformer3DModel(
            num_attention_heads=12,
            ffn_dim=8960,
            num_layers=30,
            vace_layers=[*range(0, 30, 2)],
        )
        wan_vae = AutoencoderKLWan()
    networks = catalogue.TRAJECTORYCRAFTER_NETWORKS
    assert size_of(t5) == dataclasses.astuple(networks["text_encoder"])[:2]
    assert size_of(cogvideox) == dataclasses.astuple(networks["vae"])[:2]
    keys = json.loads((Path(__file__).parents[1] / "data/trajectorycrafter_keys.json").read_text())
    sizes = [int(np.prod(shape)) for shape in keys["transformer"].values()]
    assert (sum(sizes), max(sizes)) == dataclasses.astuple(networks["transformer"])[:2]
    networks = catalogue.WAN_VACE_NETWORKS
    assert size_of(umt5) == dataclasses.astuple(networks["text_encoder"])[:2]
    assert size_of(wan) == dataclasses.astuple(networks["transformer"])[:2]
    assert size_of(wan_vae) == dataclasses.astuple(networks["vae"])[:2]
