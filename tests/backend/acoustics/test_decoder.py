"""AmbiX on headphones, against the head's own responses: levels, times, diffuse field, turning, files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from scipy import fft
from sonic4d.acoustics import sphere_table
from sonic4d.acoustics.decoder import DecodeSettings, decode, decode_file, decoding_filters
from sonic4d.acoustics.hifi import render_hifi
from sonic4d.acoustics.hrtf import Hrtf, load_hrtf
from sonic4d.cli import main
from sonic4d.monitor import SILENT, Cancelled, Monitor
from sonic4d.protocol import Sonic4DError
from sonic4d.shot import Shot

Array = npt.NDArray[np.float64]
MakeShot = Callable[..., Shot]
RATE_HZ = 48_000
SIZE = 2048
HZ = fft.rfftfreq(SIZE, 1 / RATE_HZ)


@pytest.fixture
def head() -> Hrtf:
    return load_hrtf("kemar", RATE_HZ)


def directions() -> Array:
    """Evenly over the sphere, down to 40 degrees below."""
    index = np.arange(150) + 0.5
    z = 1 - index / 75
    angle = index * np.pi * (3 - 5**0.5)
    flat = np.sqrt(1 - z**2)
    all_ = np.stack((flat * np.cos(angle), flat * np.sin(angle), z), axis=1)
    return all_[z > -0.64]


def own(head: Hrtf, towards: Array) -> npt.NDArray[np.complex128]:
    """The head's spectra (n, 2, bins)."""
    weights = sphere_table.read_table(head.weights, towards).reshape(len(towards), 2, -1)
    onsets_s = sphere_table.read_table(head.onsets_s, towards)
    late = np.exp(-2j * np.pi * HZ * onsets_s[..., None])
    return fft.rfft(weights @ head.basis, SIZE) * late


def plane_waves(order: int, towards: Array) -> Array:
    """AmbiX channels (n, channels) up to second order, from the formulas of its paper; third as Legendre functions say."""
    from scipy.special import lpmv

    azimuth = np.arctan2(towards[:, 1], towards[:, 0])
    channels = []
    for degree in range(order + 1):
        for m in range(-degree, degree + 1):
            k = abs(m)
            norm = np.sqrt((2 - (k == 0)) / np.prod(np.arange(degree - k + 1, degree + k + 1.0)))
            legendre = (-1) ** k * lpmv(k, degree, towards[:, 2])
            channels.append(
                norm * legendre * (np.sin(k * azimuth) if m < 0 else np.cos(k * azimuth))
            )
    return np.stack(channels, axis=1)


