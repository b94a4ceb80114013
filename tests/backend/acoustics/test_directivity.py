"""How directive sources sound: patterns against their formulas, mirrored in the walls, and in the reverberation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import fft, integrate, signal, special
from scipy.spatial.transform import Rotation
from sonic4d.acoustics.hifi import render_hifi
from sonic4d.acoustics.radiation import octave_gains, radiated_power
from sonic4d.directivity import PATTERNS, Directivity
from sonic4d.geometry.cameras import LOOKING_NORTH
from sonic4d.materials import OCTAVES_HZ
from sonic4d.monitor import SILENT
from sonic4d.protocol import Sonic4DError
from sonic4d.shot import Shot, shot_from_json

Array = npt.NDArray[np.float64]
MakeShot = Callable[..., Shot]
RATE_HZ, C = 48_000, 343.0
FIRST_ORDER = {
    "omni": 1.0,
    "subcardioid": 0.7,
    "cardioid": 0.5,
    "supercardioid": 0.366,
    "hypercardioid": 0.25,
    "figure_of_eight": 0.0,
}
CONE = Directivity("cone", 60.0, 180.0, 0.25)


@pytest.fixture
def directive(make_shot: MakeShot) -> Callable[..., Shot]:
    """A shot with W of AmbiX alone at the camera, and a source that looks where a rotation turns its -Z."""

    def make(directivity: Directivity, turns: Rotation, **settings: Any) -> Shot:
        defaults = {
            "mode": "hifi",
            "sample_rate": RATE_HZ,
            "format": "ambix1",
            "kind": "free_field",
        }
        shot = make_shot(**defaults | settings)
        quaternions = np.broadcast_to(turns.as_quat(scalar_first=True), (shot.frame_count, 4))
        source = replace(shot.sources[0], directivity=directivity, orientations=quaternions)
        return replace(shot, sources=(source,))

    return make


def click(shot: Shot, sample: int = 0) -> npt.NDArray[np.float32]:
    sound = np.zeros(shot.sample_count, np.float32)
    sound[sample] = 1
    return sound


def levels(
    sound: Array, delay_samples: float, centres_hz: npt.ArrayLike = OCTAVES_HZ[1:7]
) -> Array:
    """Signed amplitude, at the octaves' centres, of a click that arrives after so many samples."""
    size = 1 << 14
    places = np.round(np.array(centres_hz) * size / RATE_HZ).astype(int)
    spectrum = fft.rfft(sound, size)[places]
    return (spectrum * np.exp(2j * np.pi * places * delay_samples / size)).real


@pytest.mark.parametrize("turn_deg", [0, 40, 90, 140, 180])
@pytest.mark.parametrize("pattern", [p for p in PATTERNS if p not in ("omni", "voice")] + ["cone"])
def test_direct_sound_off_the_axis(directive: MakeShot, pattern: str, turn_deg: float) -> None:
    """A source 2 m to the north that looks back at the camera, turned away by an angle in the horizontal plane."""
    directivity = CONE if pattern == "cone" else Directivity(pattern)
    # -Z to the south: standing up, then turned about the vertical.
    south = Rotation.from_euler("xz", [90, 180 + turn_deg], degrees=True)
    np.testing.assert_allclose(
        Rotation.from_euler("xz", [90, 180], degrees=True).apply([0, 0, -1]), [0, -1, 0], atol=1e-9
    )
    shot = directive(directivity, south)
    sound = render_hifi(shot, [click(shot)], SILENT)[0].astype(float)
    if pattern == "cone":
        wanted = np.interp(2 * turn_deg, [60, 180], [1, 0.25])
    else:
        a = FIRST_ORDER[pattern]
        wanted = a + (1 - a) * np.cos(np.radians(turn_deg))
    if abs(wanted) < 1e-9:
        assert np.abs(sound).max() < 1e-3 / (4 * np.pi * 2)
    else:
        found = levels(sound[:8000], 2 / C * RATE_HZ) * 4 * np.pi * 2
        np.testing.assert_allclose(found / wanted, 1, rtol=0.04)


def test_without_an_orientation_a_source_radiates_down(directive: MakeShot) -> None:
    """Along its own -Z, as Blender's speakers."""
    heard = []
    for height in (-2.0, 2.0):
        shot = directive(Directivity("cardioid"), Rotation.identity(), positions=(0, 0, height))
        source = replace(shot.sources[0], orientations=None)
        shot = replace(shot, sources=(source,))
        heard.append(np.abs(render_hifi(shot, [click(shot)], SILENT)[0]).max())
    below, above = heard
    assert above > 100 * below


