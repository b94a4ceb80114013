"""The hifi renderer against physics: travel time, level, Doppler shift, clicks, reverberation, and its promises."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import fft, signal
from sonic4d.acoustics import hrtf, sphere_table
from sonic4d.acoustics.air import air_attenuation_db_per_m
from sonic4d.acoustics.enclosure import GROUND_REFLECTION
from sonic4d.acoustics.hifi import render_hifi
from sonic4d.geometry.cameras import LOOKING_NORTH
from sonic4d.monitor import SILENT, Cancelled, Monitor
from sonic4d.protocol import Sonic4DError
from sonic4d.shot import Shot

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
MakeShot = Callable[..., Shot]
RATE_HZ = 48_000
C = 343.0


@pytest.fixture
def hifi_shot(make_shot: MakeShot) -> MakeShot:
    def make(**changes: Any) -> Shot:
        return make_shot(**{"mode": "hifi", "sample_rate": RATE_HZ} | changes)

    return make


def poses(places: Array, yaw: Array | float = 0.0) -> Array:
    """Cameras at places (n, 3), looking along +Y turned to the left by `yaw` radians."""
    result = np.tile(LOOKING_NORTH, (len(places), 1, 1))
    c, s = np.cos(yaw), np.sin(yaw)
    turn = np.zeros((len(places), 3, 3))
    turn[:, 0, 0], turn[:, 0, 1], turn[:, 1, 0], turn[:, 1, 1], turn[:, 2, 2] = c, -s, s, c, 1
    result[:, :3, :3] = turn @ LOOKING_NORTH[:3, :3]
    result[:, :3, 3] = places
    return result


def noise(shot: Shot, seed: int = 0) -> Float32:
    return np.random.default_rng(seed).standard_normal(shot.sample_count).astype(np.float32)


def impulse(shot: Shot, sample: int = 0) -> Float32:
    result = np.zeros(shot.sample_count, np.float32)
    result[sample] = 1
    return result


def tone(shot: Shot, frequency_hz: float) -> Float32:
    time = np.arange(shot.sample_count) / RATE_HZ
    return np.sin(2 * np.pi * frequency_hz * time).astype(np.float32)


def head_response(direction: Array, size: int) -> npt.NDArray[np.complex128]:
    """Spectra (2, bins) of the packaged head for a unit vector in its axes."""
    head = hrtf.load_hrtf("kemar", RATE_HZ)
    weights = sphere_table.read_table(head.weights, direction[None]).reshape(2, -1)
    onsets_s = sphere_table.read_table(head.onsets_s, direction[None])[0]
    late = np.exp(-2j * np.pi * fft.rfftfreq(size, 1 / RATE_HZ) * onsets_s[:, None])
    return fft.rfft(weights @ head.basis, size) * late


@pytest.mark.parametrize(("azimuth_deg", "distance_m"), [(0, 2.0), (90, 3.21), (-130, 1.77)])
def test_direct_sound_delay_level_and_air(
    hifi_shot: MakeShot, azimuth_deg: float, distance_m: float
) -> None:
    """Delay d / c and gain 1 / (4 pi d) of the direct sound, with ISO 9613-1's air, from 500 Hz to 18 kHz."""
    angle = np.radians(azimuth_deg)
    place = distance_m * np.array([-np.sin(angle), np.cos(angle), 0])
    shot = hifi_shot(kind="free_field", positions=place)
    sound = render_hifi(shot, [impulse(shot, 500)], SILENT)
    size = 1 << 15
    frequencies = fft.rfftfreq(size, 1 / RATE_HZ)
    head = head_response(np.array([np.cos(angle), np.sin(angle), 0]), size)
    band = (frequencies > 500) & (frequencies < 18_000)
    expected_samples = 500 + distance_m / C * RATE_HZ
    travel = np.exp(-2j * np.pi * frequencies * expected_samples / RATE_HZ)
    cross = (fft.rfft(sound, size) * (head * travel).conj())[:, band]
    weight = np.abs(head[:, band]) ** 2  # little can be told where a head hears nothing
    omega = 2 * np.pi * frequencies[band] / RATE_HZ
    late_samples = -(weight * np.angle(cross) * omega).sum(axis=1) / (weight * omega**2).sum(axis=1)
    assert np.abs(late_samples).max() < 0.01
    loss_db = air_attenuation_db_per_m(frequencies[band]) * distance_m
    gain_db = 20 * np.log10(np.abs(cross) / weight * 4 * np.pi * distance_m) + loss_db
    error_db = np.sqrt((weight * gain_db**2).sum(axis=1) / weight.sum(axis=1))
    assert error_db.max() < 0.02


