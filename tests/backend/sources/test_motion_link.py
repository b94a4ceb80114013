from collections.abc import Iterable
from fractions import Fraction

import numpy as np
import pytest
from sonic4d.protocol import Sonic4DError
from sonic4d.scene.motion import Mover
from sonic4d.sources.motion_link import choose_mover, envelope, is_steady, most_typical_frame

RATE = Fraction(25)
N = 120
SAMPLES = N * 48000 // 25


def mover(centres: np.ndarray, side: float = 0.1, present: np.ndarray | None = None) -> Mover:
    """A square with its centre at (n, 2) fractions of the picture; measured as the motion analysis would (320 px wide)."""
    velocity = np.diff(centres, axis=0, prepend=centres[:1]) * 320
    turn = np.linalg.norm(np.diff(velocity, axis=0, prepend=velocity[:1]), axis=1)
    present = np.ones(len(centres), dtype=bool) if present is None else present
    boxes = np.concatenate([centres - side / 2, centres + side / 2], axis=1)
    boxes[~present] = np.nan
    speed = np.linalg.norm(velocity, axis=1)
    return Mover(boxes, speed * present, turn * present, side**2 * present)


def bouncing(period: int = 17, side: float = 0.1) -> tuple[Mover, list[int]]:
    """A ball that hits the floor every so often, and the frames of the impacts."""
    rng = np.random.default_rng(3)
    impacts, t = [], 5.0
    while t < N:
        impacts.append(round(t))
        t += period * rng.uniform(0.7, 1.3)
    edges = np.array([impacts[0] - period, *impacts, impacts[-1] + period])
    frame = np.arange(N)
    spell = np.searchsorted(edges, frame, side="right") - 1
    s = (frame - edges[spell]) / np.diff(edges)[spell]
    height = 4 * s * (1 - s) * 0.4
    return mover(np.stack([0.1 + 0.006 * frame, 0.8 - height], axis=1), side), impacts


def drifting(side: float = 0.3) -> Mover:
    """A larger thing that sways as it drifts along."""
    t = np.arange(N)
    sway = 0.03 * np.sin(t / 6) + 0.02 * np.sin(t / 2.3)
    return mover(np.stack([0.2 + 0.004 * t + sway, 0.5 + sway], axis=1), side)


def clicks(frames: Iterable[int]) -> np.ndarray:
    rng = np.random.default_rng(0)
    mono = 1e-3 * rng.standard_normal(SAMPLES)
    for frame in frames:
        start = frame * 48000 // 25
        tail = min(4000, SAMPLES - start)
        mono[start : start + tail] += np.exp(-np.arange(tail) / 800) * rng.standard_normal(tail)
    return mono


def test_the_bouncing_ball_makes_the_clicks_not_the_larger_silent_thing() -> None:
    ball, impacts = bouncing()
    choice = choose_mover([drifting(), ball], clicks(impacts), RATE)
    assert choice.mover is ball
    assert choice.found_by == "sound"
    assert "correlation" in choice.reason


def test_the_shaking_thing_makes_the_sound_that_swells_with_it() -> None:
    rng = np.random.default_rng(5)
    strength = np.interp(np.arange(N), np.arange(0, N + 9, 9), rng.random(N // 9 + 2)) ** 2
    shake = 0.02 * strength * rng.choice([-1, 1], N)
    talker = mover(np.stack([0.7 + shake, 0.5 + shake], axis=1))
    loudness = np.repeat(0.003 + 0.3 * strength, SAMPLES // N)
    mono = loudness * rng.standard_normal(SAMPLES)
    choice = choose_mover([drifting(), talker], mono, RATE)
    assert choice.mover is talker
    assert choice.found_by == "sound"


@pytest.mark.parametrize(
    ("mono", "said"),
    [
        (0.1 * np.sin(2 * np.pi * 100 * np.arange(SAMPLES) / 48000), "steady"),
        (np.zeros(SAMPLES), "silent"),
        (np.zeros(0), "silent"),
    ],
)
def test_sound_without_an_envelope_falls_back_to_the_largest_and_says_so(
    mono: np.ndarray, said: str
) -> None:
    ball, _ = bouncing()
    large = drifting()
    choice = choose_mover([ball, large], mono, RATE)
    assert choice.mover is large
    assert choice.found_by == "motion"
    assert "not by sound" in choice.reason
    assert said in choice.reason


def test_clicks_at_other_times_are_not_taken_for_a_link() -> None:
    ball, _ = bouncing()
    rng = np.random.default_rng(11)
    links = 0
    for _ in range(40):
        unrelated = clicks(np.sort(rng.choice(N, 7, replace=False)))
        links += choose_mover([ball, drifting()], unrelated, RATE).found_by == "sound"
    assert links <= 4


def test_a_lasting_thing_is_preferred_to_a_larger_brief_one() -> None:
    brief = drifting(side=0.35)
    present = np.arange(N) < 12
    brief = mover((brief.boxes[:, :2] + brief.boxes[:, 2:]) / 2, 0.35, present)
    lasting = drifting(side=0.2)
    choice = choose_mover([brief, lasting], np.zeros(SAMPLES), RATE)
    assert choice.mover is lasting


def test_one_frame() -> None:
    still = mover(np.array([[0.5, 0.5]]))
    choice = choose_mover([still], np.ones(1920), RATE)
    assert choice.mover is still
    assert choice.found_by == "motion"
    assert "too short" in choice.reason


@pytest.mark.parametrize(
    "movers", [[], [mover(np.full((N, 2), 0.5), present=np.zeros(N, dtype=bool))]]
)
def test_without_a_mover_the_user_is_told_to_mark_the_source(movers: list[Mover]) -> None:
    with pytest.raises(Sonic4DError) as failure:
        choose_mover(movers, np.ones(SAMPLES), RATE)
    assert failure.value.code == "no_mover"
    assert "--point" in failure.value.hint
    assert "--box" in failure.value.hint


def test_envelope_follows_exact_frames_and_is_silent_after_the_end() -> None:
    rate = Fraction(24000, 1001)
    mono = np.zeros(48000)
    mono[2002 * 3 : 2002 * 4] = 0.1
    level, onset = envelope(mono, 30, rate)
    assert level[3] == pytest.approx(-20)
    assert (np.delete(level, 3) == -70).all()
    assert onset[3] == pytest.approx(50)
    assert onset[4:].max() == 0


def test_steadiness_of_outlines() -> None:
    good = drifting()
    assert is_steady(good.boxes)
    jumping = good.boxes.copy()
    jumping[::7, 2:] += 0.4
    assert not is_steady(jumping)
    assert most_typical_frame(jumping) % 7 not in (0, 1, 6)
