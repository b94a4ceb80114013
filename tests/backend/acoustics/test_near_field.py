"""Near sounds against the rigid sphere: its wave equation solved here by another road, its geometry, and smoothness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from scipy import fft
from scipy.special import spherical_jn, spherical_yn
from sonic4d.acoustics import hrtf, near_field, rerender, sphere_table
from sonic4d.acoustics.hifi import render_hifi
from sonic4d.acoustics.rerender import render_hifi_again
from sonic4d.monitor import SILENT
from sonic4d.shot import Shot

Array = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]
MakeShot = Callable[..., Shot]
RATE_HZ = 48_000
C = 343.0
A = 0.0875
OCTAVES_HZ = 125.0 * 2.0 ** np.arange(8)


def hankel(degrees: npt.NDArray[np.int64], x: float) -> Complex:
    return spherical_jn(degrees, x) + 1j * spherical_yn(degrees, x)


def sphere_pressure(distance_m: float, angle: float, frequency_hz: float) -> complex:
    """On a rigid sphere, of a point source that is as loud as 1 in the sphere's middle without it.

    The free field is i k sum (2 n + 1) j_n(k a) h_n(k r) P_n (Morse and Ingard 1968, 7.2.31); the scattered one makes
    the normal velocity vanish, j_n - (j_n' / h_n') h_n, and the sum of both is taken at the surface term by term.
    """
    k = 2 * np.pi * frequency_hz / C
    degrees = np.arange(70)
    dj = spherical_jn(degrees, k * A, True)
    dh = dj + 1j * spherical_yn(degrees, k * A, True)
    at_surface = spherical_jn(degrees, k * A) - dj / dh * hankel(degrees, k * A)
    terms = (2 * degrees + 1) * at_surface * hankel(degrees, k * distance_m)
    total, legendre, before = 0j, 1.0, 0.0
    for n in degrees:
        total += terms[n] * legendre
        following = ((2 * n + 1) * np.cos(angle) * legendre - n * before) / (n + 1)
        legendre, before = following, legendre
    return 1j * k * total * distance_m


@pytest.mark.parametrize("distance_m", [0.15, 0.21, 0.4, 0.83, 1.0])
def test_levels_are_those_of_the_wave_equation(distance_m: float) -> None:
    for angle_deg in (0, 17, 60, 90, 100, 143, 180):
        angle = np.radians(angle_deg)
        found = near_field.sphere_levels(np.array([distance_m]), np.array([angle]))[0]
        for octave, middle_hz in enumerate(OCTAVES_HZ):
            tones_hz = middle_hz * 2.0 ** (np.linspace(-4, 4, 9) / 9)
            energy = np.mean([abs(sphere_pressure(distance_m, angle, f)) ** 2 for f in tones_hz])
            # behind the head, in the uppermost octaves, narrow lobes are smoothed
            near = 0.05 if angle_deg < 120 or octave < 5 else 1.0
            assert 20 / np.log(10) * found[octave] == pytest.approx(10 * np.log10(energy), abs=near)


def test_time_differences_change_as_on_the_sphere() -> None:
    """Against the group delay's change at 2 to 3 kHz, between an ear that sees the source and one that doesn't."""
    for distance_m, azimuth_deg in ((0.25, 90), (0.4, 60), (0.5, 30)):
        angles = np.radians([90 - azimuth_deg, 90 + azimuth_deg])
        tones_hz = np.arange(2000, 3000, 25.0)
        phases = []
        for d in (distance_m, 1.0):
            ears = [[sphere_pressure(d, angle, f) for f in tones_hz] for angle in angles]
            phases.append(np.unwrap(np.angle(np.array(ears[1]) / np.array(ears[0]))))
        group_s = [np.polyfit(2 * np.pi * tones_hz, phase, 1)[0] for phase in phases]
        d = np.full(2, distance_m), np.ones(2)
        found = [np.diff(near_field.detour_m(r, angles))[0] / C for r in d]
        assert found[0] - found[1] == pytest.approx(group_s[0] - group_s[1], abs=12e-6)


def test_an_ear_sees_along_its_own_line() -> None:
    """Similar triangles: ear, source and what is seen on the sphere lie on one line, in this order."""
    rng = np.random.default_rng(0)
    ear = np.array([0, A, 0])
    places = rng.standard_normal((200, 3))
    places *= rng.uniform(0.15, 1, (200, 1)) / np.linalg.norm(places, axis=1, keepdims=True)
    seen = near_field.parallax(places, ear)
    np.testing.assert_allclose(np.linalg.norm(seen, axis=1), 1)
    np.testing.assert_allclose(np.cross(places - ear, seen - ear), 0, atol=1e-12)
    assert (((places - ear) * (seen - places)).sum(axis=1) > -1e-12).all()
    far = places / np.linalg.norm(places, axis=1, keepdims=True)
    np.testing.assert_allclose(near_field.parallax(far, ear), far, atol=1e-12)


def test_the_bounds_are_met_without_a_corner() -> None:
    distances_m = np.geomspace(0.01, 10, 20_001)
    bounded = near_field.bounded_m(distances_m)
    assert (np.diff(bounded) >= -1e-12).all()
    assert bounded.min() == pytest.approx(0.15)
    assert bounded.max() == pytest.approx(1)
    assert (bounded[distances_m >= near_field.REACH_M] == 1).all()
    slope = np.diff(np.log(bounded)) / np.diff(np.log(distances_m))
    assert np.abs(np.diff(slope)).max() < 0.01
    middle = (distances_m > 0.2) & (distances_m < 0.8)
    np.testing.assert_allclose(bounded[middle], distances_m[middle])


def direct_spectra(shot: Shot) -> Complex:
    """Of an impulse, at both ears."""
    impulse = np.zeros(shot.sample_count, np.float32)
    impulse[4000] = 1
    return fft.rfft(render_hifi(shot, [impulse], SILENT).astype(float)[:, 3900:8000], 4096)


@pytest.mark.parametrize("distance_m", [0.2, 0.35, 0.6])
@pytest.mark.parametrize("azimuth_deg", [90, -90, 30, -140])
def test_what_is_rendered_follows_the_sphere(
    make_shot: MakeShot, distance_m: float, azimuth_deg: float
) -> None:
    """Level at each ear, octave by octave, over the head's own at where the ear sees the source."""
    angle = np.radians(azimuth_deg)
    towards = np.array([np.cos(angle), np.sin(angle), 0])  # forward, left, up
    place = distance_m * np.array([-towards[1], towards[0], 0])
    shot = make_shot(mode="hifi", kind="free_field", sample_rate=RATE_HZ, positions=place)
    found = np.abs(direct_spectra(shot)) * 4 * np.pi * distance_m
    head = hrtf.load_hrtf("kemar", RATE_HZ)
    frequencies = fft.rfftfreq(4096, 1 / RATE_HZ)
    for ear, side in enumerate((1, -1)):
        at = np.array([0, side * A, 0])
        way = distance_m * towards - at
        reach = np.max(np.roots([way @ way, 2 * way @ at, at @ at - 1]))
        seen = at + reach * way
        weights = sphere_table.read_table(head.weights, seen[None]).reshape(2, -1)[ear]
        own = np.abs(fft.rfft(weights @ head.basis, 4096))
        near, far = np.arccos(side * towards[1]), np.arccos(np.clip(side * seen[1], -1, 1))
        for middle_hz in OCTAVES_HZ[1:6]:
            band = np.abs(np.log2(np.maximum(frequencies, 1) / middle_hz)) < 0.1
            measured_db = 10 * np.log10((found[ear, band] ** 2).sum() / (own[band] ** 2).sum())
            tones_hz = middle_hz * 2.0 ** (np.linspace(-4, 4, 9) / 9)
            energies = [
                np.mean([abs(sphere_pressure(d, a, f)) ** 2 for f in tones_hz])
                for d, a in ((distance_m, near), (1.0, far))
            ]
            expected_db = 10 * np.log10(energies[0] / energies[1])
            assert measured_db == pytest.approx(expected_db, abs=1.0)


