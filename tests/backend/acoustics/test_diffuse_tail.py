"""The hand-over from image sources to noise, beside gpuRIR's two kernels restated; and the sign of reflections."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sonic4d.acoustics import gpurir, paper
from sonic4d.acoustics.diffuse_tail import append_tails
from sonic4d.acoustics.image_source import sabine_reflection
from sonic4d.acoustics.paper import render_paper
from sonic4d.geometry.cameras import LOOKING_NORTH
from sonic4d.monitor import SILENT, Monitor
from sonic4d.shot import Shot

Array = npt.NDArray[np.float64]
MakeShot = Callable[..., Shot]

RATE_HZ = 8000


def impulse(shot: Shot) -> npt.NDArray[np.float32]:
    sound = np.zeros(shot.sample_count, np.float32)
    sound[0] = 1
    return sound


def response(make_shot: MakeShot, **settings: Any) -> npt.NDArray[np.float32]:
    shot = make_shot(segments=1, tail=True, **settings)
    return render_paper(shot, [impulse(shot)], SILENT)


def test_the_envelope_is_the_one_of_gpurirs_kernels() -> None:
    """envPred_kernel and diffRev_kernel: the mean power of 10 ms, continued; its noise averages to that."""
    rng = np.random.default_rng(1)
    count, total, pairs, rt60_s, direct_m = 160, 1600, 300, 0.3, 2.0
    early = rng.standard_normal((pairs, count)).astype(np.float32)
    early *= np.exp(-np.arange(count) / 200, dtype=np.float32)
    sources = rng.uniform(1, 3, (pairs, 3))
    found = append_tails(early, sources, sources + [direct_m, 0, 0], rt60_s, total, RATE_HZ, seed=0)
    assert (found[:, :count] == early).all()

    decay = -13.8155 / (rt60_s * RATE_HZ)
    direct = direct_m / 343 * RATE_HZ
    start = math.ceil(max(count - 0.01 * RATE_HZ, direct))
    power = (early[:, start:].astype(float) ** 2).mean(axis=1)
    scale = power / np.exp(decay * (start + (count - start) / 2 - direct))
    envelope = scale[:, None] * np.exp(decay * (np.arange(count, total) - direct))
    noise = found[:, count:] / np.sqrt(envelope)
    assert (noise**2).mean() == pytest.approx(1, abs=0.01)
    along = (noise**2).reshape(pairs, 12, -1).mean(axis=(0, 2))
    np.testing.assert_allclose(along, 1, atol=0.05)
    # The logistic distribution's fourth moment is 4.2 times the square of its second (Gauss: 3).
    assert (noise**4).mean() == pytest.approx(4.2, abs=0.15)
    between = (noise[1:] * noise[:-1]).mean(axis=1)
    assert np.abs(between).max() < 6 / math.sqrt(total - count)


def test_before_the_hand_over_nothing_changes(make_shot: MakeShot) -> None:
    whole = response(make_shot)
    handed_over = response(make_shot, tdiff_s=0.06)
    assert whole.shape == handed_over.shape
    samples = round(0.06 * RATE_HZ)
    peak = np.abs(whole).max()
    # Half a windowed sinc before the hand-over, gpuRIR's box leaves out images that the longer response has.
    np.testing.assert_allclose(handed_over[:, :samples], whole[:, :samples], atol=1e-4 * peak)
    assert np.abs(handed_over[:, samples:] - whole[:, samples:]).max() > 1e-3 * peak


def test_reverberation_decays_as_asked(make_shot: MakeShot) -> None:
    rt60_s = 0.4
    found = response(make_shot, rt60_s=rt60_s, tdiff_s=0.08).astype(float)
    decay_db = 10 * np.log10(np.cumsum((found**2)[:, ::-1], axis=1)[:, ::-1])
    decay_db -= decay_db[:, :1]
    for ear in decay_db:
        fitted = np.flatnonzero((ear < -5) & (ear > -35))
        slope = np.polyfit(fitted / RATE_HZ, ear[fitted], 1)[0]
        assert -60 / slope == pytest.approx(rt60_s, rel=0.1)


@pytest.mark.parametrize("segments", [5, "per_frame"])
def test_a_still_scene_is_one_convolution(make_shot: MakeShot, segments: str | int) -> None:
    """The same two places have the same noise, so that nothing flutters where nothing moves."""
    shot = make_shot(tdiff_s=0.05, segments=segments)
    sound = np.random.default_rng(0).standard_normal(shot.sample_count).astype(np.float32)
    found = render_paper(shot, [sound], SILENT)
    one = render_paper(make_shot(tdiff_s=0.05, segments=1), [sound], SILENT)
    assert np.abs(found - one).max() < 1e-5 * np.abs(one).max()


def test_the_same_bytes_for_a_seed_and_any_number_of_threads(
    make_shot: MakeShot, monkeypatch: pytest.MonkeyPatch
) -> None:
    u = np.linspace(0, 1, 12)
    positions = np.stack([1.5 - u, 1.5 + u, 0.3 * u], axis=1)
    shot = make_shot(tdiff_s=0.05, positions=positions, poses=LOOKING_NORTH)
    sound = np.random.default_rng(0).standard_normal(shot.sample_count).astype(np.float32)
    first = render_paper(shot, [sound], SILENT)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert render_paper(shot, [sound], SILENT).tobytes() == first.tobytes()
    other = make_shot(tdiff_s=0.05, positions=positions, poses=LOOKING_NORTH, seed=1)
    assert np.abs(render_paper(other, [sound], SILENT) - first).max() > 0


def test_a_hand_over_before_the_direct_sound_is_put_off_and_told(make_shot: MakeShot) -> None:
    events: list[dict[str, Any]] = []
    shot = make_shot(tdiff_s=0.0, segments=1)
    found = render_paper(shot, [impulse(shot)], Monitor(events.append, lambda: False))
    whole = response(make_shot)
    direct = round(2 / 343 * RATE_HZ)
    np.testing.assert_allclose(found[:, : direct + 8], whole[:, : direct + 8], atol=1e-5)
    assert any("instead of 0 ms" in event.get("message", "") for event in events)


@pytest.mark.parametrize(
    "settings", [{"kind": "free_field"}, {"kind": "half_space"}, {"rt60_s": 0.0}]
)
def test_what_does_not_reverberate_has_no_tail(
    make_shot: MakeShot, settings: dict[str, Any]
) -> None:
    np.testing.assert_array_equal(
        response(make_shot, tdiff_s=0.05, **settings), response(make_shot, **settings)
    )


def test_gpurir_is_asked_for_its_own_tail(
    make_shot: MakeShot, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    class Fake:
        @staticmethod
        def t2n(duration_s: float, size: Any, c: float) -> list[int]:
            return [math.ceil(2 * duration_s * c / side) for side in size]

        @staticmethod
        def activateMixedPrecision(on: bool) -> None: ...

        @staticmethod
        def simulateRIR(**settings: Any) -> npt.NDArray[np.float32]:
            asked.append(settings)
            return np.zeros((1, 2, math.ceil(settings["Tmax"] * RATE_HZ) + 2), np.float32)

    monkeypatch.setattr(gpurir, "_load", lambda: Fake)
    shot = make_shot(engine="gpurir", tdiff_s=0.06, segments=1, convention="positive")
    render_paper(shot, [impulse(shot)], SILENT)
    (call,) = asked
    assert math.ceil(call["Tdiff"] * RATE_HZ) == round(0.06 * RATE_HZ)
    assert math.ceil(call["Tmax"] * RATE_HZ) > math.ceil(call["Tdiff"] * RATE_HZ)
    assert call["nb_img"] == Fake.t2n(0.06, call["room_sz"], 343.0)
    assert (np.array(call["beta"]) < 0).all()  # it reverses the sign


@pytest.mark.parametrize(("convention", "sign"), [("gpurir", -1), ("positive", 1)])
def test_the_sign_of_the_first_reflection(make_shot: MakeShot, convention: str, sign: int) -> None:
    """From the floor, mirrored by hand: the direct sound is 2 m long, the other path goes 1.4 m down and up again."""
    found = response(make_shot, convention=convention, mic_spacing_m=0.0)[0]
    room = make_shot().room
    beta = sabine_reflection(np.array(room.size), room.rt60_s)[0]
    height_m = room.size[2] / 2 - room.center[2]
    for distance_m, gain in ((2.0, 1.0), (math.hypot(2, 2 * height_m), sign * beta)):
        place = distance_m / 343 * RATE_HZ
        near = np.arange(round(place) - 2, round(place) + 3)
        match = float(found[near] @ np.sinc(near - place))
        assert match * 4 * math.pi * distance_m == pytest.approx(gain, rel=0.25)


def test_paper_module_knows_every_convention() -> None:
    from sonic4d.shot import CONVENTIONS

    assert set(paper._CONVENTIONS) == set(CONVENTIONS)
