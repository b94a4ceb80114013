"""The late field: a diffuse field that stays where it is while the head turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import fft, signal
from scipy.spatial.transform import Rotation
from sonic4d.acoustics import hrtf
from sonic4d.acoustics.ambisonics import spherical_harmonics, turns
from sonic4d.acoustics.hifi import render_hifi
from sonic4d.geometry.cameras import LOOKING_NORTH
from sonic4d.monitor import SILENT
from sonic4d.shot import Shot

Array = npt.NDArray[np.float64]
MakeShot = Callable[..., Shot]
LateResponse = Callable[..., Array]
RATE_HZ = 48_000
TURNS = {
    "yaw": Rotation.from_euler("z", 90, degrees=True),
    "pitch": Rotation.from_euler("y", -90, degrees=True),
    "roll": Rotation.from_euler("x", 90, degrees=True),
    "any": Rotation.from_euler("zyx", (31, -17, 64), degrees=True),
}


@pytest.fixture
def room(make_shot: MakeShot) -> Callable[..., Shot]:
    def make(**settings: Any) -> Shot:
        return make_shot(**{"mode": "hifi", "sample_rate": RATE_HZ, "rt60_s": 0.6} | settings)

    return make


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("turn", TURNS)
def test_turned_harmonics_are_the_harmonics_of_turned_directions(order: int, turn: str) -> None:
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((50, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    axes = TURNS[turn].as_matrix().T  # rows: the turned axes
    matrix = turns(order, axes[None])[0]
    expected = spherical_harmonics(order, directions @ axes.T)
    np.testing.assert_allclose(
        spherical_harmonics(order, directions) @ matrix.T, expected, atol=1e-9
    )


def test_a_quarter_turn_to_the_left_exchanges_channels() -> None:
    """What was in front is then on the right: Y' = -X, X' = Y; by hand."""
    axes = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    expected = np.array([[1.0, 0, 0, 0], [0, 0, 0, -1], [0, 0, 1, 0], [0, 1, 0, 0]])
    np.testing.assert_allclose(turns(1, axes[None])[0], expected, atol=1e-9)


@pytest.mark.parametrize("turn", TURNS)
def test_ambisonics_turns_exactly(room: MakeShot, late_response: LateResponse, turn: str) -> None:
    shot = room(format="ambix3")
    axes = TURNS[turn].as_matrix().T
    still, turned = late_response(shot), late_response(shot, axes)
    expected = turns(3, axes[None])[0] @ still
    np.testing.assert_allclose(turned, expected, atol=1e-5 * np.abs(still).max())
    assert np.abs(turned - still).max() > 0.1 * np.abs(still).max()


def test_who_turns_around_hears_the_other_side(room: MakeShot, late_response: LateResponse) -> None:
    """Below 1 kHz the left ear then hears about what the right one heard, and not what it heard itself."""
    shot = room(format="binaural")
    around = np.diag([-1.0, -1, 1])
    sections = signal.butter(4, (300, 1000), "band", fs=RATE_HZ, output="sos")
    still, turned = (
        signal.sosfiltfilt(sections, late_response(shot, axes)) for axes in (None, around)
    )
    swapped = np.corrcoef(still[0], turned[1])[0, 1], np.corrcoef(still[1], turned[0])[0, 1]
    same = np.corrcoef(still[0], turned[0])[0, 1], np.corrcoef(still[1], turned[1])[0, 1]
    assert min(swapped) > 0.6
    assert max(same) < 0.5


def test_the_ears_of_a_head_in_a_diffuse_field(room: MakeShot, late_response: LateResponse) -> None:
    """Power and coherence by third octaves are those of the measured head, from several realisations."""
    head = hrtf.load_hrtf("kemar", RATE_HZ)
    cross, power = np.zeros(RATE_HZ // 2 + 1, complex), np.zeros((2, RATE_HZ // 2 + 1))
    for seed in range(8):
        tail = late_response(room(format="binaural", rt60_s=2.0, seed=seed))
        time = np.arange(RATE_HZ) / RATE_HZ
        left, right = fft.rfft(tail[:, :RATE_HZ] * np.exp(13.8155 / 4 * time))
        cross += left * right.conj()
        power += np.abs([left, right]) ** 2
    frequencies = np.arange(RATE_HZ // 2 + 1)
    wanted = np.interp(frequencies, head.frequencies_hz, head.diffuse_coherence)
    for centre in 125 * 2 ** (np.arange(0, 19) / 3):
        band = slice(round(centre / 2 ** (1 / 6)), round(centre * 2 ** (1 / 6)))
        found = cross[band].real.sum() / np.sqrt(power[0, band].sum() * power[1, band].sum())
        assert found == pytest.approx(wanted[band].mean(), abs=0.1)
        wanted_db = 10 * np.log10(
            np.interp(frequencies, head.frequencies_hz, head.diffuse_power[0])[band].sum()
            / np.interp(frequencies, head.frequencies_hz, head.diffuse_power[1])[band].sum()
        )
        found_db = 10 * np.log10(power[0, band].sum() / power[1, band].sum())
        assert found_db == pytest.approx(wanted_db, abs=1.2)


@pytest.mark.parametrize("frequency_hz", [1000, 4000])
@pytest.mark.parametrize("name", ["binaural", "ambix3"])
def test_a_turning_head_does_not_click(room: MakeShot, frequency_hz: float, name: str) -> None:
    """Twice around within three seconds, everything else at rest: the energy outside +-10 % of a tone."""
    frames = 72
    angle = 4 * np.pi * np.arange(frames) / frames
    poses = np.tile(LOOKING_NORTH, (frames, 1, 1))
    poses[:, :3, :3] = Rotation.from_euler("z", angle[:, None]).as_matrix() @ LOOKING_NORTH[:3, :3]
    shot = room(poses=poses, frames=frames, format=name, positions=(1, 2.5, 0.4))
    time = np.arange(shot.sample_count) / RATE_HZ
    tone = np.sin(2 * np.pi * frequency_hz * time).astype(np.float32)
    sound = render_hifi(shot, [tone], SILENT)
    size = 1 << 14
    away = np.abs(fft.rfftfreq(size, 1 / RATE_HZ) - frequency_hz) > 0.1 * frequency_hz
    starts = range(RATE_HZ // 2, sound.shape[1] - size, size // 2)
    cut = np.stack([sound[:, s : s + size] for s in starts]).astype(float) * np.kaiser(size, 20)
    energy = (np.abs(fft.rfft(cut)) ** 2).sum(axis=0)
    loud = energy.sum(axis=1) > 1e-3 * energy.sum(axis=1).max()
    stray = energy[:, away].sum(axis=1) / energy.sum(axis=1)
    assert 10 * np.log10(stray[loud].max()) < -90


def test_it_depends_on_the_room_and_not_on_who_is_where(room: MakeShot) -> None:
    """Sound moved to another place: after the first reflections the same reverberation, to the sample."""
    responses = []
    for place in ((1.0, 2.5, 0.4), (-1.0, 0.2, -0.5)):
        shot = room(positions=place, tail=True, format="ambix1", rt60_s=0.8)
        click = np.zeros(shot.sample_count, np.float32)
        click[0] = 1
        responses.append(render_hifi(shot, [click], SILENT)[:, round(0.2 * RATE_HZ) :])
    count = min(response.shape[1] for response in responses)
    first, second = (response[:, :count] for response in responses)
    assert first.any()
    np.testing.assert_allclose(first, second, atol=1e-4 * np.abs(first).max())
