"""Crossfaded segments: no clicks where the paper's do click, nothing lost, and the paper's sound where nothing moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from scipy import fft, signal
from sonic4d.acoustics.fast import crossfaded, render_fast
from sonic4d.acoustics.image_source import GPURIR, exact_rir, make_plan, sabine_reflection
from sonic4d.acoustics.paper import cut_shot, render_paper
from sonic4d.geometry.cameras import LOOKING_NORTH
from sonic4d.monitor import SILENT
from sonic4d.shot import Shot

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
MakeShot = Callable[..., Shot]


def noise(shot: Shot, seed: int = 0) -> Float32:
    return np.random.default_rng(seed).standard_normal(shot.sample_count).astype(np.float32)


def walk(frames: int) -> dict[str, object]:
    """A source that circles and rises at 1 m/s, a camera that walks and turns; 24 frames a second."""
    u = np.arange(frames) / 240
    circle = 2 * np.pi * u
    positions = np.stack([1.5 * np.cos(circle), 1 + 1.3 * np.sin(circle), 0.5 * np.sin(2 * circle)])
    poses = np.tile(LOOKING_NORTH, (frames, 1, 1))
    for pose, angle in zip(poses, 6 * u + 0.8 * np.sin(3 * circle), strict=True):
        c, s = np.cos(angle), np.sin(angle)
        pose[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ pose[:3, :3]
    poses[:, 0, 3] = -1 + 2 * u
    return {"positions": positions.T, "poses": poses, "frames": frames}


def stray_db(sound: Float32, frequency_hz: float, rate_hz: int) -> float:
    """Energy more than 10 % away from a tone, relative to all of it, in Kaiser windows: their mean, the worse ear's."""
    size = 16_384
    away = np.abs(fft.rfftfreq(size, 1 / rate_hz) - frequency_hz) > 0.1 * frequency_hz
    starts = range(rate_hz // 2, sound.shape[1] - size, size // 2)
    cut = np.stack([sound[:, s : s + size] for s in starts]) * np.kaiser(size, 20)
    energy = np.abs(fft.rfft(cut)) ** 2
    return float((10 * np.log10(energy[..., away].sum(2) / energy.sum(2))).mean(0).max())


@pytest.mark.parametrize("segments", ["per_frame", 15])
@pytest.mark.parametrize("frequency_hz", [1000, 4000])
def test_motion_does_not_click(
    make_shot: MakeShot, frequency_hz: float, segments: str | int
) -> None:
    """In a room that reverberates; the paper's segments do click."""
    shot = make_shot(**walk(72), segments=segments, rt60_s=0.5, sample_rate=48000)
    time = np.arange(shot.sample_count) / 48000
    tone = np.sin(2 * np.pi * frequency_hz * time).astype(np.float32)
    assert stray_db(render_fast(shot, [tone], SILENT), frequency_hz, 48000) < -65
    assert stray_db(render_paper(shot, [tone], SILENT), frequency_hz, 48000) > -40


@pytest.mark.parametrize("segments", [1, 2, 5, 50, "per_frame"])
def test_a_still_scene_is_one_convolution(make_shot: MakeShot, segments: str | int) -> None:
    shot = make_shot(positions=(0.4, 1.7, 0.2), segments=segments, tail=True)
    sound = noise(shot)
    found = render_fast(shot, [sound], SILENT)
    plan = make_plan(found.shape[1] - shot.sample_count + 1, 8000, GPURIR)
    size = np.array(shot.room.size)
    walls = np.full((3, 2), sabine_reflection(size, shot.room.rt60_s)[0])
    source = shot.room.to_local(shot.sources[0].positions[0])
    for ear, x in zip(found, (-0.0875, 0.0875), strict=True):
        microphone = shot.room.to_local(np.array([x, 0, 0]))
        truth = np.convolve(sound, exact_rir(plan, size, walls, source, microphone))
        assert np.abs(ear - truth).max() < 1e-5 * np.abs(truth).max()


def test_between_two_segments_their_sounds_are_crossfaded(make_shot: MakeShot) -> None:
    """Against renders of still scenes, weighted when the sound is emitted: cos^2 down, sin^2 up; the last one stays."""
    ends = np.array([[-1.0, 2, 0.2], [1.2, 1.5, 0]])
    shot = make_shot(positions=ends, frames=2, frame_rate="2", segments=2, rt60_s=0.2)
    sound = noise(shot)
    u = np.minimum(np.arange(8000) / 4000, 1)
    still = [make_shot(positions=end, frames=2, frame_rate="2") for end in ends]
    expected = sum(
        render_paper(each, [(sound * gain).astype(np.float32)], SILENT)
        for each, gain in zip(
            still, (np.cos(np.pi / 2 * u) ** 2, np.sin(np.pi / 2 * u) ** 2), strict=True
        )
    )
    found = render_fast(shot, [sound], SILENT)
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("segments", "count"), [("per_frame", 7), (1, 1), (2, 2), (16, 16), (9000, 9000)]
)
def test_the_gains_add_up_to_one_at_every_sample(
    make_shot: MakeShot, segments: str | int, count: int
) -> None:
    shot = make_shot(**walk(7), segments=segments, frame_rate="30000/1001", kind="free_field")
    ones = np.ones(shot.sample_count, dtype=np.float32)
    cut = cut_shot(shot, SILENT)
    layers = list(crossfaded(ones, cut.sources[0], cut))
    assert sum(len(layer.sources) for layer in layers) == count
    total = np.zeros(shot.sample_count)
    for layer in layers:
        for start, stop in zip(layer.bounds[:-1], layer.bounds[1:], strict=True):
            gain = layer.sound(start, stop)
            assert ((gain >= 0) & (gain <= 1)).all()
            total[start:stop] += gain
    assert np.abs(total - 1).max() < 1e-6


