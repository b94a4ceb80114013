"""`sonic4d generate --audio mmaudio` from the command line and in the worker, offline, on tiny weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from sonic4d import cli, sound_stage
from sonic4d.bundle import Bundle, read_bundle
from sonic4d.experts.registry import find
from sonic4d.jobs import run_job
from sonic4d.media.video import read_clip, write_video
from sonic4d.monitor import SILENT
from sonic4d.protocol import FINAL_EVENTS
from sonic4d.settings import GenerateSettings
from sonic4d.sound_stage import choose_sound, sounds_of_sources

WIDTH, HEIGHT, RATE = 128, 96, Fraction(24000, 1001)
FRAMES = 37


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A silent video: a red box travels before a textured wall, a blue one rests. Depth maps beside it."""
    folder = tmp_path_factory.mktemp("clip")
    coarse = np.random.default_rng(0).uniform(0.3, 1, (HEIGHT // 8, WIDTH // 8, 1))
    wall = (np.kron(coarse, np.ones((8, 8, 1))) * 150 * np.ones(3)).astype(np.uint8)
    frames = np.repeat(wall[None], FRAMES, 0)
    for index in range(FRAMES):
        frames[index, 40:56, 10 + 2 * index : 26 + 2 * index] = (220, 40, 30)
    write_video(folder / "clip.mp4", frames, RATE)
    np.savez(folder / "depth.npz", depth=np.full((FRAMES, HEIGHT, WIDTH), 4.0, np.float32))
    return folder / "clip.mp4"


def job(clip: Path, tiny: Path, output: Path, **values: Any) -> dict[str, Any]:
    return {
        "kind": "generate",
        "video": str(clip),
        "output": str(output),
        "audio": "mmaudio",
        "model": [f"audio={tiny}"],
        "depth": str(clip.with_name("depth.npz")),
        "point": "18,48",
        **values,
    }


def done(request: dict[str, Any]) -> Bundle:
    events: list[dict[str, Any]] = []
    run_job(request, events.append, lambda: False)
    assert events[-1]["event"] == "done", events[-1]
    return read_bundle(Path(events[-1]["results"][0]))


def sound(bundle: Bundle, index: int = 0) -> np.ndarray:
    samples, rate_hz = soundfile.read(bundle.path(bundle.sources[index].audio))
    assert rate_hz == 48000
    return samples


PROMPTS = {"audio_prompt": "a car", "audio_negative_prompt": "music", "seed": 7}


@pytest.fixture(scope="module")
def by_hand(clip: Path, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Made by the command line."""
    folder = tmp_path_factory.mktemp("by_hand")
    target = folder / "scene.sonic4d"
    arguments = ["generate", str(clip), "-o", str(target), "--audio", "mmaudio"]
    arguments += ["--audio-prompt", "a car", "--audio-negative-prompt", "music", "--seed", "7"]
    arguments += ["--model", f"audio={tiny}", "--point", "18,48"]
    arguments += ["--depth", str(clip.with_name("depth.npz"))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        patch.setenv("LOCALAPPDATA", str(folder / "cache"))
        assert cli.main(arguments) == 0
    return read_bundle(target)


def test_from_the_command_line(by_hand: Bundle) -> None:
    samples = sound(by_hand)
    assert len(samples) == round(FRAMES / RATE * 48000)
    assert samples.std() > 0.01
    assert np.abs(samples).max() <= 1
    (audio,) = [expert for expert in by_hand.provenance if expert.stage == "audio"]
    assert audio.name == "mmaudio-small-44k"
    assert audio.licence == "CC-BY-NC-4.0 + apple-amlr + MIT"
    assert 'prompt "a car", not "music"; seed 7' in audio.reason
    assert any("does not allow commercial use" in warning for warning in by_hand.warnings)


def test_in_the_worker(
    by_hand: Bundle, clip: Path, tiny: Path, tmp_path: Path, worker: subprocess.Popen[str]
) -> None:
    """What the add-on's "Generate from video" does: cancelled while the sound is made, then done: the command line's sound.

    Cancelled when its first stage begins: the last ones are over before a message gets here and another back.
    """
    target = tmp_path / "out" / "scene.sonic4d"
    request = job(clip, tiny, target, **PROMPTS)
    send(worker, 1, {"command": "run", "job": request})
    stages = []
    for event in events_of(worker):
        stages.append(event.get("stage"))
        if event.get("stage") == "looking at the pictures" and event["done"] == 0:
            send(worker, 1, {"command": "cancel"})
    assert event["event"] == "cancelled"
    assert "making the waveform" not in stages
    assert not list(target.parent.iterdir())
    send(worker, 2, {"command": "run", "job": request})
    *_, last = events_of(worker)
    assert last["event"] == "done"
    assert np.array_equal(sound(read_bundle(target)), sound(by_hand))


def test_a_source_gets_its_own_sound(
    clip: Path, tiny: Path, tmp_path: Path, by_hand: Bundle
) -> None:
    """Of what is seen around it."""
    own = done(job(clip, tiny, tmp_path / "b", audio_view="source", **PROMPTS))
    assert len(sound(own)) == len(sound(by_hand))
    assert not np.array_equal(sound(own), sound(by_hand))
    (audio,) = [expert for expert in own.provenance if expert.stage == "audio"]
    assert 'what is seen around "source"' in audio.reason


def test_each_of_several_sources_gets_its_own_sound(
    clip: Path, tiny: Path, tmp_path: Path, by_hand: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their mix is the scene's sound."""
    (track,) = by_hand.sources
    still = np.tile([0.6, 0.3, 0.9, 0.9], (FRAMES, 1))
    tracks = [track, replace(track, name="wall", audio="audio/wall.wav", boxes=still)]
    values = job(clip, tiny, clip, audio_view="source")
    values.pop("kind")
    settings = GenerateSettings.from_json(values)
    maker = choose_sound(settings, SILENT)
    shot = read_clip(clip)
    found = sounds_of_sources(maker, shot, tracks, settings, tmp_path, SILENT)
    assert [*found.of_sources] == [track.audio, "audio/wall.wav"]
    one, two = found.of_sources.values()
    assert len(one) == len(two) == len(found.mono) == round(FRAMES / RATE * 48000)
    assert not np.array_equal(one, two)
    peak = max(1, np.abs(one + two).max())
    np.testing.assert_allclose(found.mono, (one + two) / peak, atol=1e-6)
    assert len(found.provenance) == 2
    monkeypatch.setattr(
        sound_stage, "load", None
    )  # an interrupted generation's sounds are not made again
    again = sounds_of_sources(maker, shot, tracks, settings, tmp_path, SILENT)
    np.testing.assert_array_equal(again.mono, found.mono)
    with pytest.raises(TypeError):
        sounds_of_sources(maker, shot, tracks, replace(settings, seed=1), tmp_path, SILENT)


def failing(request: dict[str, Any]) -> dict[str, Any]:
    events: list[dict[str, Any]] = []
    run_job(request, events.append, lambda: False)
    assert events[-1]["event"] == "error"
    assert not Path(request["output"]).exists()
    return events[-1]


def test_a_model_that_is_not_here(clip: Path, tiny: Path, tmp_path: Path) -> None:
    """Size, licence and the command, before anything else is done; nothing is downloaded."""
    error = failing(job(clip, tiny, tmp_path / "a", model=[]))
    assert error["code"] == "missing_model"
    assert "mmaudio-small-44k" in error["message"]  # of a computer without a GPU
    assert "CC-BY-NC-4.0" in error["message"]
    assert error["hint"].endswith("sonic4d models download mmaudio-small-44k")


def test_a_size_by_its_name(clip: Path, tiny: Path, tmp_path: Path) -> None:
    error = failing(job(clip, tiny, tmp_path / "a", audio="mmaudio-large-44k-v2"))
    assert error["code"] == "bad_model"
    assert "another kind of model" in error["message"]


@pytest.mark.parametrize(
    "option", [{"audio_prompt": "rain"}, {"audio_negative_prompt": "x"}, {"audio_view": "source"}]
)
def test_a_prompt_without_a_model(
    option: dict[str, str], clip: Path, tiny: Path, tmp_path: Path
) -> None:
    error = failing(job(clip, tiny, tmp_path / "a", audio="track", **option))
    assert error["code"] == "bad_option"
    assert "--audio mmaudio" in error["hint"]


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[str]]:
    """The process that the add-on talks to."""
    command = [sys.executable, "-u", "-m", "sonic4d", "worker"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, env=dict(os.environ), **pipes) as process:
        yield process
        process.stdin.close()


def send(worker: subprocess.Popen[str], number: int, message: dict[str, Any]) -> None:
    worker.stdin.write(json.dumps({"v": 1, "id": number, **message}) + "\n")
    worker.stdin.flush()


def events_of(worker: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """Up to the last of a job."""
    for line in worker.stdout:
        event = json.loads(line)
        yield event
        if event["event"] in FINAL_EVENTS:
            return


def test_every_size_is_an_option() -> None:
    from sonic4d.experts.mmaudio.choice import options

    assert options()[0] == "mmaudio"
    assert all(find(name).job == "audio" for name in options()[1:])
    assert len(options()) == 6
