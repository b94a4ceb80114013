"""Walls of materials: what each reflects, and the reverberation time that they make and that is measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import fft, signal
from sonic4d.acoustics.air import air_absorption_per_m
from sonic4d.acoustics.early_images import make_images, make_walls
from sonic4d.acoustics.enclosure import enclose
from sonic4d.acoustics.hifi import render_hifi
from sonic4d.acoustics.paper import render_paper
from sonic4d.acoustics.spectral_buses import make_path_spectra
from sonic4d.materials import MATERIALS, OCTAVES_HZ
from sonic4d.monitor import SILENT, Monitor
from sonic4d.protocol import Sonic4DError
from sonic4d.room import Room
from sonic4d.shot import Shot, shot_from_json

Array = npt.NDArray[np.float64]
MakeShot = Callable[..., Shot]
RATE_HZ, C = 48_000, 343.0
HARD = {"all": "plastered_brick", "floor": "thick_carpet", "ceiling": "acoustic_tile"}


def shoebox(size: tuple[float, float, float], rt60_s: float | None, **materials: str) -> Room:
    return Room("shoebox", (0.0, 0.0, 0.0), size, 0.0, rt60_s, materials or None)


def t30_s(responses: Array, centre_hz: float) -> float:
    """ISO 3382-1: backward integration of an octave band, line fitted from -5 to -35 dB; the channels' energies added."""
    edges = (centre_hz / math.sqrt(2), centre_hz * math.sqrt(2))
    sections = signal.butter(4, edges, "band", fs=RATE_HZ, output="sos")
    banded = signal.sosfilt(sections, responses[:, ::-1].astype(float))[:, ::-1]
    left = np.cumsum((banded**2).sum(axis=0)[::-1])[::-1]
    level_db = 10 * np.log10(np.maximum(left / left[0], 1e-20))
    fitted = np.flatnonzero((level_db < -5) & (level_db > -35))
    return float(-60 / np.polyfit(fitted / RATE_HZ, level_db[fitted], 1)[0])


@pytest.mark.parametrize(
    "size", [(3.0, 2.5, 2.4), (5.0, 4.0, 3.0), (8.0, 10.0, 3.0), (12.0, 9.0, 5.0)]
)
@pytest.mark.parametrize("rt60_s", [0.2, 0.5, 1.0, 2.0])
def test_the_reverberation_time_is_the_one_asked_for(
    make_shot: MakeShot, size: tuple[float, float, float], rt60_s: float
) -> None:
    """In octaves from 250 Hz to 4 kHz, of an omnidirectional microphone and with the mean over three places, as ISO 3382
    wants it. In 0.2 s a place's first reflections are most of what is fitted, so single places differ more; from 0.5 s
    on all is within 3 %, also what a head's two ears hear together."""
    rng = np.random.default_rng(5)
    short = rt60_s < 0.5
    found: dict[str, list[list[float]]] = {"ambix1": []} | ({} if short else {"binaural": []})
    for _ in range(3):
        source, listener = (rng.uniform(0.15, 0.85, (2, 3)) - 0.5) * size
        pose = np.eye(4)
        pose[:3, 3] = listener
        for name, times in found.items():
            shot = make_shot(
                mode="hifi", sample_rate=RATE_HZ, tail=True, poses=pose, positions=tuple(source),
                format=name,
            )  # fmt: skip
            shot = replace(shot, room=shoebox(size, rt60_s))
            click = np.zeros(shot.sample_count, np.float32)
            click[0] = 1
            heard = render_hifi(shot, [click], SILENT)[: 1 if name == "ambix1" else 2]
            times.append([t30_s(heard, band) / rt60_s for band in OCTAVES_HZ[1:6]])
    for times in found.values():
        np.testing.assert_allclose(np.mean(times, axis=0), 1, atol=0.05 if short else 0.03)
        np.testing.assert_allclose(times, 1, atol=0.12 if short else 0.03)


def test_eyring_with_materials_by_hand() -> None:
    room = shoebox((6.0, 5.0, 3.0), None, **HARD)
    walls = make_walls(room, SILENT)
    assert walls is not None
    floor = np.array(MATERIALS["thick_carpet"].absorption)
    ceiling = np.array(MATERIALS["acoustic_tile"].absorption)
    sides = np.array(MATERIALS["plastered_brick"].absorption)
    mean = (30 * floor + 30 * ceiling + 66 * sides) / 126
    rt60_s = 24 * math.log(10) * 90 / C / (-126 * np.log(1 - mean) + 4 * 90 * _air())
    np.testing.assert_allclose(6 * math.log(10) / walls.decay_per_s(OCTAVES_HZ), rt60_s, rtol=1e-3)