def test_an_impulse_is_heard_when_it_should_be(hifi_shot: MakeShot) -> None:
    shot = hifi_shot(kind="free_field", positions=(0, 2, 0))
    sound = np.abs(render_hifi(shot, [impulse(shot, 3000)], SILENT))
    arrival = 3000 + round(2 / C * RATE_HZ)
    assert sound.shape == (2, shot.sample_count)
    assert np.abs(np.argmax(sound, axis=1) - arrival).max() <= 10
    assert sound[:, : arrival - 40].max() < 1e-3 * sound.max()


@pytest.mark.parametrize("name", ["stereo", "ambix1", "ambix3", "5.1", "7.1.4"])
def test_an_impulse_is_heard_to_the_sample(hifi_shot: MakeShot, name: str) -> None:
    """At n + round(d / c * rate), d to each of the two microphones or to the listener."""
    place, spacing_m = np.array([0.9, 2.0, 0.3]), 0.3
    shot = hifi_shot(kind="free_field", positions=place, format=name, mic_spacing_m=spacing_m)
    sound = np.abs(render_hifi(shot, [impulse(shot, 3000)], SILENT))
    ears = [-spacing_m / 2, spacing_m / 2] if name == "stereo" else [0.0] * len(sound)
    heard = sound.max(axis=1) > 0.1 * sound.max()
    assert heard.any()
    for channel in np.flatnonzero(heard):
        distance_m = np.linalg.norm(place - [ears[channel], 0, 0])
        assert np.argmax(sound[channel]) == 3000 + round(distance_m / C * RATE_HZ)


@pytest.mark.parametrize("name", ["ambix1", "binaural"])
@pytest.mark.parametrize(("far_m", "octaves"), [(100.0, 8), (300.0, 7)])
def test_far_away_the_air_takes_the_treble(
    hifi_shot: MakeShot, name: str, far_m: float, octaves: int
) -> None:
    """Octave levels against ISO 9613-1, relative to those at 3 m, from 125 Hz on; at 300 m the air takes 100 dB at 16 kHz."""
    near, far = (
        np.abs(fft.rfft(render_hifi(shot, [impulse(shot)], SILENT)[0], 1 << 17)) ** 2
        for shot in (
            hifi_shot(kind="free_field", positions=(0, away_m, 0), frames=36, format=name)
            for away_m in (3.0, far_m)
        )
    )
    frequencies = fft.rfftfreq(1 << 17, 1 / RATE_HZ)
    air = 10 ** (-air_attenuation_db_per_m(frequencies) * (far_m - 3) / 10)
    for centre in 125 * 2.0 ** np.arange(octaves):
        band = (frequencies > centre / 2**0.5) & (frequencies < min(centre * 2**0.5, 20_000))
        expected = (near[band] * air[band]).sum() * (3 / far_m) ** 2
        assert 10 * np.log10(far[band].sum() / expected) == pytest.approx(0, abs=0.2)


@pytest.mark.parametrize(
    ("temperature_c", "humidity", "expected_db_per_km"),
    [
        (10, 70, [0.4, 1.0, 1.9, 3.7, 9.7, 32.8, 117]),
        (20, 70, [0.3, 1.1, 2.8, 5.0, 9.0, 22.9, 76.6]),
        (15, 20, [0.6, 1.2, 2.7, 8.2, 28.2, 88.8, 202]),
    ],
)
def test_air_against_the_published_table(
    temperature_c: float, humidity: float, expected_db_per_km: list[float]
) -> None:
    """ISO 9613-2, table 2: octave bands 125 Hz to 8 kHz."""
    exact_hz = 1000 * 10 ** (0.3 * np.arange(-3, 4))
    computed = 1000 * air_attenuation_db_per_m(exact_hz, temperature_c, humidity)
    np.testing.assert_allclose(computed, expected_db_per_km, rtol=0.02, atol=0.06)


