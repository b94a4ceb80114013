"""Loudspeaker formats: the right channel, the right law between two of them, the right energy, level and file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyloudnorm
import pytest
import soundfile
from scipy import fft, signal
from sonic4d.acoustics import audio_files
from sonic4d.acoustics.formats import CHANNELS, loudness_mix
from sonic4d.acoustics.hifi import render_hifi
from sonic4d.acoustics.levels import loudness_lufs, normalize
from sonic4d.acoustics.receivers import make_receiver
from sonic4d.acoustics.render import render_shot, render_to_file
from sonic4d.acoustics.sphere_table import read_table
from sonic4d.monitor import SILENT
from sonic4d.protocol import Sonic4DError
from sonic4d.shot import Normalize, RenderSettings, Shot

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
MakeShot = Callable[..., Shot]
RATE_HZ = 48_000
C = 343.0

# ITU-R BS.2051, systems B and J: azimuth (to the left) and elevation in degrees, in the order of the channels.
PLACES = {
    "5.1": [(30, 0), (-30, 0), (0, 0), None, (110, 0), (-110, 0)],
    "7.1.4": [
        *((30, 0), (-30, 0), (0, 0), None, (90, 0), (-90, 0), (135, 0), (-135, 0)),
        *((45, 30), (-45, 30), (135, 30), (-135, 30)),
    ],
}
LFE = 3


@pytest.fixture
def bed(make_shot: MakeShot) -> MakeShot:
    def make(**changes: Any) -> Shot:
        usual = {"mode": "hifi", "format": "7.1.4", "sample_rate": RATE_HZ, "kind": "free_field"}
        return make_shot(**usual | changes)

    return make


def direction(azimuth_deg: float, elevation_deg: float = 0.0) -> Array:
    """Forward, left, up."""
    azimuth, elevation = np.radians((azimuth_deg, elevation_deg))
    return np.array([np.cos(azimuth), np.sin(azimuth), np.tan(elevation)]) * np.cos(elevation)


def gains(name: str, *directions: Array) -> Array:
    receiver = make_receiver(RenderSettings(format=name), None)
    return read_table(receiver.weights, np.array(directions))


def noise(shot: Shot) -> Float32:
    return np.random.default_rng(0).standard_normal(shot.sample_count).astype(np.float32)


@pytest.mark.parametrize("name", PLACES)
def test_a_source_where_a_loudspeaker_stands_sounds_from_it_alone(bed: MakeShot, name: str) -> None:
    for channel, place in enumerate(PLACES[name]):
        if place is None:
            continue
        forward, left, up = 2 * direction(*place)
        shot = bed(format=name, positions=(-left, forward, up), frames=4)
        energy = (render_hifi(shot, [noise(shot)], SILENT) ** 2).sum(axis=1)
        assert len(energy) == len(PLACES[name]) == len(CHANNELS[name])
        assert energy[LFE] == 0
        assert np.argmax(energy) == channel
        assert np.delete(energy, channel).max() < 1e-4 * energy[channel]


@pytest.mark.parametrize("name", PLACES)
def test_no_direction_is_louder_than_another(name: str) -> None:
    random = np.random.default_rng(1).standard_normal((2000, 3))
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    energy = (gains(name, *random) ** 2).sum(axis=1)
    assert np.abs(10 * np.log10(energy)).max() < 0.1


@pytest.mark.parametrize("name", PLACES)
def test_between_two_loudspeakers_the_tangent_law_holds(name: str) -> None:
    """(g1 - g2) / (g1 + g2) = tan(angle) / tan(half the aperture), angles from the middle between the two."""
    ring = sorted(
        (place[0], channel)
        for channel, place in enumerate(PLACES[name])
        if place is not None and place[1] == 0
    )
    for (right_deg, right), (left_deg, left) in zip(ring, ring[1:], strict=False):
        half, middle = (left_deg - right_deg) / 2, (left_deg + right_deg) / 2
        for angle in half * np.array([-0.7, -0.2, 0.0, 0.5]):
            heard = gains(name, direction(middle + angle))[0]
            ratio = (heard[left] - heard[right]) / (heard[left] + heard[right])
            assert ratio == pytest.approx(
                np.tan(np.radians(angle)) / np.tan(np.radians(half)), abs=0.03
            )


@pytest.mark.parametrize("name", PLACES)
def test_left_mirrors_right(name: str) -> None:
    random = np.random.default_rng(2).standard_normal((200, 3))
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    there = [
        channel if place is None else PLACES[name].index((-place[0], place[1]))
        for channel, place in enumerate(PLACES[name])
    ]
    mirrored = gains(name, *(random * [1, -1, 1]))[:, there]
    np.testing.assert_allclose(gains(name, *random), mirrored, atol=1e-6)


@pytest.mark.parametrize("place", [(0, 0, 2.0), (0, 0, -2.0), (0.0, 2.0, -2.0)])
@pytest.mark.parametrize("name", PLACES)
def test_what_no_loudspeaker_stands_for_is_heard_all_the_same(
    bed: MakeShot, name: str, place: tuple[float, float, float]
) -> None:
    shot = bed(format=name, positions=place, frames=6)
    level = np.sqrt((render_hifi(shot, [noise(shot)], SILENT)[:, 2000:] ** 2).mean(axis=1).sum())
    # the band up to 20 kHz passes, and hardly any air is in the way
    expected = np.sqrt(20 / 24) / (4 * np.pi * np.linalg.norm(place))
    assert abs(20 * np.log10(level / expected)) < 0.5


def test_motion_does_not_click(bed: MakeShot) -> None:
    """A source that circles the listener through all loudspeakers: energy more than 10 % away from a tone."""
    frames = 72
    angle = 2 * np.pi * np.arange(frames) / 72
    circle = np.stack((2 * np.sin(angle), 2 * np.cos(angle), np.sin(2 * angle)), axis=1)
    shot = bed(positions=circle, frames=frames)
    time = np.arange(shot.sample_count) / RATE_HZ
    sound = render_hifi(shot, [np.sin(2 * np.pi * 1000 * time).astype(np.float32)], SILENT)
    size = 16_384
    away = np.abs(fft.rfftfreq(size, 1 / RATE_HZ) - 1000) > 100
    starts = range(RATE_HZ // 2, sound.shape[1] - size, size // 2)
    cut = np.stack([sound[:, s : s + size] for s in starts]) * np.kaiser(size, 20)
    energy = np.abs(fft.rfft(cut)) ** 2
    assert 10 * np.log10(energy[..., away].sum() / energy.sum()) < -90


@pytest.mark.parametrize("name", PLACES)
def test_all_loudspeakers_together_reverberate_as_a_diffuse_field(
    bed: MakeShot, late_response: Callable[[Shot], Float32], name: str
) -> None:
    """c / (4 pi V) exp(-13.8 t / T) around 1 kHz, everywhere but in LFE."""
    shot = bed(kind="shoebox", rt60_s=1.0, format=name)
    tail = late_response(shot)
    sos = signal.butter(3, (707, 1414), "band", fs=RATE_HZ, output="sos")
    passed = np.mean(np.abs(signal.sosfreqz(sos, 1 << 14)[1]) ** 4)
    time = np.arange(RATE_HZ // 2) / RATE_HZ
    expected = C / (4 * np.pi * 60) * np.exp(-13.8155 * time) / RATE_HZ * passed
    power = (signal.sosfiltfilt(sos, tail)[:, : len(time)] ** 2 / expected).mean(axis=1)
    assert abs(10 * np.log10(power.sum())) < 0.3
    assert power[LFE] == 0
    assert np.delete(power, LFE).min() > 0.03
    # behind 110 degrees, 5.1 has two loudspeakers for almost half of the sphere
    assert (set(np.argsort(power)[-2:]) == {4, 5}) == (name == "5.1")


def test_loudness_of_5_1_leaves_lfe_out_and_weights_the_surrounds() -> None:
    audio = np.random.default_rng(0).standard_normal((6, 2 * RATE_HZ)).astype(np.float32)
    audio *= np.array([0.1, 0.2, 0.05, 3.0, 0.2, 0.3], np.float32)[:, None]
    expected = pyloudnorm.Meter(RATE_HZ).integrated_loudness(np.delete(audio, LFE, axis=0).T)
    assert loudness_lufs(audio, RATE_HZ, loudness_mix("5.1")) == pytest.approx(expected, abs=0.01)
    levels = normalize(audio, RATE_HZ, Normalize("loudness", -30, 20), loudness_mix("5.1"))
    assert levels.loudness_lufs == pytest.approx(-30, abs=0.01)
    assert levels.peak == np.abs(audio[LFE]).max()


def test_loudness_of_7_1_4_weights_the_sides_only() -> None:
    """A 997 Hz sine at -20 dBFS: -23.0 LUFS in one channel (BS.1770-4), 1.5 more at 90 degrees."""
    time = np.arange(2 * RATE_HZ) / RATE_HZ
    tone = (0.1 * np.sin(2 * np.pi * 997 * time)).astype(np.float32)
    for channel, place in enumerate(PLACES["7.1.4"]):
        audio = np.zeros((12, len(tone)), np.float32)
        audio[channel] = tone
        measured = loudness_lufs(audio, RATE_HZ, loudness_mix("7.1.4"))
        if place is None:
            assert measured is None
        else:
            expected = -23.0 + (1.5 if abs(place[0]) == 90 else 0)
            assert measured == pytest.approx(expected, abs=0.1)


def with_sound(shot: Shot) -> Shot:
    soundfile.write(shot.folder / "bell.wav", 0.1 * noise(shot), RATE_HZ, subtype="FLOAT")
    return shot


@pytest.mark.parametrize("name", CHANNELS)
def test_every_format_becomes_a_file(bed: MakeShot, name: str) -> None:
    shot = with_sound(bed(format=name, positions=(1, 2, 0.3)))
    path = render_to_file(shot, shot.folder / "out.wav", SILENT)
    info = soundfile.info(path)
    assert (info.channels, info.frames) == (len(CHANNELS[name]), shot.sample_count)
    assert info.subtype == "FLOAT"
    assert info.format == ("WAVEX" if info.channels > 2 else "WAV")
    written = soundfile.read(path, dtype="float32")[0].T
    np.testing.assert_array_equal(written, render_shot(shot, SILENT).audio)


def test_files_beyond_4_gb_are_rf64(bed: MakeShot, monkeypatch: pytest.MonkeyPatch) -> None:
    shot = with_sound(bed())
    monkeypatch.setattr(audio_files, "MAX_WAV_BYTES", 1000)
    path = render_to_file(shot, shot.folder / "out.wav", SILENT)
    assert soundfile.info(path).format == "RF64"
    assert soundfile.info(path).channels == 12


def test_flac_holds_8_channels(bed: MakeShot) -> None:
    shot = with_sound(bed(format="5.1"))
    path = render_to_file(shot, shot.folder / "out.flac", SILENT)
    assert soundfile.info(path).channels == 6
    shot = replace(shot, render=replace(shot.render, format="7.1.4"))
    with pytest.raises(Sonic4DError, match="holds 8 channels; 7.1.4 has 12"):
        render_to_file(shot, shot.folder / "more.flac", SILENT)


def test_formats_that_a_mode_lacks_are_named_with_those_it_has(bed: MakeShot) -> None:
    for mode, name, known in (("fast", "adm", '"binaural"'), ("paper", "5.1", '"binaural"')):
        shot = with_sound(bed(mode=mode, format=name))
        with pytest.raises(Sonic4DError, match=f'{mode} mode.*"{name}" is not available') as caught:
            render_to_file(shot, shot.folder / "out.flac", SILENT)
        assert known in caught.value.hint
        assert not (shot.folder / "out.flac").exists()