def test_nearness_adds_level_differences_at_low_frequencies(make_shot: MakeShot) -> None:
    """Brungart and Rabinowitz 1999: at 0.25 m beside the head, 500 Hz, well over 10 dB; at 2 m, few."""
    differences_db = []
    for distance_m in (0.25, 2.0):
        shot = make_shot(
            mode="hifi", kind="free_field", sample_rate=RATE_HZ, positions=(-distance_m, 0, 0)
        )
        spectra = np.abs(direct_spectra(shot)[:, 38:48]).mean(axis=1)
        differences_db.append(20 * np.log10(spectra[0] / spectra[1]))
    assert differences_db[0] > 10
    assert abs(differences_db[1]) < 6


@pytest.fixture
def flyby(make_shot: MakeShot) -> Shot:
    """Past the left ear at 0.2 m, from 2 m in front to 2 m behind, in two seconds."""
    positions = np.zeros((48, 3))
    positions[:, 0], positions[:, 1] = -0.2, np.linspace(2, -2, 48)
    return make_shot(
        mode="hifi", kind="free_field", frames=48, positions=positions, sample_rate=RATE_HZ
    )


@pytest.mark.parametrize(
    ("frequency_hz", "aside_m", "most_db"), [(1000, 0.4, -90), (4000, 0.4, -90), (1000, 0.2, -75)]
)
def test_a_fly_past_the_ear_does_not_click(
    flyby: Shot, frequency_hz: int, aside_m: float, most_db: float
) -> None:
    """At 0.2 m the ear sees it pass by 1000 degrees in a second: the measured head's own unevenness is heard."""
    positions = flyby.sources[0].positions * [aside_m / 0.2, 1, 1]
    flyby = replace(flyby, sources=(replace(flyby.sources[0], positions=positions),))
    time = np.arange(flyby.sample_count) / RATE_HZ
    tone = np.sin(2 * np.pi * frequency_hz * time).astype(np.float32)
    sound = render_hifi(flyby, [tone], SILENT).astype(float)
    size = 16_384
    away = np.abs(fft.rfftfreq(size, 1 / RATE_HZ) / frequency_hz - 1) > 0.1
    starts = range(9600, sound.shape[1] - size, size // 4)
    cut = np.stack([sound[:, s : s + size] for s in starts]) * np.kaiser(size, 20)
    energy = np.abs(fft.rfft(cut)) ** 2
    assert 10 * np.log10(energy[..., away].sum() / energy.sum()) < most_db


def test_edits_that_bring_a_source_near_are_rendered(flyby: Shot) -> None:
    shot = replace(flyby, render=replace(flyby.render, sample_rate=16_000))
    sound = np.random.default_rng(0).standard_normal(shot.sample_count).astype(np.float32)
    away = shot.sources[0].positions - [2.5, 0, 0]
    for positions in (away, shot.sources[0].positions, away):
        edited = replace(shot, sources=(replace(shot.sources[0], positions=positions),))
        found = render_hifi_again(edited, [sound], SILENT)
        assert found.tobytes() == render_hifi(edited, [sound], SILENT).tobytes()
    rerender.forget()


def test_through_the_head_and_to_its_very_middle(make_shot: MakeShot) -> None:
    positions = np.zeros((48, 3))
    positions[:, 1] = np.linspace(0.5, -0.5, 48).round(2)
    positions[24] = 0
    for places in (positions, np.zeros((48, 3))):
        shot = make_shot(mode="hifi", frames=48, positions=places, sample_rate=RATE_HZ)
        sound = np.ones(shot.sample_count, np.float32) * 0.1
        heard = render_hifi(shot, [sound], SILENT)
        assert np.isfinite(heard).all()
        assert np.abs(heard).max() < 2