def test_a_wall_hears_the_mirrored_direction(directive: MakeShot) -> None:
    """A cardioid that looks down: its sound from the ground, mirrored by hand."""
    place, ground_m = np.array([0.0, 2.0, 0.3]), -1.4
    down = Rotation.from_euler("x", 20, degrees=True)
    front = down.apply([0, 0, -1])
    shot = directive(Directivity("cardioid"), down, kind="half_space", positions=tuple(place))
    sound = render_hifi(shot, [click(shot)], SILENT)[0].astype(float)
    image = place * [1, 1, -1] + [0, 0, 2 * ground_m]
    bounce = place + (np.array([0, 0, 0]) * [1, 1, -1] + [0, 0, 2 * ground_m] - place)
    for distance_m, towards, reflection in (
        (np.linalg.norm(place), -place, 1.0),
        (np.linalg.norm(image), bounce - place, 0.9),
    ):
        cosine = towards @ front / np.linalg.norm(towards)
        wanted = reflection * (0.5 + 0.5 * cosine) / (4 * np.pi * distance_m)
        arrives = distance_m / C * RATE_HZ
        cut = np.zeros_like(sound)
        near = slice(round(arrives) - 60, round(arrives) + 60)
        cut[near] = sound[near]
        assert levels(cut[:8000], arrives, OCTAVES_HZ[4:6]).mean() == pytest.approx(
            wanted, rel=0.04
        )


@pytest.mark.parametrize("pattern", ["cardioid", "figure_of_eight", "hypercardioid", "voice"])
def test_reverberation_follows_the_radiated_power(directive: MakeShot, pattern: str) -> None:
    """Of a source that is as loud in front: 1 / Q of the energy, by the integral over the sphere."""
    directivity = Directivity(pattern)
    energies = []
    for chosen in (Directivity(), directivity):
        shot = directive(chosen, Rotation.identity(), kind="shoebox", rt60_s=0.6, tail=True)
        sound = render_hifi(shot, [click(shot, 2000)], SILENT)[0].astype(float)
        late = sound[2000 + round(0.15 * RATE_HZ) :]
        energies.append([_band_energy(late, f) for f in OCTAVES_HZ[1:6]])
    angle = np.radians(np.arange(0, 180.5, 0.5))
    gains = octave_gains(directivity, np.cos(angle))
    wanted = integrate.trapezoid(gains**2 * np.sin(angle)[:, None], angle, axis=0) / 2
    found = np.array(energies[1]) / np.array(energies[0])
    np.testing.assert_allclose(10 * np.log10(found / wanted[1:6]), 0, atol=0.7)
    np.testing.assert_allclose(radiated_power(directivity), wanted, rtol=0.01)


def _band_energy(sound: Array, centre_hz: float) -> float:
    edges = (centre_hz / np.sqrt(2), centre_hz * np.sqrt(2))
    sections = signal.butter(4, edges, "band", fs=RATE_HZ, output="sos")
    return float((signal.sosfiltfilt(sections, sound) ** 2).sum())


def test_known_directivity_factors() -> None:
    for pattern, factor in (("cardioid", 3.0), ("figure_of_eight", 3.0), ("hypercardioid", 4.0)):
        np.testing.assert_allclose(1 / radiated_power(Directivity(pattern)), factor, rtol=1e-3)


def test_a_voice_gets_narrower_with_frequency() -> None:
    """At low frequencies nearly a point; a rigid sphere's shadow at high ones. At 1 kHz against the sum of spherical waves,
    computed here with Hankel functions."""
    behind = 20 * np.log10(octave_gains(Directivity("voice"), np.array([-1.0, 0.0, 1.0])))
    np.testing.assert_allclose(behind[2], 0, atol=1e-9)
    assert behind[0, 0] > -1.5
    assert (np.diff(behind[1]) < 0.1).all()
    assert -25 < behind[1, 7] < -8

    radius_m, mouth_m = 0.0875, 0.013
    edge = np.cos(np.arcsin(mouth_m / radius_m))
    cosine = np.cos(np.radians([0, 90, 150]))
    energies = np.zeros(3)
    for tone_hz in 1000 * 2.0 ** (np.arange(-4, 5) / 9):
        ka = 2 * np.pi * tone_hz / C * radius_m
        pressure = np.zeros(3, complex)
        for m in range(40):
            x = np.linspace(edge, 1, 2001)
            velocity = (2 * m + 1) / 2 * integrate.trapezoid(special.eval_legendre(m, x), x)
            hankel = special.h2vp(m + 0.5, ka, 1) - special.hankel2(m + 0.5, ka) / (2 * ka)
            slope = np.sqrt(np.pi / (2 * ka)) * hankel
            pressure += velocity / slope * 1j**m * special.eval_legendre(m, cosine)
        energies += np.abs(pressure / pressure[0]) ** 2 / 9
    found = octave_gains(Directivity("voice"), cosine)[:, 3]
    np.testing.assert_allclose(found, np.sqrt(energies), rtol=0.01)


