"""Impulse responses against independent implementations, closed forms and symmetries."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pyroomacoustics
import pytest
import rir_generator
from sonic4d.acoustics.image_source import (
    GPURIR,
    POSITIVE,
    SPEED_OF_SOUND,
    Convention,
    exact_rir,
    make_plan,
    sabine_reflection,
    shoebox_rirs,
)

Array = npt.NDArray[np.float64]

SIZE = np.array([3.2, 2.7, 2.4])
SOURCE = np.array([1.1, 0.9, 1.3])
MICROPHONE = np.array([2.3, 1.7, 1.1])
WALLS = np.array([[0.9, 0.8], [0.7, 0.85], [0.75, 0.6]])


def one(plan, source=SOURCE, microphone=MICROPHONE, size=SIZE, walls=WALLS) -> Array:  # noqa: ANN001
    return shoebox_rirs(plan, size, walls, source[None], microphone[None])[0].astype(np.float64)


def relative_error(value: Array, truth: Array) -> float:
    return float(np.abs(value - truth).max() / np.abs(truth).max())


def error_db(value: Array, truth: Array) -> float:
    return float(10 * np.log10(((value - truth) ** 2).sum() / (truth**2).sum()))


def test_parity_with_rir_generator() -> None:
    rate, samples = 16000, 700
    plan = make_plan(samples, rate, POSITIVE)
    truth = rir_generator.generate(
        c=SPEED_OF_SOUND,
        fs=rate,
        r=MICROPHONE,
        s=SOURCE,
        L=SIZE,
        beta=WALLS.ravel(),
        nsample=samples + plan.kernel_samples,
        order=-1,
        hp_filter=False,
    )[:samples, 0]
    assert relative_error(exact_rir(plan, SIZE, WALLS, SOURCE, MICROPHONE), truth) < 1e-9
    assert relative_error(one(plan), truth) < 2e-5


def test_parity_with_pyroomacoustics() -> None:
    """With a finer table of fractional delays than its usual one of 20 per sample, and twice as long windows: it doesn't
    shift them by the fraction of a sample."""
    rate, samples, length = 16000, 600, 161
    lead = length // 2
    chosen = {"rir_hpf_enable": False, "sinc_lut_granularity": 400, "frac_delay_length": length}
    usual = {key: pyroomacoustics.constants.get(key) for key in chosen}
    for key, value in chosen.items():
        pyroomacoustics.constants.set(key, value)
    try:
        room = pyroomacoustics.ShoeBox(
            SIZE, fs=rate, materials=pyroomacoustics.Material(1 - 0.8**2), max_order=30
        )
        room.set_sound_speed(SPEED_OF_SOUND)
        room.add_source(SOURCE)
        room.add_microphone(MICROPHONE)
        room.compute_rir()
    finally:
        for key, value in usual.items():
            pyroomacoustics.constants.set(key, value)
    truth = room.rir[0][0][lead : lead + samples] / (4 * np.pi)
    plan = make_plan(samples, rate, Convention(sign=1, kernel_s=(length - 1) / rate, boxed=False))
    found = one(plan, walls=np.full((3, 2), 0.8))
    assert relative_error(found, truth) < 2e-3
    assert error_db(found, truth) < -50


def gpurir_kernel(samples: int, rate: int, counts: list[int]) -> Array:
    """gpuRIR's CUDA kernels restated: every image of the box on every sample."""
    response = np.zeros(samples)
    width = round(0.008 * rate)
    t = np.arange(samples)
    for n in np.ndindex(*counts):
        amplitude, square = 1.0, 0.0
        for a in range(3):
            k = n[a] - counts[a] // 2
            cluster, reflected = math.ceil(k / 2), abs(k % 2)
            position = 2 * cluster * SIZE[a] + (1 - 2 * reflected) * SOURCE[a]
            amplitude *= (-WALLS[a, 0]) ** abs(cluster - reflected) * (-WALLS[a, 1]) ** abs(cluster)
            square += (position - MICROPHONE[a]) ** 2
        distance = math.sqrt(square)
        x = t - distance / SPEED_OF_SOUND * rate
        near = np.abs(x) < width / 2
        window = 0.5 * (1 + np.cos(2 * np.pi * x[near] / width))
        response[near] += amplitude / (4 * np.pi * distance) * window * np.sinc(x[near])
    return response


@pytest.mark.parametrize("samples", [64, 300, 400])
def test_parity_with_gpurir(samples: int) -> None:
    """64: the box leaves out images that would arrive in time."""
    rate = 8000
    counts = [math.ceil(2 * samples / rate * SPEED_OF_SOUND / side) for side in SIZE]
    truth = gpurir_kernel(samples, rate, counts)
    plan = make_plan(samples, rate, GPURIR)
    assert relative_error(exact_rir(plan, SIZE, WALLS, SOURCE, MICROPHONE), truth) < 1e-9
    assert relative_error(one(plan), truth) < 2e-5