def decoded(order: int, head: Hrtf, towards: Array) -> npt.NDArray[np.complex128]:
    filters = decoding_filters(order, head)
    responses = np.einsum("nc,ect->net", plane_waves(order, towards), filters)
    middle = np.exp(2j * np.pi * HZ * (filters.shape[2] // 2) / RATE_HZ)
    return fft.rfft(responses, SIZE) * middle


def band(low_hz: float, high_hz: float) -> npt.NDArray[np.bool_]:
    return (low_hz < HZ) & (high_hz > HZ)


@pytest.mark.parametrize(
    ("order", "most_db", "most_us"), [(1, 6.0, 60), (2, 4.8, 30), (3, 3.5, 15)]
)
def test_plane_waves_are_heard_as_the_head_hears_them(
    head: Hrtf, order: int, most_db: float, most_us: float
) -> None:
    """Log-spectral distance from 200 Hz to 16 kHz; time between the ears below half the order's limit."""
    towards = directions()
    expected, found = own(head, towards), decoded(order, head, towards)
    audible = band(200, 16_000)
    error_db = 20 * np.log10(np.abs(found[..., audible]) / np.abs(expected[..., audible]))
    assert np.sqrt((error_db**2).mean(axis=(1, 2))).mean() < most_db
    low = band(200, 300 * order + 100)
    cross = [np.angle(s[:, 0, low] * s[:, 1, low].conj()) for s in (found, expected)]
    late_us = [(1e6 * phase / (2 * np.pi * HZ[low])).mean(axis=1) for phase in cross]
    assert np.abs(late_us[0] - late_us[1]).mean() < most_us


def test_higher_levels_are_nearer_than_by_plain_least_squares(head: Hrtf) -> None:
    """From 2.5 to 12 kHz a least-squares decoder loses the treble; this one doesn't."""
    towards = directions()
    treble = band(2500, 12_000)
    expected = own(head, towards)[..., treble]
    found = decoded(3, head, towards)[..., treble]
    table = expected.reshape(len(towards), -1)
    fit = np.linalg.lstsq(plane_waves(3, towards), table, rcond=None)[0]
    plain = (plane_waves(3, towards) @ fit).reshape(expected.shape)
    errors_db = [
        np.sqrt((20 * np.log10(np.abs(x) / np.abs(expected)) ** 2).mean()) for x in (found, plain)
    ]
    assert errors_db[0] < 0.6 * errors_db[1]


@pytest.mark.parametrize("order", [1, 2, 3])
def test_a_diffuse_field_is_heard_as_the_head_hears_it(head: Hrtf, order: int) -> None:
    """Level within 0.5 dB and coherence within 0.05, in third octaves."""
    filters = decoding_filters(order, head)
    spectra = fft.rfft(filters, SIZE)
    degrees = np.repeat(np.arange(order + 1), 2 * np.arange(order + 1) + 1)
    power = np.einsum("ecf,gcf,c->feg", spectra, spectra.conj(), 1 / (2 * degrees + 1.0))
    for middle_hz in 250 * 2.0 ** (np.arange(18) / 3):
        third = band(middle_hz / 2 ** (1 / 6), middle_hz * 2 ** (1 / 6))
        near = np.abs(np.log2(np.maximum(head.frequencies_hz, 1) / middle_hz)) < 1 / 6
        level_db = 10 * np.log10(power[third].real.mean(axis=0).diagonal())
        expected_db = 10 * np.log10(head.diffuse_power[:, near].mean(axis=1))
        np.testing.assert_allclose(level_db, expected_db, atol=0.5)
        cross = power[third].mean(axis=0)
        coherence = cross[0, 1].real / np.sqrt((cross[0, 0] * cross[1, 1]).real)
        assert coherence == pytest.approx(head.diffuse_coherence[near].mean(), abs=0.08)


def test_a_rendered_scene_sounds_alike(make_shot: MakeShot) -> None:
    """Third order against our binaural rendering: level of each ear, 250 Hz to 4 kHz, and its time at low frequencies."""
    shot = make_shot(
        mode="hifi", kind="free_field", sample_rate=RATE_HZ, positions=(-2, 2, 0.5), frames=12
    )
    impulse = np.zeros(shot.sample_count, np.float32)
    impulse[4000] = 1
    straight = render_hifi(shot, [impulse], SILENT).astype(float)
    ambix = render_hifi(
        replace(shot, render=replace(shot.render, format="ambix3")), [impulse], SILENT
    )
    pieces = (ambix[:, i : i + 1000] for i in range(0, ambix.shape[1], 1000))
    found = np.concatenate(list(decode(pieces, 3, load_hrtf("kemar", RATE_HZ))), axis=1)
    assert found.shape == straight.shape
    hz = fft.rfftfreq(found.shape[1], 1 / RATE_HZ)
    low = (hz > 300) & (hz < 1200)
    turned = np.angle(fft.rfft(found)[:, low] * fft.rfft(straight)[:, low].conj())
    assert np.abs(turned / (2 * np.pi * hz[low])).mean() < 20e-6  # seconds
    for middle_hz in 250 * 2.0 ** np.arange(5):
        octave = np.abs(np.log2(np.maximum(hz, 1) / middle_hz)) < 0.5
        levels = [
            10 * np.log10((np.abs(fft.rfft(x)[:, octave]) ** 2).sum(axis=1))
            for x in (found, straight)
        ]
        np.testing.assert_allclose(*levels, atol=3.0)


def write(path: Path, towards: Any, order: int = 2, **settings: Any) -> Path:
    rng = np.random.default_rng(0)
    wave = 0.1 * rng.standard_normal((9600, 1)) * plane_waves(order, np.array([towards], float))
    soundfile.write(path, wave, RATE_HZ, subtype="FLOAT")
    return path


@pytest.mark.parametrize(
    ("angle", "towards"),
    [
        ({"yaw_deg": 90}, (0, 1, 0)),
        ({"pitch_deg": 90}, (0, 0, 1)),
        ({"yaw_deg": -30}, (0.75**0.5, -0.5, 0)),
    ],
)
def test_the_head_turns(tmp_path: Path, angle: dict[str, float], towards: Any) -> None:
    """What it turns to is in front of it."""
    turned = write(tmp_path / "turned.wav", towards)
    front = write(tmp_path / "front.wav", (1, 0, 0))
    decode_file(DecodeSettings(turned, tmp_path / "a.wav", **angle), SILENT)
    decode_file(DecodeSettings(front, tmp_path / "b.wav"), SILENT)
    found, expected = (soundfile.read(tmp_path / name)[0] for name in ("a.wav", "b.wav"))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_rolling_to_the_right_shoulder_brings_the_left_ear_up(tmp_path: Path) -> None:
    above = write(tmp_path / "above.wav", (0, 0, 1))
    decode_file(DecodeSettings(above, tmp_path / "a.wav", roll_deg=90), SILENT)
    left, right = (soundfile.read(tmp_path / "a.wav")[0] ** 2).sum(axis=0)
    assert left > 4 * right


def test_the_command(tmp_path: Path) -> None:
    write(tmp_path / "left.wav", (0, 1, 0), 1)
    output = tmp_path / "out.wav"
    assert main(["decode", str(tmp_path / "left.wav"), "-o", str(output), "--yaw", "0"]) == 0
    info = soundfile.info(output)
    assert (info.channels, info.frames, info.samplerate) == (2, 9600, RATE_HZ)
    left, right = (soundfile.read(output)[0] ** 2).sum(axis=0)
    assert left > 2 * right


def test_files_that_are_no_ambix(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "two.wav", np.zeros((100, 2)), RATE_HZ)
    soundfile.write(tmp_path / "empty.wav", np.zeros((0, 4)), RATE_HZ)
    soundfile.write(tmp_path / "nan.wav", np.full((100, 4), np.nan), RATE_HZ, subtype="FLOAT")
    (tmp_path / "text.wav").write_text("hello")
    whole = write(tmp_path / "whole.wav", (1, 0, 0))
    for name, said in (
        ("two.wav", "2 channels"),
        ("empty.wav", "empty"),
        ("nan.wav", "not numbers"),
        ("text.wav", "no sound file"),
        ("absent.wav", "no sound file"),
    ):
        with pytest.raises(Sonic4DError, match=said):
            decode_file(DecodeSettings(tmp_path / name, tmp_path / "out.wav"), SILENT)
        assert not (tmp_path / "out.wav").exists()
    with pytest.raises(Sonic4DError, match=r"End it with \.wav"):
        decode_file(DecodeSettings(whole, tmp_path / "out.mp3"), SILENT)
    with pytest.raises(Cancelled):
        decode_file(
            DecodeSettings(whole, tmp_path / "out.wav"), Monitor(lambda event: None, lambda: True)
        )
    assert not (tmp_path / "out.wav").exists()
