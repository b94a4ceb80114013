"""The two microphones of the paper, heard without its segments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import fft
from scipy.spatial.transform import Rotation
from sonic4d.acoustics.hifi import render_hifi
from sonic4d.geometry.cameras import LOOKING_NORTH
from sonic4d.monitor import SILENT
from sonic4d.protocol import Sonic4DError
from sonic4d.room import Room
from sonic4d.shot import Shot

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
MakeShot = Callable[..., Shot]
RATE_HZ = 48_000
C = 343.0
SPACING_M = 0.175


@pytest.fixture
def stereo(make_shot: MakeShot) -> MakeShot:
    def make(**changes: Any) -> Shot:
        usual = {"mode": "hifi", "format": "stereo", "sample_rate": RATE_HZ, "kind": "free_field"}
        return make_shot(**usual | changes)

    return make


def arrival_s(response: Float32) -> float:
    """From the phase, 300 Hz to 10 kHz."""
    spectrum = fft.rfft(response, 1 << 14)
    frequencies = fft.rfftfreq(1 << 14, 1 / RATE_HZ)
    coarse = np.argmax(np.abs(response)) / RATE_HZ
    band = (frequencies > 300) & (frequencies < 10_000)
    phase = np.angle(spectrum * np.exp(2j * np.pi * frequencies * coarse))[band]
    omega = 2 * np.pi * frequencies[band]
    return coarse - (phase * omega).sum() / (omega**2).sum()


@pytest.mark.parametrize("distance_m", [0.5, 2.0, 20.0])
@pytest.mark.parametrize("azimuth_deg", [0, 35, 90, -60, 140])
def test_each_microphone_hears_when_the_sound_gets_there(
    stereo: MakeShot, azimuth_deg: float, distance_m: float
) -> None:
    """Delay and level, 1 / (4 pi d), of the distances to the microphones themselves."""
    angle = np.radians(azimuth_deg)
    place = distance_m * np.array([-np.sin(angle), np.cos(angle), 0])
    shot = stereo(positions=place, mic_spacing_m=SPACING_M)
    first = np.zeros(shot.sample_count, np.float32)
    first[0] = 1
    sound = render_hifi(shot, [first], SILENT)
    for side, response in zip((-1, 1), sound, strict=True):
        way_m = np.linalg.norm(place - [side * SPACING_M / 2, 0, 0])
        assert arrival_s(response) == pytest.approx(way_m / C, abs=1e-6)
        level = np.abs(fft.rfft(response, 1 << 14)[20:200]).mean()
        assert level * 4 * np.pi * way_m == pytest.approx(1, rel=5e-3)


def test_reverberation_coheres_as_a_diffuse_field(
    stereo: MakeShot, late_response: Callable[[Shot], Float32]
) -> None:
    """sinc(2 f D / c) in bands of 200 Hz (Cook 1955), from several realisations of the noise."""
    bands = [slice(low, low + 200) for low in range(100, 3000, 200)]
    common, power = np.zeros(len(bands)), np.zeros((2, len(bands)))
    for seed in range(4):
        tail = late_response(stereo(kind="shoebox", rt60_s=2.0, seed=seed))
        time = np.arange(RATE_HZ) / RATE_HZ
        left, right = fft.rfft(tail[:, :RATE_HZ] * np.exp(13.8155 / 4 * time))
        for i, band in enumerate(bands):
            common[i] += (left[band] * right[band].conj()).real.sum()
            power[:, i] += (np.abs(left[band]) ** 2).sum(), (np.abs(right[band]) ** 2).sum()
    coherence = common / np.sqrt(power[0] * power[1])
    expected = [
        np.sinc(2 * np.arange(band.start, band.stop) * SPACING_M / C).mean() for band in bands
    ]
    assert np.abs(coherence - expected).max() < 0.1
    assert np.abs(10 * np.log10(power[0] / power[1])).max() < 1


@pytest.mark.parametrize("kind", ["free_field", "shoebox"])
def test_the_delay_between_the_microphones_tells_the_direction(stereo: MakeShot, kind: str) -> None:
    """GCC-PHAT of 200 ms windows against the truth: a source that circles and rises, a camera that walks and turns, in
    the open and in a room of 5 x 4 x 3 m that reverberates for half a second; the source being ahead by a third of its
    way each time. Now and then a window hears a reflection, where the source is far away."""
    frames = 240
    u = np.arange(frames) / frames
    walked = 0.5 - 0.5 * np.cos(2 * np.pi * u)
    yaw = -np.pi / 6 + 1.2 * np.sin(2 * np.pi * u)
    turns = Rotation.from_rotvec(yaw[:, None] * [0, 0, 1]).as_matrix()
    poses = np.tile(LOOKING_NORTH, (frames, 1, 1))
    poses[:, :3, :3] = turns @ LOOKING_NORTH[:3, :3]
    poses[:, :3, 3] = np.stack((2 * walked - 1.3, 1.2 * walked**2 - 1, 0 * u), axis=1)
    room = Room(kind, (0.0, 0.0, 0.0), (5.0, 4.0, 3.0), 0.0, 0.5)
    errors_deg = []
    for ahead in (0, 1 / 3, 2 / 3):
        circle = 2 * np.pi * (u + ahead)
        source = np.stack(
            (1.6 * np.cos(circle), 1.3 * np.sin(circle), 0.5 * np.sin(2 * circle)), axis=1
        )
        shot = replace(stereo(positions=source, poses=poses, frames=frames), room=room)
        sound = np.random.default_rng(0).standard_normal(shot.sample_count).astype(np.float32)
        left, right = render_hifi(shot, [sound], SILENT)
        taper, finer = np.hanning(9600), 16
        most = round(SPACING_M / C * RATE_HZ * finer)
        for frame in range(6, frames - 6, 4):
            window = slice(frame * 2000 - 4800, frame * 2000 + 4800)
            spectra = [fft.rfft(channel[window] * taper, 1 << 15) for channel in (left, right)]
            cross = spectra[0] * spectra[1].conj()
            correlation = fft.irfft(cross / np.maximum(np.abs(cross), 1e-30), finer << 15)
            lag = np.argmax(np.roll(correlation, most)[: 2 * most + 1]) - most
            heard = np.arcsin(np.clip(-lag / finer / RATE_HZ * C / SPACING_M, -1, 1))
            away = turns[frame].T @ (source[frame] - poses[frame, :3, 3])
            errors_deg.append(np.degrees(heard - np.arcsin(-away[0] / np.linalg.norm(away))))
    assert np.abs(errors_deg).mean() < 1.5
    assert np.median(np.abs(errors_deg)) < 0.5
    assert kind == "shoebox" or np.abs(errors_deg).max() < 6


def test_microphones_too_far_apart(stereo: MakeShot) -> None:
    shot = stereo(mic_spacing_m=0.68)
    assert np.isfinite(render_hifi(shot, [np.ones(100, np.float32)], SILENT)).all()
    far = replace(shot, render=replace(shot.render, mic_spacing_m=0.7))
    with pytest.raises(Sonic4DError, match="too far") as caught:
        render_hifi(far, [np.ones(100, np.float32)], SILENT)
    assert "0.69" in caught.value.hint
