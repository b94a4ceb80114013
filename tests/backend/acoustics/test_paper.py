"""The paper's equations 6 to 12, restated plainly, and the physics that must follow from them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sonic4d.acoustics import paper
from sonic4d.acoustics.image_source import (
    GPURIR,
    SPEED_OF_SOUND,
    exact_rir,
    make_plan,
    sabine_reflection,
)
from sonic4d.acoustics.paper import render_paper
from sonic4d.acoustics.segments import segment_bounds, segment_values
from sonic4d.geometry.cameras import LOOKING_NORTH
from sonic4d.monitor import SILENT, Cancelled, Monitor
from sonic4d.protocol import Sonic4DError
from sonic4d.shot import Shot

Array = npt.NDArray[np.float64]
MakeShot = Callable[..., Shot]


def noise(shot: Shot, seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shot.sample_count).astype(np.float32)


def impulse(shot: Shot, sample: int = 0) -> npt.NDArray[np.float32]:
    signal = np.zeros(shot.sample_count, dtype=np.float32)
    signal[sample] = 1
    return signal


def recorded() -> tuple[Monitor, list[dict[str, Any]]]:
    events: list[dict[str, Any]] = []
    return Monitor(events.append, lambda: False), events


def warnings(events: list[dict[str, Any]]) -> str:
    return " ".join(event["message"] for event in events if event["event"] == "log")


def along_the_way(frames: int = 12) -> dict[str, Array]:
    """A source that passes by, and a camera that walks and turns."""
    u = np.linspace(0, 1, frames)
    positions = np.stack([1.5 * np.cos(3 * u), 1.5 + u, 0.3 * np.sin(5 * u)], axis=1)
    poses = np.tile(LOOKING_NORTH, (frames, 1, 1))
    for pose, angle in zip(poses, 0.9 * u, strict=True):
        c, s = np.cos(angle), np.sin(angle)
        pose[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ pose[:3, :3]
    poses[:, 0, 3] = -0.8 * u
    return {"positions": positions, "poses": poses}


def plain_paper(shot: Shot, signal: Array, segments: int, rir_samples: int) -> Array:
    """Equations 6 to 12 as written, in double precision."""
    size = np.array(shot.room.size)
    reflections = np.full((3, 2), sabine_reflection(size, shot.room.rt60_s)[0])
    plan = make_plan(rir_samples, shot.render.sample_rate, GPURIR)
    total = len(signal)
    n = [round(i * total / segments) for i in range(segments + 1)]
    y = np.zeros((2, total + rir_samples - 1))
    for i in range(segments):
        frame = i * shot.frame_count // segments
        pose = shot.listener_poses[frame]
        block = signal[n[i] : n[i + 1]]
        for ear, side in enumerate((-1, 1)):
            microphone = pose[:3, 3] + side * shot.render.mic_spacing_m / 2 * pose[:3, 0]
            h = exact_rir(
                plan,
                size,
                reflections,
                shot.room.to_local(shot.sources[0].positions[frame]),
                shot.room.to_local(microphone),
            )
            y[ear, n[i] : n[i + 1] + rir_samples - 1] += np.convolve(block, h)
    return y


@pytest.mark.parametrize("segments", ["per_frame", 6, 3])
def test_equations_6_to_12(make_shot: MakeShot, segments: str | int) -> None:
    shot = make_shot(**along_the_way(6), frames=6, segments=segments, tail=True)
    signal = noise(shot)
    found = render_paper(shot, [signal], SILENT)
    count = shot.frame_count if segments == "per_frame" else segments
    rir_samples = found.shape[1] - shot.sample_count + 1
    truth = plain_paper(shot, signal.astype(np.float64), count, rir_samples)
    assert np.abs(found - truth).max() < 1e-5 * np.abs(truth).max()
    cut = render_paper(replace(shot, render=replace(shot.render, tail=False)), [signal], SILENT)
    assert cut.shape == (2, shot.sample_count)
    assert np.abs(cut - found[:, : shot.sample_count]).max() < 1e-5 * np.abs(truth).max()


def test_the_response_lasts_as_long_as_the_reverberation(make_shot: MakeShot) -> None:
    shot = make_shot(rt60_s=0.25, tail=True)
    assert render_paper(shot, [noise(shot)], SILENT).shape[1] == shot.sample_count + 2000 - 1


@pytest.mark.parametrize("segments", [1, 5, 50, "per_frame"])
def test_a_still_scene_is_one_convolution(
    make_shot: MakeShot, segments: str | int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sonic4d.acoustics.segments._LONGEST_BLOCK", 1000)
    shot = make_shot(positions=(0.4, 1.7, 0.2), segments=segments, tail=True)
    signal = noise(shot)
    found = render_paper(shot, [signal], SILENT)
    rir_samples = found.shape[1] - shot.sample_count + 1
    truth = plain_paper(shot, signal.astype(np.float64), 1, rir_samples)
    assert np.abs(found - truth).max() < 1e-5 * np.abs(truth).max()


def test_segment_bounds_are_even_and_complete() -> None:
    assert segment_bounds(10, 4).tolist() == [0, 3, 5, 8, 10]
    bounds = segment_bounds(48048, 29)
    assert bounds[[0, -1]].tolist() == [0, 48048]
    assert set(np.diff(bounds)) == {1656, 1657}
    assert segment_bounds(2, 5).tolist() == [0, 0, 1, 1, 2, 2]


def test_segment_values_are_linear_between_frames_and_exact_on_them() -> None:
    values = np.array([[0.0, 1], [2, 5], [3, 5]])
    assert (segment_values(values, 3) == values).all()
    assert segment_values(values, 6)[:4].tolist() == [[0, 1], [1, 3], [2, 5], [2.5, 5]]
    assert (segment_values(values, 6)[5] == values[2]).all()


def test_nearer_microphone_is_louder_and_earlier_in_free_field(make_shot: MakeShot) -> None:
    shot = make_shot(kind="free_field", positions=(2, 0.5, 0))
    left, right = render_paper(shot, [impulse(shot)], SILENT)
    assert (right**2).sum() > (left**2).sum()
    assert np.abs(right).argmax() < np.abs(left).argmax()


@pytest.mark.parametrize("azimuth_deg", [-70, -20, 0, 35, 90])
def test_interaural_delay_of_the_microphone_pair(make_shot: MakeShot, azimuth_deg: float) -> None:
    """D sin(azimuth) / c in the far field; positive when the source is to the right."""
    angle = np.radians(azimuth_deg)
    position = 30 * np.array([np.sin(angle), np.cos(angle), 0])
    shot = make_shot(kind="free_field", positions=position, sample_rate=48000)
    left, right = render_paper(shot, [impulse(shot, 100)], SILENT).astype(np.float64)
    frequency = np.fft.rfftfreq(len(left), 1 / 48000)
    band = (frequency > 500) & (frequency < 10000)
    phase = np.unwrap(np.angle(np.fft.rfft(right) / np.fft.rfft(left))[band])
    delay_s = np.polyfit(2 * np.pi * frequency[band], phase, 1)[0]
    assert delay_s == pytest.approx(0.175 * np.sin(angle) / SPEED_OF_SOUND, abs=5e-6)


def test_half_space_is_direct_sound_and_one_ground_reflection(make_shot: MakeShot) -> None:
    shot = make_shot(kind="half_space", positions=(0, 2, 0), sample_rate=48000, mic_spacing_m=0)
    ear = render_paper(shot, [impulse(shot)], SILENT)[0]
    ground_m = 2 * 1.4  # both are 1.4 m above the floor at z = -1.4
    for distance_m, gain in ((2.0, 1.0), (np.hypot(2, ground_m), 0.9)):
        sample = round(distance_m / SPEED_OF_SOUND * 48000)
        arrival = ear[sample - 20 : sample + 21]
        assert arrival.sum() == pytest.approx(gain / (4 * np.pi * distance_m), rel=0.05)
        ear[sample - 192 : sample + 193] = 0
    assert np.abs(ear).max() < 1e-6


def test_no_reverberation_time_means_no_reflections(make_shot: MakeShot) -> None:
    shot = make_shot(rt60_s=0)
    anechoic = render_paper(shot, [noise(shot)], SILENT)
    free = render_paper(make_shot(kind="free_field"), [noise(shot)], SILENT)
    assert np.abs(anechoic - free).max() < 1e-6 * np.abs(free).max()


def test_turning_everything_changes_nothing(make_shot: MakeShot) -> None:
    scene = along_the_way()
    shot = make_shot(**scene)
    turn = np.eye(4)
    c, s = np.cos(np.radians(30)), np.sin(np.radians(30))
    turn[:2, :2] = [[c, -s], [s, c]]
    centre = np.array(shot.room.center)
    turn[:3, 3] = centre - turn[:3, :3] @ centre
    turned = make_shot(
        positions=scene["positions"] @ turn[:3, :3].T + turn[:3, 3],
        poses=turn @ scene["poses"],
        yaw_deg=30,
    )
    first, second = (render_paper(each, [noise(shot)], SILENT) for each in (shot, turned))
    assert np.abs(first - second).max() < 1e-5 * np.abs(first).max()


def test_sources_add_up(make_shot: MakeShot) -> None:
    shot = make_shot(**along_the_way())
    other = replace(
        shot.sources[0], name="dog", positions=shot.sources[0].positions + [0, 0.5, 0.1]
    )
    both = replace(shot, sources=(shot.sources[0], other))
    alone = replace(shot, sources=(other,))
    first, second = noise(shot, 1), noise(shot, 2)
    total = render_paper(both, [first, second], SILENT)
    parts = render_paper(shot, [first], SILENT) + render_paper(alone, [second], SILENT)
    assert np.abs(total - parts).max() < 1e-6 * np.abs(total).max()


def test_same_bytes_at_any_number_of_threads(
    make_shot: MakeShot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sonic4d.acoustics.segments._SAMPLES_PER_BATCH", 5000)
    shot = make_shot(**along_the_way(), segments=40)
    results = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(os, "cpu_count", lambda threads=threads: threads)
        results.append(render_paper(shot, [noise(shot)], SILENT).tobytes())
    assert len(set(results)) == 1


def test_a_source_outside_enlarges_the_room_and_says_so(make_shot: MakeShot) -> None:
    shot = make_shot(positions=(0, 9, 0), rt60_s=0.3)
    monitor, events = recorded()
    audio = render_paper(shot, [noise(shot)], monitor)
    assert np.isfinite(audio).all()
    assert audio.any()
    assert "4.00 x 5.00 x 3.00 m" in warnings(events)
    assert "4.00 x 11.00 x 3.00 m" in warnings(events)


def test_below_the_ground_lowers_it_and_says_so(make_shot: MakeShot) -> None:
    shot = make_shot(kind="half_space", positions=(0, 2, -3))
    monitor, events = recorded()
    assert np.isfinite(render_paper(shot, [noise(shot)], monitor)).all()
    assert "z = -3.50 m" in warnings(events)


def test_a_reverberation_time_too_short_for_the_room_is_told(make_shot: MakeShot) -> None:
    monitor, events = recorded()
    shot = make_shot(rt60_s=0.02)
    render_paper(shot, [noise(shot)], monitor)
    assert "0.02 s" in warnings(events)
    assert "without reflections" in warnings(events)


def test_more_reflections_than_can_be_computed_are_cut_and_told(
    make_shot: MakeShot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paper, "MAX_IMAGES", 10_000)
    monitor, events = recorded()
    shot = make_shot(rt60_s=0.4, tail=True)
    audio = render_paper(shot, [noise(shot)], monitor)
    assert audio.shape[1] < shot.sample_count + 0.2 * 8000
    assert "cut after 0.2 s" in warnings(events)


def test_a_source_in_the_microphone_is_finite(make_shot: MakeShot) -> None:
    shot = make_shot(positions=(0.0875, 0, 0))
    audio = render_paper(shot, [impulse(shot)], SILENT)
    assert np.abs(audio).max() == pytest.approx(1 / (4 * np.pi * 0.1), rel=0.02)


@pytest.mark.parametrize("kind", ["shoebox", "half_space", "free_field"])
@pytest.mark.parametrize("x", [1e5, 1e300])
def test_absurd_distances_are_refused(make_shot: MakeShot, kind: str, x: float) -> None:
    shot = make_shot(kind=kind, positions=(x, 2, 0))
    with pytest.raises(Sonic4DError, match="scale of the scene"):
        render_paper(shot, [noise(shot)], SILENT)


def test_more_segments_than_samples(make_shot: MakeShot) -> None:
    shot = make_shot(**along_the_way(), frame_rate="1000", segments=500)
    audio = render_paper(shot, [noise(shot)], SILENT)
    assert audio.shape == (2, 96)
    assert np.isfinite(audio).all()


def test_progress_reaches_the_end_and_silence_costs_nothing(make_shot: MakeShot) -> None:
    shot = make_shot(**along_the_way())
    monitor, events = recorded()
    render_paper(shot, [noise(shot)], monitor)
    last = events[-1]
    assert last["stage"] == "audio"
    assert last["done"] == last["total"] > 0
    monitor, events = recorded()
    assert not render_paper(shot, [np.zeros(shot.sample_count, np.float32)], monitor).any()
    assert events[-1]["total"] == 0


def test_cancelling(make_shot: MakeShot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sonic4d.acoustics.segments._SAMPLES_PER_BATCH", 1)
    shot = make_shot(**along_the_way())
    asked = []

    def should_stop() -> bool:
        asked.append(1)
        return len(asked) > 3

    with pytest.raises(Cancelled):
        render_paper(shot, [noise(shot)], Monitor(lambda event: None, should_stop))