def _air() -> Array:
    return air_absorption_per_m(OCTAVES_HZ)


def test_materials_share_the_absorption_that_a_time_takes() -> None:
    """The carpet goes on absorbing more than the walls, and all octaves come out right."""
    room = shoebox((6.0, 5.0, 3.0), 0.8, **HARD)
    walls = make_walls(room, SILENT)
    assert walls is not None
    times_s = 6 * math.log(10) / walls.decay_per_s(OCTAVES_HZ[:6])
    np.testing.assert_allclose(times_s, 0.8, rtol=1e-3)
    carpet, brick = walls.log_reflection[2, 0], walls.log_reflection[0, 0]
    assert (carpet[1:] < 3 * brick[1:]).all()


def test_a_time_that_no_wall_can_reach_is_told() -> None:
    said: list[dict[str, Any]] = []
    room = shoebox((6.0, 5.0, 3.0), 0.2, all="rigid", floor="concrete")
    assert make_walls(room, Monitor(said.append, lambda: False)) is not None
    assert "can't reverberate for 0.2 s" in said[0]["message"]


def test_images_count_the_walls_they_met() -> None:
    """Against unfolding one mirror after the other by brute force."""
    room = shoebox((5.0, 4.0, 3.0), 0.5)
    images = make_images(room, 3)
    found = {
        tuple(np.round(offset + sign * [1.0, 1.5, 0.7], 6)): hits.tolist()
        for offset, sign, hits in zip(images.offset, images.sign, images.hits, strict=True)
    }
    reached = {(1.0, 1.5, 0.7): np.zeros((3, 2), int)}
    layer = dict(reached)
    for _ in range(3):
        following = {}
        for place, hits in layer.items():
            for axis in range(3):
                for side in (0, 1):
                    mirror = side * room.size[axis]
                    # A wall may only be met again after the one across.
                    inside = (mirror - place[axis]) * (1 if side else -1) > 0
                    mirrored = list(place)
                    mirrored[axis] = round(2 * mirror - place[axis], 6)
                    if inside and tuple(mirrored) not in reached:
                        more = hits.copy()
                        more[axis, side] += 1
                        following[tuple(mirrored)] = more
        reached.update(following)
        layer = following
    assert len(found) == 63
    for place, hits in found.items():
        assert place in reached
        assert sum(map(sum, hits)) == reached[place].sum()
        assert all(
            abs(axis[0] - axis[1]) <= 1 and sum(axis) == sum(other)
            for axis, other in zip(hits, reached[place].tolist(), strict=True)
        )


def test_up_to_the_sixth_order() -> None:
    counts = [len(make_images(shoebox((5.0, 4.0, 3.0), 0.5), order).hits) for order in range(7)]
    assert counts == [1, 7, 25, 63, 129, 231, 377]


def test_the_echo_of_one_wall_has_its_spectrum(make_shot: MakeShot) -> None:
    """A curtain on the left, all else open: one echo, sqrt(1 - alpha) of it, in every octave."""
    size = (6.0, 5.0, 3.0)
    room = shoebox(size, None, all="open", left="curtain")
    shot = make_shot(mode="hifi", sample_rate=RATE_HZ, format="ambix1", positions=(1.0, 0.5, 0.2))
    shot = replace(shot, room=room)
    click = np.zeros(shot.sample_count, np.float32)
    click[0] = 1
    sound = render_hifi(shot, [click], SILENT)[0].astype(float)
    image = np.array([-6.0 - 1.0, 0.5, 0.2])
    distance_m = np.linalg.norm(image)
    arrives = distance_m / C * RATE_HZ
    near = slice(round(arrives) - 350, round(arrives) + 350)
    size_bins = 1 << 14
    spectrum = np.abs(fft.rfft(sound[near] * np.hanning(700) ** 0.2, size_bins))
    for octave_hz, alpha in zip(OCTAVES_HZ[1:7], MATERIALS["curtain"].absorption[1:7], strict=True):
        heard = spectrum[round(octave_hz * size_bins / RATE_HZ)] * 4 * np.pi * distance_m
        air = math.exp(-float(air_absorption_per_m(np.array(octave_hz))) * distance_m / 2)
        assert heard == pytest.approx(math.sqrt(1 - alpha) * air, rel=0.05)