def test_a_turning_source_is_heard_when_it_sent(directive: MakeShot) -> None:
    """A figure of eight that turns once a second, 34.3 m away: its silence is 100 ms late. And no click."""
    frames = 48
    turns = Rotation.from_euler("z", 360 * np.arange(frames)[:, None] / 24, degrees=True)
    upright = turns * Rotation.from_euler("x", 90, degrees=True)
    shot = directive(Directivity("figure_of_eight"), upright, positions=(0, 34.3, 0), frames=frames)
    tone_hz = 3000
    time_s = np.arange(shot.sample_count) / RATE_HZ
    tone = np.sin(2 * np.pi * tone_hz * time_s).astype(np.float32)
    sound = render_hifi(shot, [tone], SILENT)[0].astype(float)
    level = np.abs(signal.hilbert(sound))
    expected = np.abs(np.cos(2 * np.pi * (time_s - 0.1))) / (4 * np.pi * 34.3)
    middle = slice(RATE_HZ // 2, 3 * RATE_HZ // 2)
    loudness = level[middle] / level[middle].max()
    np.testing.assert_allclose(loudness, expected[middle] / expected[middle].max(), atol=0.02)
    size = 1 << 14
    away = np.abs(fft.rfftfreq(size, 1 / RATE_HZ) - tone_hz) > 0.1 * tone_hz
    for start in range(RATE_HZ // 2, 3 * RATE_HZ // 2, size // 2):
        energy = np.abs(fft.rfft(sound[start : start + size] * np.kaiser(size, 20))) ** 2
        assert 10 * np.log10(energy[away].sum() / energy.sum()) < -85


def test_an_open_cone_is_omnidirectional(directive: MakeShot) -> None:
    """The rendering in octave bands against the one that needs none."""
    turns = Rotation.identity()
    sounds = []
    for directivity in (Directivity(), Directivity("cone", 360.0, 360.0, 0.0)):
        shot = directive(directivity, turns, kind="shoebox", rt60_s=0.4, format="binaural")
        sounds.append(render_hifi(shot, [click(shot)], SILENT).astype(float))
    spectra = np.abs(fft.rfft(sounds, 1 << 15))
    frequencies = fft.rfftfreq(1 << 15, 1 / RATE_HZ)
    for low in 100 * 2.0 ** np.arange(0, 7):
        band = (frequencies >= low) & (frequencies < 2 * low)
        energy = (spectra[..., band] ** 2).sum(axis=-1)
        assert np.abs(10 * np.log10(energy[1] / energy[0])).max() < 0.5


@pytest.mark.parametrize(
    "value",
    ["cardioid", "voice", {"pattern": "cone", "inner_deg": 30, "outer_deg": 90, "outer_gain": 0.1}],
)
def test_json_and_back(make_shot: MakeShot, value: Any) -> None:
    data = make_shot().to_json()
    data["sources"][0]["directivity"] = value
    assert shot_from_json(data, Path()).to_json()["sources"][0]["directivity"] == value


@pytest.mark.parametrize(
    "value",
    [
        "trumpet",
        3,
        None,
        {"pattern": "cone"},
        {"pattern": "voice", "inner_deg": 1, "outer_deg": 2, "outer_gain": 0},
        {"pattern": "cone", "inner_deg": 90, "outer_deg": 30, "outer_gain": 0},
        {"pattern": "cone", "inner_deg": 30, "outer_deg": 90, "outer_gain": 2},
    ],
)
def test_what_is_no_directivity(make_shot: MakeShot, value: Any) -> None:
    data = make_shot().to_json()
    data["sources"][0]["directivity"] = value
    with pytest.raises(Sonic4DError, match=r"sources\[0\]\.directivity"):
        shot_from_json(data, Path())


def test_the_camera_looks_where_it_should() -> None:
    """What these tests rely on: -Z of a camera that looks north is +Y."""
    np.testing.assert_allclose(LOOKING_NORTH[:3, :3] @ [0, 0, -1], [0, 1, 0], atol=1e-12)
