"""AmbiX output against the definition of spherical harmonics and the physics of sound fields."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyloudnorm
import pytest
import soundfile
from scipy import fft, signal, special
from scipy.spatial.transform import Rotation
from sonic4d.acoustics.ambisonics import spherical_harmonics
from sonic4d.acoustics.decoder import DecodeSettings, decode_file
from sonic4d.acoustics.hifi import render_hifi
from sonic4d.acoustics.render import render_to_file
from sonic4d.geometry.cameras import LOOKING_NORTH
from sonic4d.monitor import SILENT
from sonic4d.shot import Normalize, Shot

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
MakeShot = Callable[..., Shot]
RATE_HZ = 48_000
C = 343.0
WORLD = np.array(
    [[0, 1.0, 0], [-1, 0, 0], [0, 0, 1]]
)  # forward, left, up of a camera looking north


@pytest.fixture
def ambix(make_shot: MakeShot) -> MakeShot:
    def make(**changes: Any) -> Shot:
        usual = {"mode": "hifi", "format": "ambix3", "sample_rate": RATE_HZ, "kind": "free_field"}
        return make_shot(**usual | changes)

    return make


def turned(turn: Array, places: Array | float = 0.0) -> Array:
    """Cameras looking north, turned in the world by (n, 3, 3) or (3, 3), at places."""
    poses = np.tile(LOOKING_NORTH, (*turn.shape[:-2], 1, 1))
    poses[..., :3, :3] = turn @ LOOKING_NORTH[:3, :3]
    poses[..., :3, 3] = places
    return poses


def noise(shot: Shot, seed: int = 0) -> Float32:
    return np.random.default_rng(seed).standard_normal(shot.sample_count).astype(np.float32)


def defined_harmonics(directions: Array) -> Array:
    """Third order, by the definition: N_n^|m| P_n^|m|(sin el) times cos(m az) or sin(|m| az), SN3D, no (-1)^m."""
    x, y, z = directions.T
    azimuth = np.arctan2(y, x)
    columns = []
    for n in range(4):
        for m in range(-n, n + 1):
            k = abs(m)
            norm = math.sqrt((2 - (k == 0)) * math.factorial(n - k) / math.factorial(n + k))
            wave = np.cos(k * azimuth) if m >= 0 else np.sin(k * azimuth)
            columns.append(norm * (-1) ** k * special.lpmv(k, n, z) * wave)
    return np.stack(columns, axis=1)


def some_directions(count: int, seed: int = 0) -> Array:
    vectors = np.random.default_rng(seed).standard_normal((count, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_harmonics_are_those_of_the_definition(order: int) -> None:
    directions = np.vstack((some_directions(500), np.eye(3), -np.eye(3)))
    expected = defined_harmonics(directions)[:, : (order + 1) ** 2]
    np.testing.assert_allclose(spherical_harmonics(order, directions), expected, atol=1e-14)


@pytest.mark.parametrize("name", ["ambix1", "ambix2", "ambix3"])
def test_direct_sound_is_encoded_for_its_direction(ambix: MakeShot, name: str) -> None:
    """Whatever the camera's orientation and the distance: all channels hear the source at the same time, W as sound
    pressure 1 / (4 pi d), the others as W times the harmonic."""
    turns = Rotation.random(4, rng=np.random.default_rng(5)).as_matrix()
    for turn, place in zip(turns, 3.7 * some_directions(4, 1), strict=True):
        shot = ambix(positions=place, poses=turned(turn), format=name, frames=6)
        first = np.zeros(shot.sample_count, np.float32)
        first[100] = 1
        sound = render_hifi(shot, [first], SILENT).astype(float)
        heard_from = WORLD @ turn.T @ place / 3.7
        expected = defined_harmonics(heard_from[None])[0, : len(sound)]
        assert np.abs(sound - expected[:, None] * sound[0]).max() < 1e-6 * np.abs(sound[0]).max()
        spectrum = fft.rfft(sound[0], 1 << 14)
        frequencies = fft.rfftfreq(1 << 14, 1 / RATE_HZ)
        low = (frequencies > 200) & (frequencies < 1000)  # where the air takes nothing
        assert np.abs(np.abs(spectrum[low]) * 4 * np.pi * 3.7 - 1).max() < 2e-3
        delay = 100 + 3.7 / C * RATE_HZ
        advanced = spectrum * np.exp(2j * np.pi * frequencies * delay / RATE_HZ)
        assert np.abs(np.angle(advanced[low])).max() < 1e-3


def test_turning_the_listener_turns_the_field(ambix: MakeShot) -> None:
    """Direct sound and the ground's reflection, heard by a turned head, against the straight head's channels turned."""
    turn = Rotation.from_euler("ZXY", (70, -35, 20), degrees=True).as_matrix()
    straight = ambix(kind="half_space", positions=(1, 2, 0.7))
    other = replace(straight, listener_poses=np.broadcast_to(turned(turn), (12, 4, 4)))
    sound = noise(straight)
    plain, heard = (render_hifi(shot, [sound], SILENT) for shot in (straight, other))
    directions = some_directions(100)
    in_head = directions @ (WORLD @ turn.T @ WORLD.T).T
    rotation = np.linalg.lstsq(defined_harmonics(directions), defined_harmonics(in_head), None)[0].T
    assert np.abs(rotation @ plain - heard).max() < 1e-6 * np.abs(heard).max()
    assert np.abs(plain - heard).max() > 0.1 * np.abs(heard).max()


def test_the_intensity_points_at_a_moving_source(ambix: MakeShot) -> None:
    """In windows of 100 ms, while the source moves and the listener walks and turns; against the direction from where
    the listener is to where the source was when it sent."""
    frames = 72
    time = np.arange(frames) / 24
    source = np.stack((2 * np.cos(time), 2 * np.sin(time), 0.8 * np.sin(2 * time)), axis=1)
    walked = np.stack((0.3 * time, 0 * time, 0.2 * np.sin(time)), axis=1)
    turns = Rotation.from_euler("ZX", np.stack((1.5 * time, 0.4 * np.sin(time)), 1)).as_matrix()
    shot = ambix(positions=source, poses=turned(turns, walked), frames=frames, format="ambix1")
    w, y, z, x = render_hifi(shot, [noise(shot)], SILENT).astype(float)
    errors_deg = []
    for middle in range(10, frames - 10, 3):
        centre = middle * RATE_HZ // 24
        window = slice(centre - 2400, centre + 2400)
        intensity = np.array([w[window] @ channel[window] for channel in (x, y, z)])
        away_s = np.linalg.norm(source[middle] - walked[middle]) / C
        sent = [np.interp(time[middle] - away_s, time, axis) for axis in source.T]
        truth = WORLD @ turns[middle].T @ (np.array(sent) - walked[middle])
        cosine = intensity @ truth / np.linalg.norm(intensity) / np.linalg.norm(truth)
        errors_deg.append(np.degrees(np.arccos(min(cosine, 1))))
    assert max(errors_deg) < 1


@pytest.mark.parametrize("frequency_hz", [1000, 4000])
def test_motion_does_not_click(ambix: MakeShot, frequency_hz: float) -> None:
    """Energy more than 10 % away from a tone, all channels together, in a room that reverberates."""
    frames = 72
    u = np.arange(frames) / 240
    circle = 2 * np.pi * u
    source = np.stack((1.5 * np.cos(circle), 1 + 1.3 * np.sin(circle), 0.5 * np.sin(2 * circle)), 1)
    walked = np.stack((-1 + 2 * u, 0 * u, 0.1 + 0 * u), axis=1)
    yaw = 6 * u + 0.8 * np.sin(6 * np.pi * u)
    turns = Rotation.from_rotvec(yaw[:, None] * [0, 0, 1]).as_matrix()
    shot = ambix(
        kind="shoebox", positions=source, poses=turned(turns, walked), frames=frames, rt60_s=0.5
    )
    time = np.arange(shot.sample_count) / RATE_HZ
    tone = np.sin(2 * np.pi * frequency_hz * time).astype(np.float32)
    sound = render_hifi(shot, [tone], SILENT)
    size = 16_384
    away = np.abs(fft.rfftfreq(size, 1 / RATE_HZ) - frequency_hz) > 0.1 * frequency_hz
    starts = range(RATE_HZ // 2, sound.shape[1] - size, size // 2)
    cut = np.stack([sound[:, s : s + size] for s in starts]) * np.kaiser(size, 20)
    energy = np.abs(fft.rfft(cut)) ** 2
    assert 10 * np.log10(energy[..., away].sum() / energy.sum()) < -90


def test_nothing_moves_equals_convolution(ambix: MakeShot) -> None:
    shot = ambix(kind="shoebox", positions=(0.7, 2, 0.3), rt60_s=0.3, tail=True)
    sound, first = noise(shot), np.zeros(shot.sample_count, np.float32)
    first[0] = 1
    response = render_hifi(shot, [first], SILENT)
    rendered = render_hifi(shot, [sound], SILENT)[:, : shot.sample_count]
    expected = signal.fftconvolve(sound[None], response, axes=1)[:, : shot.sample_count]
    assert np.abs(rendered - expected).max() < 1e-5 * np.abs(expected).max()


def test_the_tail_is_a_diffuse_field(
    ambix: MakeShot, late_response: Callable[[Shot], Float32]
) -> None:
    """W has the energy of a diffuse field, c / (4 pi V) exp(-13.8 t / T), around 1 kHz; a channel of order n has
    1 / (2 n + 1) of it (SN3D), and nothing in common with the others."""
    tail = late_response(ambix(kind="shoebox", rt60_s=1.0))
    sos = signal.butter(3, (707, 1414), "band", fs=RATE_HZ, output="sos")
    passed = np.mean(np.abs(signal.sosfreqz(sos, 1 << 14)[1]) ** 4)
    time = np.arange(RATE_HZ // 2) / RATE_HZ
    expected = C / (4 * np.pi * 60) * np.exp(-13.8155 * time) / RATE_HZ * passed
    white = signal.sosfiltfilt(sos, tail)[:, : len(time)] / np.sqrt(expected)
    orders = np.repeat(np.arange(4), 2 * np.arange(4) + 1)
    level_db = 10 * np.log10((white**2).mean(axis=1) * (2 * orders + 1))
    assert np.abs(level_db).max() < 0.7
    assert abs(level_db.mean()) < 0.15
    common = np.corrcoef(white) - np.eye(16)
    assert np.abs(common).max() < 0.2
    assert np.sqrt((common**2).mean()) < 0.06


def test_an_ear_hears_as_much_reverberation_as_the_middle_of_the_head(
    ambix: MakeShot, late_response: Callable[[Shot], Float32]
) -> None:
    """The mean of both ears over the frequencies against W: the head is diffuse-field equalised."""
    energies = []
    for name in ("ambix1", "binaural"):
        tail = late_response(ambix(kind="shoebox", rt60_s=0.5, format=name, seed=3))
        spectrum = np.abs(fft.rfft(tail[: 1 if name == "ambix1" else 2], 1 << 16)) ** 2
        energies.append(spectrum[:, 400:21_800].sum() / len(spectrum))
    assert abs(10 * np.log10(energies[0] / energies[1])) < 0.3


def test_loudness_is_that_of_the_headphones(ambix: MakeShot, tmp_path: Path) -> None:
    """One gain brings what the decoder makes of the file to the loudness asked for; pyloudnorm is the judge."""
    shot = ambix(
        kind="free_field",
        positions=(-2, 0, 0),
        frames=48,
        format="ambix2",
        normalize=Normalize("loudness", -30.0, -1.0),
    )
    sound = np.random.default_rng(0).standard_normal(shot.sample_count) * 0.1
    soundfile.write(tmp_path / "bell.wav", sound, RATE_HZ, subtype="FLOAT")
    render_to_file(shot, tmp_path / "out.wav")
    decode_file(DecodeSettings(tmp_path / "out.wav", tmp_path / "heard.wav"), SILENT)
    heard, _ = soundfile.read(tmp_path / "heard.wav")
    assert pyloudnorm.Meter(RATE_HZ).integrated_loudness(heard) == pytest.approx(-30, abs=0.1)
    report = json.loads((tmp_path / "out.report.json").read_text())
    assert report["loudness_lufs"] == pytest.approx(-30, abs=0.05)


def test_the_same_bytes_at_any_number_of_threads(
    ambix: MakeShot, monkeypatch: pytest.MonkeyPatch
) -> None:
    moving = np.linspace((-1.5, 2, 0), (1.5, 2.5, 0.5), 24)
    shot = ambix(kind="shoebox", positions=moving, frames=24)
    sound = noise(shot)
    results = []
    for count in (1, 3):
        monkeypatch.setattr(os, "cpu_count", lambda count=count: count)
        results.append(render_hifi(shot, [sound], SILENT).tobytes())
    assert results[0] == results[1]


def test_lower_orders_are_the_first_channels_of_higher_ones(ambix: MakeShot) -> None:
    """Direct sound and first reflections; the tail's random numbers are theirs alone."""
    shot = ambix(kind="half_space", positions=(1, 1, 0.5))
    sound = noise(shot)
    third = render_hifi(shot, [sound], SILENT)
    for name, count in (("ambix1", 4), ("ambix2", 9)):
        lower = render_hifi(
            replace(shot, render=replace(shot.render, format=name)), [sound], SILENT
        )
        assert lower.shape == (count, shot.sample_count)
        assert np.abs(lower - third[:count]).max() < 1e-6 * np.abs(third).max()