def test_mixed_materials_take_few_spectral_buses() -> None:
    walls = make_walls(shoebox((5.0, 4.0, 3.0), None, **HARD), SILENT)
    assert walls is not None
    log_gain = np.unique(walls.log_gain(make_images(shoebox((5.0, 4.0, 3.0), 1.0), 3).hits), axis=0)
    spectra = make_path_spectra(log_gain, np.full(len(log_gain), 30.0), 30.0, RATE_HZ)
    assert len(spectra.curves) <= 8
    # A path of each kind at a distance of the table, against the product of its octaves' gains and the air.
    row = 30
    distance_m = 30.0 * (row / (spectra.shares.shape[1] - 1)) ** 2
    found = spectra.shares[:, row] @ spectra.curves
    octaves = np.log(OCTAVES_HZ)
    wanted = np.exp(
        [np.interp(np.log(spectra.frequencies_hz), octaves, kind) for kind in log_gain]
        - air_absorption_per_m(spectra.frequencies_hz) * distance_m / 2
    )
    loud = wanted > 0.1
    assert np.abs(20 * np.log10(found[loud] / wanted[loud])).max() < 0.5


def test_the_paper_mode_shares_absorption_as_gpurir_does() -> None:
    """Sabine: V and S by hand, the materials' ratios at 1 kHz kept."""
    room = shoebox((5.0, 4.0, 3.0), 0.5, **HARD)
    found = enclose(room, np.zeros((1, 3)), SILENT)
    alpha = 1 - found.reflections**2
    areas = np.array([[12, 12], [15, 15], [20, 20]])
    assert 0.161 * 60 / (areas * alpha).sum() == pytest.approx(0.5, rel=1e-6)
    assert alpha[2, 0] / alpha[2, 1] == pytest.approx(0.69 / 0.75, rel=1e-6)
    assert found.rt60_s == pytest.approx(0.5, rel=1e-3)


@pytest.mark.parametrize("mode", [render_hifi, render_paper])
def test_the_ground_is_what_it_is_made_of(make_shot: MakeShot, mode: Callable[..., Array]) -> None:
    energies = []
    for material in ("concrete", "snow"):
        shot = make_shot(kind="half_space", sample_rate=16_000)
        shot = replace(shot, room=replace(shot.room, materials={"floor": material}))
        click = np.zeros(shot.sample_count, np.float32)
        click[0] = 1
        sound = mode(shot, [click], SILENT)
        bounce_s = math.hypot(2, 2 * 1.4) / C
        at = round(bounce_s * 16_000)
        energies.append(float((sound[:, at - 20 : at + 60].astype(float) ** 2).sum()))
    assert energies[0] > 5 * energies[1]


@pytest.mark.parametrize(
    ("materials", "rt60_s", "named"),
    [
        ({"all": "cheese"}, 0.5, r"materials\.all"),
        ({"north": "brick"}, 0.5, "north"),
        ({"left": "brick"}, 0.5, "right"),
        ({}, 0.5, "materials"),
        ("brick", 0.5, "materials"),
        (None, None, "rt60_s"),
    ],
)
def test_what_walls_cannot_be(make_shot: MakeShot, materials: Any, rt60_s: Any, named: str) -> None:
    data = make_shot().to_json()
    data["room"] |= {"materials": materials, "rt60_s": rt60_s}
    with pytest.raises(Sonic4DError, match=named):
        shot_from_json(data, Path())


def test_json_and_back(make_shot: MakeShot) -> None:
    data = make_shot().to_json()
    data["room"] |= {"materials": HARD, "rt60_s": None}
    assert shot_from_json(data, Path()).to_json()["room"] == data["room"]


def test_the_table_is_physical() -> None:
    for name, material in MATERIALS.items():
        assert len(material.absorption) == 8, name
        assert all(0 <= alpha <= 1 for alpha in material.absorption), name
        assert material.source
        if material.transmission_loss_db is not None:
            assert all(0 <= loss <= 60 for loss in material.transmission_loss_db), name
    # 6 dB per octave and per doubling of the mass.
    loss_db = np.array(MATERIALS["glass"].transmission_loss_db)[:6]
    np.testing.assert_allclose(np.diff(loss_db), 20 * np.log10(2), atol=1e-9)