@pytest.mark.parametrize(("source_m_s", "listener_m_s"), [(3, 0), (0, 2), (3, -1.5), (-40, 20)])
def test_doppler_shift(hifi_shot: MakeShot, source_m_s: float, listener_m_s: float) -> None:
    """f (c + v_listener) / (c + v_source); the source's speed counts away from the listener, the listener's towards it."""
    time = np.arange(36) / 24
    source = np.outer(80 + source_m_s * time, [0, 1, 0])
    listener = np.outer(listener_m_s * time, [0, 1, 0])
    shot = hifi_shot(kind="free_field", positions=source, poses=poses(listener), frames=36)
    sound = render_hifi(shot, [tone(shot, 1000)], SILENT)[0]
    expected_hz = 1000 * (C + listener_m_s) / (C + source_m_s)
    heard = sound[int(0.6 * RATE_HZ) : int(1.3 * RATE_HZ)].astype(float)
    mixed = heard * np.exp(-2j * np.pi * expected_hz * np.arange(len(heard)) / RATE_HZ)
    window = np.kaiser(4096, 20)
    starts = np.arange(0, len(heard) - 4096, 256)
    phase = np.unwrap([np.angle((mixed[s : s + 4096] * window).sum()) for s in starts])
    error_hz = np.polyfit(starts / RATE_HZ, phase, 1)[0] / (2 * np.pi)
    assert abs(error_hz) < 0.01