@pytest.mark.parametrize("segments", ["per_frame", 1, 31])
@pytest.mark.parametrize("tail", [False, True])
def test_length_and_bytes_do_not_vary(
    make_shot: MakeShot, segments: str | int, tail: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sonic4d.acoustics.segments._SAMPLES_PER_BATCH", 5000)
    shot = make_shot(**walk(12), segments=segments, frame_rate="24000/1001", tail=tail)
    sound, results = noise(shot), []
    for threads in (1, 3):
        monkeypatch.setattr("os.cpu_count", lambda threads=threads: threads)
        results.append(render_fast(shot, [sound], SILENT))
    assert results[0].shape == (2, 4004 + (1599 if tail else 0))
    assert results[0].tobytes() == results[1].tobytes()


def test_sources_add_up(make_shot: MakeShot) -> None:
    shot = make_shot(**walk(12))
    other = replace(shot.sources[0], positions=shot.sources[0].positions + [0, 0.5, 0.1])
    both = replace(shot, sources=(shot.sources[0], other))
    sounds = noise(shot, 1), noise(shot, 2)
    total = render_fast(both, sounds, SILENT)
    alone = [
        render_fast(replace(shot, sources=(source,)), [sound], SILENT)
        for source, sound in zip(both.sources, sounds, strict=True)
    ]
    assert np.abs(total - sum(alone)).max() < 1e-6 * np.abs(total).max()


def test_crossfaded_segments_are_nearer_to_the_motion_than_rectangular_ones(
    make_shot: MakeShot,
) -> None:
    """Frame by frame against sixteen times as often, below 500 Hz."""
    shot = make_shot(**walk(24))
    low = signal.butter(4, 500, fs=8000, output="sos")
    sound = signal.sosfilt(low, noise(shot)).astype(np.float32)
    dense = replace(shot, render=replace(shot.render, segments=24 * 16))
    truth = render_fast(dense, [sound], SILENT)

    def error_db(found: Float32) -> float:
        return float(10 * np.log10(((found - truth) ** 2).sum() / (truth**2).sum()))

    assert error_db(render_fast(shot, [sound], SILENT)) < -30
    assert error_db(render_paper(shot, [sound], SILENT)) > -25
