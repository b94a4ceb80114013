"""What an effect writes into a source's paths is what each ear then hears of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sonic4d.acoustics import hifi_scene
from sonic4d.acoustics.early_sound import EarlySound
from sonic4d.acoustics.heard_paths import HeardPaths
from sonic4d.acoustics.hifi import render_hifi
from sonic4d.materials import OCTAVES_HZ
from sonic4d.monitor import SILENT
from sonic4d.shot import Shot

RATE_HZ = 48_000
MakeShot = Callable[..., Shot]


@pytest.fixture
def spectra(make_shot: MakeShot, monkeypatch: pytest.MonkeyPatch) -> Callable[..., np.ndarray]:
    """`spectra(effect)`: what the ears hear (2, bins of 1 Hz) of a click 2 m in front in free field with this effect."""

    def render(effect: Callable[[HeardPaths], None]) -> np.ndarray:
        monkeypatch.setattr(hifi_scene.Scene, "coloured", property(lambda scene: [True]))
        monkeypatch.setattr(EarlySound, "_colour", lambda self, *args: effect(args[2]))
        shot = make_shot(kind="free_field", mode="hifi", sample_rate=RATE_HZ)
        click = np.zeros(shot.sample_count, np.float32)
        click[480] = 1
        return np.fft.rfft(render_hifi(shot, [click], SILENT), RATE_HZ)

    return render


def test_the_paths_are_told_where_they_come_from(spectra: Callable[..., np.ndarray]) -> None:
    def look(heard: HeardPaths) -> None:
        np.testing.assert_allclose(heard.away - [0, 2, 0], 0, atol=1e-9)
        np.testing.assert_allclose(heard.travel_s, 2 / 343, rtol=1e-9)
        np.testing.assert_allclose(
            heard.axes, [[[0, 1, 0], [-1, 0, 0], [0, 0, 1]]] * len(heard.axes), atol=1e-9
        )
        assert heard.share.shape[2:] == (2, len(OCTAVES_HZ))

    spectra(look)


def test_octave_gains_for_one_ear(spectra: Callable[..., np.ndarray]) -> None:
    """Half as loud at 1 kHz in the right ear alone: linear in the logarithm of the frequency to either side."""
    plain = np.abs(spectra(lambda heard: None))

    def weaken(heard: HeardPaths) -> None:
        heard.share[:, :, 1, list(OCTAVES_HZ).index(1000)] *= 0.5

    ratio = np.abs(spectra(weaken)) / plain
    np.testing.assert_allclose(ratio[0, 100:15_000], 1, atol=1e-3)
    np.testing.assert_allclose(
        ratio[1, [250, 500, 1000, 1414, 2000, 8000]], [1, 1, 0.5, 0.75, 1, 1], atol=0.012
    )


def test_delay_and_level_of_one_ear(spectra: Callable[..., np.ndarray]) -> None:
    def change(heard: HeardPaths) -> None:
        heard.delay[:, :, 0] += 2.5
        heard.weight[:, :, : heard.weight.shape[2] // 2] *= 0.25

    ratio = spectra(change) / spectra(lambda heard: None)
    frequencies = np.arange(500, 15_000, 100)
    expected = 0.25 * np.exp(-2j * np.pi * frequencies * 2.5 / RATE_HZ)
    np.testing.assert_allclose(ratio[0, frequencies], expected, atol=5e-3)
    np.testing.assert_allclose(ratio[1, frequencies], 1, atol=5e-3)