def stray_db(sound: Array, frequency_hz: float) -> float:
    """Energy more than 10 % away from a tone, relative to all of it, in Kaiser windows of 16384; the worse ear."""
    size = 16_384
    away = np.abs(fft.rfftfreq(size, 1 / RATE_HZ) - frequency_hz) > 0.1 * frequency_hz
    starts = range(RATE_HZ // 2, sound.shape[1] - size, size // 2)
    cut = np.stack([sound[:, s : s + size] for s in starts]) * np.kaiser(size, 20)
    energy = np.abs(fft.rfft(cut)) ** 2
    return float(10 * np.log10(energy[..., away].sum((0, 2)) / energy.sum((0, 2))).max())


@pytest.mark.parametrize("frequency_hz", [1000, 4000])
def test_motion_does_not_click(hifi_shot: MakeShot, frequency_hz: float) -> None:
    """A source circling and rising, a listener walking and turning, in a room that reverberates."""
    frames = 72
    u = np.arange(frames) / 240
    source = np.stack(
        (1.5 * np.cos(2 * np.pi * u), 1 + 1.3 * np.sin(2 * np.pi * u), 0.5 * np.sin(4 * np.pi * u)),
        axis=1,
    )
    walked = np.stack((-1 + 2 * u, 0 * u, 0.1 + 0 * u), axis=1)
    turned = 6 * u + 0.8 * np.sin(6 * np.pi * u)
    shot = hifi_shot(positions=source, poses=poses(walked, turned), frames=frames, rt60_s=0.5)
    sound = render_hifi(shot, [tone(shot, frequency_hz)], SILENT)
    assert stray_db(sound, frequency_hz) < -90


@pytest.mark.parametrize("frequency_hz", [1000, 4000])
def test_a_fast_pass_does_not_click(hifi_shot: MakeShot, frequency_hz: float) -> None:
    """6.3 m/s and 20 m/s2, 0.41 m in front of the nose."""
    time = np.arange(72) / 24
    source = np.stack((2 * np.sin(3.15 * time), 0.41 + 0 * time, 0 * time), axis=1)
    shot = hifi_shot(kind="half_space", positions=source, frames=72)
    sound = render_hifi(shot, [tone(shot, frequency_hz)], SILENT)
    assert stray_db(sound, frequency_hz) < -95


def test_nothing_moves_equals_convolution(hifi_shot: MakeShot) -> None:
    shot = hifi_shot(positions=(0.7, 2, 0.3), rt60_s=0.3)
    sound = noise(shot)
    response = render_hifi(replace_tail(shot), [impulse(shot)], SILENT)
    expected = signal.fftconvolve(sound[None], response, axes=1)[:, : shot.sample_count]
    rendered = render_hifi(shot, [sound], SILENT)
    assert np.abs(rendered - expected).max() < 1e-5 * np.abs(expected).max()


def replace_tail(shot: Shot) -> Shot:
    return replace(shot, render=replace(shot.render, tail=True))


def test_the_ground_reflects(hifi_shot: MakeShot) -> None:
    """Against the sum of two spherical waves, each through the head, to 15 kHz."""
    shot = hifi_shot(kind="half_space", positions=(0.5, 3, 0.4))
    floor_m = shot.room.center[2] - shot.room.size[2] / 2
    sound = render_hifi(shot, [impulse(shot)], SILENT)
    size = 1 << 15
    frequencies = fft.rfftfreq(size, 1 / RATE_HZ)
    expected = np.zeros((2, len(frequencies)), complex)
    for place, gain in (((0.5, 3, 0.4), 1.0), ((0.5, 3, 2 * floor_m - 0.4), GROUND_REFLECTION)):
        x, y, z = place
        distance_m = np.linalg.norm(place)
        air = 10 ** (-air_attenuation_db_per_m(frequencies) * distance_m / 20)
        travel = np.exp(-2j * np.pi * frequencies * distance_m / C)
        wave = gain * air * travel / (4 * np.pi * distance_m)
        expected += wave * head_response(np.array([y, -x, z]) / distance_m, size)
    band = (frequencies > 100) & (frequencies < 15_000)
    error = fft.rfft(sound, size)[:, band] - expected[:, band]
    assert np.linalg.norm(error) < 2e-3 * np.linalg.norm(expected[:, band])


def reverberation_time_s(response: Float32, frequency_hz: float) -> float:
    """T30 of an octave band (ISO 3382-1: backward integration, -5 to -35 dB)."""
    edges = (frequency_hz / 2**0.5, frequency_hz * 2**0.5)
    band = signal.butter(4, edges, "band", fs=RATE_HZ, output="sos")
    energy = (signal.sosfiltfilt(band, response) ** 2).sum(axis=0)
    decay_db = 10 * np.log10(np.cumsum(energy[::-1])[::-1] / energy.sum() + 1e-30)
    start, end = np.argmax(decay_db < -5), np.argmax(decay_db < -35)
    slope = np.polyfit(np.arange(start, end) / RATE_HZ, decay_db[start:end], 1)[0]
    return -60 / slope


@pytest.mark.parametrize("rt60_s", [0.3, 0.8])
def test_reverberation_time(hifi_shot: MakeShot, rt60_s: float) -> None:
    """The mean over places and over the tail's random numbers."""
    times = []
    places = [(1.2, 2.4, 0.5), (-1.5, 2.8, -0.4), (1.0, -0.7, 0.8), (-1, -0.5, 1.0), (0.5, 3, -0.8)]
    for seed, place in enumerate(places):
        shot = hifi_shot(positions=place, rt60_s=rt60_s, tail=True, seed=seed)
        response = render_hifi(shot, [impulse(shot)], SILENT)
        times.append([reverberation_time_s(response, f) for f in (500, 1000, 2000)])
    assert np.abs(np.mean(times, axis=0) / rt60_s - 1).max() < 0.05


@pytest.mark.parametrize(
    ("name", "size"), [("binaural", (4.0, 5.0, 3.0)), ("ambix1", (8.0, 10.0, 3.0))]
)
def test_reflections_hand_over_to_the_tail(
    hifi_shot: MakeShot, name: str, size: tuple[float, float, float]
) -> None:
    """Reflected energy against a diffuse field's, c / (4 pi V) exp(-13.8 t / T), in 10 ms from 25 to 125 ms, in octaves;
    the mean over places must have no step."""
    rng = np.random.default_rng(3)
    rate_hz, rt60_s, places = 16_000, 0.5, 32
    octaves_hz = (125, 250, 500, 1000, 2000, 4000)
    filters = [
        signal.butter(3, (f / 2**0.5, f * 2**0.5), "band", fs=rate_hz, output="sos")
        for f in octaves_hz
    ]
    start, hop = rate_hz // 20, rate_hz // 100
    levels = np.zeros((len(octaves_hz), 15))
    for seed in range(places):
        place, ear = (rng.uniform(0.1, 0.9, (2, 3)) - 0.5) * size
        shot = hifi_shot(
            positions=place, poses=poses(ear[None])[0], frames=6, seed=seed, format=name,
            sample_rate=rate_hz,
        )  # fmt: skip
        room = replace(shot.room, center=(0.0, 0.0, 0.0), size=size, rt60_s=rt60_s)
        first = impulse(shot, start)
        reflected = [
            render_hifi(replace(shot, room=replace(room, kind=kind)), [first], SILENT)
            for kind in ("shoebox", "free_field")
        ]
        heard = (reflected[0] - reflected[1])[: 1 if name == "ambix1" else 2]
        for level, sos in zip(levels, filters, strict=True):
            filtered = signal.sosfiltfilt(sos, heard)[:, start : start + 15 * hop]
            level += (filtered**2).reshape(len(heard), 15, hop).mean(axis=0).sum(axis=1) / places
    time = (np.arange(15) + 0.5) * 0.01
    density = C / (4 * np.pi * np.prod(size)) * np.exp(-13.8155 * time / rt60_s) * 0.01
    # energy of one impulse in the band of such a filter, which is applied twice
    width = [(np.abs(signal.sosfreqz(sos, 1 << 15)[1]) ** 4).mean() for sos in filters]
    step_db = 10 * np.log10(levels / (density * np.array(width)[:, None]))[:, 2:13]
    assert np.abs(step_db[:2]).max() < 2  # 10 ms of low notes vary from sound to sound
    assert np.abs(step_db[2:]).max() < 1.5
    assert np.abs(step_db[:, :4].mean(axis=1) - step_db[:, 4:].mean(axis=1)).max() < 1.0


def test_left_is_left_also_for_a_turned_head_and_room(hifi_shot: MakeShot) -> None:
    """The same scene turned about the vertical, room and all, sounds the same; from the left, the left ear wins."""
    plain = hifi_shot(kind="free_field", positions=(-2, 0, 0))
    early, late = render_hifi(plain, [impulse(plain, 100)], SILENT)
    assert (early**2).sum() > 4 * (late**2).sum()
    assert np.argmax(np.abs(early)) < np.argmax(np.abs(late)) - 20

    shot = hifi_shot(positions=(-1.2, 2, 0.4), rt60_s=0.3)
    angle = 0.7
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    room = replace(shot.room, center=tuple(turn @ shot.room.center), yaw_deg=np.degrees(angle))
    turned_poses = shot.listener_poses.copy()
    turned_poses[:, :3] = turn @ turned_poses[:, :3]
    source = replace(shot.sources[0], positions=shot.sources[0].positions @ turn.T)
    turned = replace(shot, room=room, listener_poses=turned_poses, sources=(source,))
    sound = noise(shot)
    expected = render_hifi(shot, [sound], SILENT)
    difference = render_hifi(turned, [sound], SILENT) - expected
    assert np.abs(difference).max() < 1e-4 * np.abs(expected).max()


def test_sources_add_up(hifi_shot: MakeShot) -> None:
    shot = hifi_shot(frames=24)
    moving = np.linspace((-1.5, 2, 0), (1.5, 2.5, 0.5), 24)
    other = replace(shot.sources[0], name="other", positions=moving)
    both = replace(shot, sources=(shot.sources[0], other))
    sounds = [noise(shot, 1), noise(shot, 2)[: RATE_HZ // 2]]
    together = render_hifi(both, sounds, SILENT)
    silent = np.zeros(0, np.float32)
    apart = render_hifi(both, [sounds[0], silent], SILENT)
    apart = apart + render_hifi(both, [silent, sounds[1]], SILENT)
    assert np.abs(together - apart).max() < 1e-6 * np.abs(together).max()


def test_the_same_bytes_at_any_number_of_threads(
    hifi_shot: MakeShot, monkeypatch: pytest.MonkeyPatch
) -> None:
    moving = np.linspace((-1.5, 2, 0), (1.5, 2.5, 0.5), 24)
    shot = hifi_shot(positions=moving, frames=24)
    sound = noise(shot)
    results = []
    for count in (1, 3):
        monkeypatch.setattr(os, "cpu_count", lambda count=count: count)
        results.append(render_hifi(shot, [sound], SILENT).tobytes())
    assert results[0] == results[1]
    other = replace(shot, render=replace(shot.render, seed=1))
    assert render_hifi(other, [sound], SILENT).tobytes() != results[0]


def test_cutting_a_shot_short_changes_nothing_before(hifi_shot: MakeShot) -> None:
    """In a free field what is heard is a function of the past: a longer shot begins with the same sound."""
    moving = np.linspace((-1.5, 2, 0), (1.5, 2.5, 0.5), 48)
    long = hifi_shot(kind="free_field", positions=moving, frames=48)
    short = hifi_shot(kind="free_field", positions=moving[:24], frames=24)
    sound = noise(long)
    early = render_hifi(short, [sound], SILENT)[:, : 22 * 2000]
    again = render_hifi(long, [sound], SILENT)[:, : 22 * 2000]
    assert np.abs(early - again).max() < 1e-3 * np.abs(again).max()


@pytest.mark.parametrize("kind", ["shoebox", "half_space", "free_field"])
def test_a_source_on_top_of_the_listener_is_finite(hifi_shot: MakeShot, kind: str) -> None:
    through = np.linspace((0, -0.5, 0), (0, 0.5, 0), 12)
    for positions in ((0, 0, 0), through):
        shot = hifi_shot(kind=kind, positions=positions)
        sound = render_hifi(shot, [noise(shot)], SILENT)
        assert np.isfinite(sound).all()
        assert 0.1 < np.abs(sound).max() < 50


def test_jumps_and_supersonic_motion_are_crossfaded_and_said(hifi_shot: MakeShot) -> None:
    events: list[dict[str, Any]] = []
    monitor = Monitor(events.append, lambda: False)
    positions = np.tile([0.0, 2, 0], (12, 1))
    positions[6:] = [0, 900, 0]
    shot = hifi_shot(kind="free_field", positions=positions)
    sound = render_hifi(shot, [noise(shot)], monitor)
    assert np.isfinite(sound).all()
    assert np.abs(sound).max() < 1
    assert [e["level"] for e in events if e["event"] == "log"] == ["warning"]


def test_a_source_outside_makes_the_room_larger(hifi_shot: MakeShot) -> None:
    events: list[dict[str, Any]] = []
    shot = hifi_shot(positions=(0, 9, 0), frames=24)
    sound = render_hifi(shot, [noise(shot)], Monitor(events.append, lambda: False))
    assert np.isfinite(sound).all()
    assert np.abs(sound[:, 3000:]).max() > 0.01
    assert any("enlarged" in e.get("message", "") for e in events)


@pytest.mark.parametrize("rate_hz", [8000, 44_100, 96_000])
def test_other_rates(hifi_shot: MakeShot, rate_hz: int) -> None:
    shot = hifi_shot(sample_rate=rate_hz, positions=(-2, 0, 0), kind="free_field")
    sound = render_hifi(shot, [impulse(shot)], SILENT)
    arrival = np.argmax(np.abs(sound[0])) / rate_hz
    assert arrival == pytest.approx(2 / C, abs=5e-4)
    assert (sound[0] ** 2).sum() > 3 * (sound[1] ** 2).sum()


def test_the_tail_rings_out(hifi_shot: MakeShot) -> None:
    shot = hifi_shot(rt60_s=0.5, tail=True)
    sound = render_hifi(shot, [noise(shot)], SILENT)
    cut = render_hifi(hifi_shot(rt60_s=0.5), [noise(shot)], SILENT)
    assert sound.shape[1] > shot.sample_count + 0.45 * RATE_HZ
    np.testing.assert_array_equal(sound[:, : shot.sample_count], cut)
    end = np.sqrt((sound[:, -2000:] ** 2).mean())
    assert 0 < end < 10 ** (-45 / 20) * np.sqrt((cut**2).mean())


def test_no_reverberation_time_is_an_anechoic_room(hifi_shot: MakeShot) -> None:
    sounds = []
    for changes in ({"rt60_s": 0.0}, {"kind": "free_field"}):
        shot = hifi_shot(**changes)
        sounds.append(render_hifi(shot, [noise(shot)], SILENT))
    np.testing.assert_allclose(sounds[0], sounds[1], atol=1e-6)


def test_cancelling(hifi_shot: MakeShot) -> None:
    shot = hifi_shot(frames=480)
    seen: list[dict[str, Any]] = []
    with pytest.raises(Cancelled):
        render_hifi(shot, [noise(shot)], Monitor(seen.append, lambda: len(seen) >= 2))
    assert [e["stage"] for e in seen] == ["audio", "audio"]
    assert seen[1]["done"] == 2 < seen[1]["total"]


def test_progress_of_many_sources_comes_between_the_pieces(hifi_shot: MakeShot) -> None:
    shot = hifi_shot(frames=24)
    shot = replace(shot, sources=shot.sources * 40)
    seen: list[dict[str, Any]] = []
    render_hifi(shot, [noise(shot)] * 40, Monitor(seen.append, lambda: False))
    done = [event["done"] for event in seen]
    assert done == sorted(set(done))
    assert any(count % 40 for count in done)
    assert done[-1] == seen[-1]["total"]


def test_sound_that_is_not_a_number(hifi_shot: MakeShot) -> None:
    shot = hifi_shot()
    sound = noise(shot)
    sound[77] = np.nan
    with pytest.raises(Sonic4DError) as failure:
        render_hifi(shot, [sound], SILENT)
    assert failure.value.code == "bad_audio"
