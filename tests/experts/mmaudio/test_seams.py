"""A long clip is made in windows: where they meet, level and spectrum are as if it were made in one."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt
from sonic4d.experts.machine import Machine
from sonic4d.experts.mmaudio.expert import MMAudio
from sonic4d.experts.mmaudio.windows import TRAINED_S, window, windows
from sonic4d.experts.protocols import SilentVideo
from sonic4d.experts.store import locate
from sonic4d.monitor import SILENT

LENGTH_S, RATE_HZ = 30, 44100
OCTAVES_HZ = (125, 250, 500, 1000, 2000, 4000, 8000)
LIMIT_DB = 1.0


@pytest.fixture(scope="module")
def sounds(
    tiny: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """In windows, in one, and the middles of the overlaps in seconds."""
    texture = np.random.default_rng(0).integers(0, 255, (90, 160, 3), dtype=np.uint8)
    video = SilentVideo(
        lambda numbers: ((i, np.roll(texture, i, axis=1)) for i in numbers), Fraction(25), 25 * 30
    )
    ready = locate("mmaudio-small-44k", {"mmaudio-small-44k": tiny})
    models = [
        MMAudio(ready, Machine("cpu", "", 24.0, 24.0), plan)
        for plan in (windows, lambda duration_s, rate: [window(duration_s, rate)])
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("LOCALAPPDATA", str(tmp_path_factory.mktemp("cache")))
        joined, whole = (model(video, "rain", "", 1, SILENT).samples for model in models)
    starts = [part.start_s for part in windows(Fraction(LENGTH_S), Fraction(RATE_HZ, 1024))]
    middles = [(one + TRAINED_S + two) / 2 for one, two in zip(starts, starts[1:], strict=False)]
    return joined[: LENGTH_S * RATE_HZ], whole[: LENGTH_S * RATE_HZ], middles


def steps_db(joined: np.ndarray, whole: np.ndarray, middles: list[float]) -> np.ndarray:
    """How much louder two seconds around each seam are than the two before and after, compared with the whole."""

    def power(samples: np.ndarray, begin_s: float, end_s: float) -> float:
        return float(np.mean(samples[round(begin_s * RATE_HZ) : round(end_s * RATE_HZ)] ** 2))

    def step(samples: np.ndarray, at_s: float) -> float:
        around = power(samples, at_s - 3, at_s - 1) + power(samples, at_s + 1, at_s + 3)
        return 10 * np.log10(2 * power(samples, at_s - 1, at_s + 1) / around)

    return np.array([step(joined, at_s) - step(whole, at_s) for at_s in middles])


def octave(samples: np.ndarray, centre_hz: float) -> np.ndarray:
    edges = (centre_hz / 2**0.5, centre_hz * 2**0.5)
    return sosfiltfilt(butter(2, edges, "bandpass", fs=RATE_HZ, output="sos"), samples)


def test_no_step_of_the_level(sounds: tuple[np.ndarray, np.ndarray, list[float]]) -> None:
    joined, whole, middles = sounds
    assert len(middles) == 4
    assert np.abs(joined).max() < 1  # clipping would hide a step
    assert not np.array_equal(joined, whole)
    assert np.abs(steps_db(joined, whole, middles)).max() < LIMIT_DB / 2


@pytest.mark.parametrize("centre_hz", OCTAVES_HZ)
def test_no_step_of_the_spectrum(
    sounds: tuple[np.ndarray, np.ndarray, list[float]], centre_hz: int
) -> None:
    joined, whole, middles = sounds
    steps = steps_db(octave(joined, centre_hz), octave(whole, centre_hz), middles)
    assert np.abs(steps).max() < LIMIT_DB
    assert abs(steps.mean()) < LIMIT_DB / 2


def test_a_step_would_be_seen(sounds: tuple[np.ndarray, np.ndarray, list[float]]) -> None:
    """Of 1.5 dB, as where weights don't sum to 1."""
    joined, whole, middles = sounds
    times_s = np.arange(len(joined)) / RATE_HZ
    louder = np.any([np.abs(times_s - middle) < 1 for middle in middles], axis=0)
    spoilt = np.where(louder, 10 ** (1.5 / 20) * joined, joined)
    assert (steps_db(spoilt, whole, middles) > LIMIT_DB).all()