@pytest.mark.parametrize(
    ("rate", "samples"), [(8000, 1), (8000, 900), (44100, 2000), (96000, 3000)]
)
@pytest.mark.parametrize("convention", [GPURIR, POSITIVE])
def test_nufft_equals_the_sum_of_windowed_sincs(
    rate: int, samples: int, convention: Convention
) -> None:
    plan = make_plan(samples, rate, convention)
    source = SOURCE if samples > 1 else MICROPHONE + 0.01
    truth = exact_rir(plan, SIZE, WALLS, source, MICROPHONE)
    assert relative_error(one(plan, source), truth) < 2e-5
    assert error_db(one(plan, source), truth) < -95


def test_direct_sound_delay_and_gain() -> None:
    rate, distance_m = 48000, 3.2123
    plan = make_plan(1024, rate, GPURIR)
    size, source = np.array([20.0, 20, 20]), np.array([8.0, 9, 10])
    response = one(plan, source, source + [distance_m, 0, 0], size, np.zeros((3, 2)))
    frequency = np.fft.rfftfreq(8192, 1 / rate)
    spectrum = np.fft.rfft(response, 8192)
    band = (frequency > 500) & (frequency < 18000)
    phase = np.unwrap(np.angle(spectrum[band]))
    delay = -np.polyfit(2 * np.pi * frequency[band], phase, 1)[0] * rate
    assert delay == pytest.approx(distance_m / SPEED_OF_SOUND * rate, abs=0.01)
    gain_db = 20 * np.log10(np.abs(spectrum[band]) * 4 * np.pi * distance_m)
    assert np.abs(gain_db).max() < 0.02


def test_reciprocity() -> None:
    plan = make_plan(1500, 16000, POSITIVE)
    forth = exact_rir(plan, SIZE, WALLS, SOURCE, MICROPHONE)
    back = exact_rir(plan, SIZE, WALLS, MICROPHONE, SOURCE)
    assert relative_error(forth, back) < 1e-12
    assert relative_error(one(plan), one(plan, MICROPHONE, SOURCE)) < 1e-4


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_mirrored_room_sounds_the_same(axis: int) -> None:
    def mirrored(point: Array) -> Array:
        point = point.copy()
        point[axis] = SIZE[axis] - point[axis]
        return point

    walls = WALLS.copy()
    walls[axis] = walls[axis, ::-1]
    plan = make_plan(1500, 16000, POSITIVE)
    points = mirrored(SOURCE), mirrored(MICROPHONE)
    exact = exact_rir(plan, SIZE, WALLS, SOURCE, MICROPHONE)
    assert relative_error(exact_rir(plan, SIZE, walls, *points), exact) < 1e-12
    assert relative_error(one(plan, *points, walls=walls), one(plan)) < 1e-5


def reverberation_time_s(response: Array, rate: int) -> float:
    """T30: ISO 3382, decay from -5 to -35 dB of the backward-integrated energy."""
    decay = np.cumsum(response[::-1] ** 2)[::-1]
    level = 10 * np.log10(decay / decay[0])
    first, last = np.argmax(level < -5), np.argmax(level < -35)
    slope = np.polyfit(np.arange(first, last) / rate, level[first:last], 1)[0]
    return -60 / slope


def test_reverberation_time_is_near_what_was_asked() -> None:
    """Negative coefficients, no calibration: within 10 % (the far end of Sabine's own accuracy)."""
    rate, size = 16000, np.array([5.0, 4, 3])
    reflection, rt60_s = sabine_reflection(size, 0.5)
    assert rt60_s == 0.5
    rng = np.random.default_rng(1)
    sources, microphones = rng.uniform(0.7, size - 0.7, (2, 4, 3))
    plan = make_plan(int(0.6 * rate), rate, GPURIR)
    responses = shoebox_rirs(plan, size, np.full((3, 2), reflection), sources, microphones)
    times = [reverberation_time_s(response.astype(np.float64), rate) for response in responses]
    assert np.mean(times) == pytest.approx(0.5, rel=0.1)


def test_sabine_tells_when_a_time_cannot_be_reached() -> None:
    assert sabine_reflection(SIZE, 0) == (0, 0)
    reflection, rt60_s = sabine_reflection(np.array([40.0, 30, 10]), 0.2)
    assert reflection == 0
    assert rt60_s == pytest.approx(0.161 * 12000 / 3800)


def test_source_at_the_microphone_stays_finite_and_is_held_at_ten_centimetres() -> None:
    plan = make_plan(400, 16000, POSITIVE)
    response = one(plan, MICROPHONE, walls=np.zeros((3, 2)))
    assert response[0] == pytest.approx(1 / (4 * np.pi * 0.1), rel=1e-5)
    assert np.abs(response[1:]).max() < 1e-5


def test_same_bytes_alone_and_in_a_batch_of_the_same_kind() -> None:
    plan = make_plan(900, 16000, GPURIR)
    sources = np.linspace(SOURCE, SOURCE + 0.4, 6)
    microphones = np.linspace(MICROPHONE, MICROPHONE - 0.3, 6)
    first = shoebox_rirs(plan, SIZE, WALLS, sources, microphones)
    again = shoebox_rirs(plan, SIZE, WALLS, sources, microphones)
    assert first.tobytes() == again.tobytes()


def test_cancelling_stops_the_sum() -> None:
    class Stop(Exception):
        pass

    def stop() -> None:
        raise Stop

    with pytest.raises(Stop):
        shoebox_rirs(make_plan(100, 8000), SIZE, WALLS, SOURCE[None], MICROPHONE[None], check=stop)
