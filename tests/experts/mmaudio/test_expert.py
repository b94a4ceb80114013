"""From a silent video to sound, with tiny random weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sonic4d.experts.choose import load
from sonic4d.experts.machine import Machine
from sonic4d.experts.mmaudio.encoders import Clip, SyncEncoder
from sonic4d.experts.protocols import AudioModel, SilentVideo
from sonic4d.experts.store import Ready, locate
from sonic4d.monitor import SILENT, Cancelled, Monitor
from sonic4d.protocol import Sonic4DError

CPU = Machine("cpu", "", 24.0, 24.0)
NAME = "mmaudio-small-44k"


@pytest.fixture
def model(tiny: Path) -> AudioModel:
    return load(locate(NAME, {NAME: tiny}), CPU)


def video(frame_count: int, frame_rate: Fraction | int = 25, seed: int = 0) -> SilentVideo:
    """A texture that travels to the right."""
    texture = np.random.default_rng(seed).integers(0, 255, (90, 160, 3), dtype=np.uint8)

    def pictures(numbers: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
        assert [*numbers] == sorted({*numbers})
        return ((number, np.roll(texture, number, axis=1)) for number in numbers)

    return SilentVideo(pictures, Fraction(frame_rate), frame_count)


@pytest.mark.parametrize(
    ("frames", "rate"), [(1, 25), (60, 30), (100, Fraction(24000, 1001)), (301, 30)]
)
def test_the_sound_is_as_long_as_the_video(
    model: AudioModel, frames: int, rate: Fraction | int
) -> None:
    silent = video(frames, rate)
    sound = model(silent, "a dog", "", 1, SILENT)
    assert sound.rate_hz == 44100
    assert sound.samples.dtype == np.float32
    length_s = Fraction(len(sound.samples), 44100)
    assert silent.duration_s <= length_s < max(silent.duration_s, 1) + Fraction(1024 + 44100, 44100)
    assert len(sound.samples) % 1024 == 0  # whole latents
    assert np.abs(sound.samples).max() <= 1
    assert sound.samples.std() > 0.01


def test_a_seed_is_one_sound(model: AudioModel) -> None:
    one, two, other = (model(video(25), "a dog", "", seed, SILENT).samples for seed in (5, 5, 6))
    assert np.array_equal(one, two)
    assert np.abs(one - other).max() > 0.05


@pytest.mark.parametrize(
    ("prompts", "seed"), [(("a cat", ""), 0), (("a dog", "music"), 0), (("a dog", ""), 1)]
)
def test_pictures_and_words_are_heard(
    model: AudioModel, prompts: tuple[str, str], seed: int
) -> None:
    plain = model(video(25), "a dog", "", 5, SILENT).samples
    changed = model(video(25, seed=seed), *prompts, 5, SILENT).samples
    assert np.abs(plain - changed).max() > 1e-3


def test_what_was_seen_is_remembered(
    model: AudioModel, user_caches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second time, and for what stands still, no encoder looks at a picture."""
    first = model(video(25), "a dog", "", 5, SILENT).samples
    files = list(user_caches.rglob("features/*/*.npy"))
    assert len(files) == 8 + 2  # pictures a second for CLIP, segments for Synchformer

    def never(*_: Any) -> None:
        raise AssertionError("it looked again")

    monkeypatch.setattr("sonic4d.experts.mmaudio.encoders.clip_input", never)
    monkeypatch.setattr("sonic4d.experts.mmaudio.encoders.sync_input", never)
    assert np.array_equal(model(video(25), "a dog", "", 5, SILENT).samples, first)
    for path in files:  # of a disk that failed
        path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(AssertionError, match="looked again"):
        model(video(25), "a dog", "", 5, SILENT)


def test_still_pictures_are_seen_once(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    looks: list[int] = []
    encoder = Clip(locate(NAME, {NAME: tiny}), CPU)
    original = encoder.model.vision_model.forward

    def counted(pixel_values: torch.Tensor) -> Any:
        looks.append(len(pixel_values))
        return original(pixel_values)

    monkeypatch.setattr(encoder.model.vision_model, "forward", counted)
    still, moving = torch.zeros(3, 384, 384, dtype=torch.uint8), torch.full((3, 384, 384), 9).byte()
    with torch.inference_mode():
        features = encoder.see([still, still, moving, still, still, still])
    assert looks == [2]
    assert np.array_equal(features[0], features[5])
    assert not np.array_equal(features[0], features[2])
    assert np.linalg.norm(features[0]) == pytest.approx(1)


def test_the_end_of_a_text_is_padded_with_zeros(tiny: Path) -> None:
    """As open_clip does, which the models were trained with; every token counts."""
    import torch

    encoder = Clip(locate(NAME, {NAME: tiny}), CPU)
    with torch.inference_mode():
        plain, spaced, long = (
            encoder.read(text) for text in ("a dog", "  a \n dog ", "bark " * 100)
        )
        states = encoder.model.text_model(torch.tensor([_tokens(encoder, "a dog")]))
    assert plain.shape == long.shape == (77, 16)
    assert torch.equal(plain, spaced)
    expected = torch.nn.functional.normalize(states.last_hidden_state[0], dim=-1)
    torch.testing.assert_close(plain, expected)


def _tokens(encoder: Clip, text: str) -> list[int]:
    ids = encoder.tokenizer(text)["input_ids"]
    return ids + [0] * (77 - len(ids))


STAGES = [  # as the user sees them
    "looking at the pictures",
    "following the motion",
    "composing the sound",
    "making the waveform",
]


def test_progress(model: AudioModel) -> None:
    events: list[dict[str, Any]] = []
    model(video(50), "", "", 0, Monitor(events.append, lambda: False))
    assert [*dict.fromkeys(event["stage"] for event in events)] == STAGES
    for stage in STAGES:
        told = [(event["done"], event["total"]) for event in events if event["stage"] == stage]
        assert told[0][0] == 0
        assert told[-1][0] == told[-1][1]
        assert [done for done, _ in told] == sorted(done for done, _ in told)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("progressed", [0, 1])
def test_it_can_be_stopped_anywhere(model: AudioModel, stage: str, progressed: int) -> None:
    """Nothing of any other stage begins after that."""
    stages: list[str] = []

    def report(event: dict[str, Any]) -> None:
        if event["done"] >= progressed or event["stage"] != stage:
            stages.append(event["stage"])

    with pytest.raises(Cancelled):
        model(video(80), "", "", 0, Monitor(report, lambda: stage in stages))
    assert stages[-1] == stage
    assert stages.count(stage) == 1


def test_a_folder_that_does_not_fit(tiny: Path, tmp_path: Path) -> None:
    """A file of another size in the place of this one: one sentence, no traceback."""
    ready = locate(NAME, {NAME: tiny})
    ready = Ready(ready.model, {**ready.folders, "synchformer": tmp_path}, {})
    config = (tiny / "synchformer" / "config.json").read_text()
    (tmp_path / "model.safetensors").symlink_to(tiny / "synchformer" / "model.safetensors")
    for spoilt in (config.replace('"blocks": 1', '"blocks": 3'), "{}"):
        (tmp_path / "config.json").write_text(spoilt)
        with pytest.raises(Sonic4DError, match="can't be loaded") as caught:
            SyncEncoder(ready, CPU)
        assert caught.value.code == "bad_model"
