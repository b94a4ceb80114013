"""Which steps of a trajectory are jumps, and how a shot is cut there."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.spatial.transform import Rotation
from sonic4d.acoustics.cuts import find_cuts, stretches

Array = npt.NDArray[np.float64]
FRAMES = 48


def heads(yaw_deg: Array | float = 0.0) -> Array:
    turns = np.broadcast_to(yaw_deg, FRAMES)
    return Rotation.from_euler("z", turns[:, None], degrees=True).as_matrix()


def cuts(x_m: Array, yaw_deg: Array | float = 0.0, frame_rate: float = 24) -> list[int]:
    places = np.zeros((2, FRAMES, 3))
    places[1, :, 0] = x_m
    return find_cuts(places, heads(yaw_deg), frame_rate)


FRAME = np.arange(FRAMES)


@pytest.mark.parametrize(
    "x_m",
    [
        0.0 * FRAME,
        2.0 * FRAME,  # 48 m/s: a fast train
        np.where(FRAME < 20, 0, 1.5 * (FRAME - 20)),  # starts at once, at 36 m/s
        np.sin(FRAME * 1.5),  # shakes
        0.02 * FRAME**2,
        np.where(FRAME < 20, 0, 0.3),  # a twitch
    ],
)
def test_motion_is_no_jump(x_m: Array) -> None:
    assert cuts(x_m) == []


def test_a_jump_of_a_source_is_found_at_rest_and_in_motion() -> None:
    assert cuts(np.where(FRAME < 20, 0.0, 3.0)) == [20]
    assert cuts(0.05 * FRAME + np.where(FRAME < 30, 0.0, -4.0)) == [30]
    assert cuts(np.where(FRAME < 1, 0.0, 3.0)) == [1]
    assert cuts(np.where(FRAME < FRAMES - 1, 0.0, 3.0)) == [FRAMES - 1]


def test_nearly_the_speed_of_sound_is_always_a_jump() -> None:
    assert cuts(13.0 * FRAME) == list(range(1, FRAMES))  # 312 m/s
    assert cuts(12.5 * FRAME) == []  # 300 m/s


def test_a_cut_of_the_camera_may_only_turn_it() -> None:
    assert cuts(0 * FRAME, np.where(FRAME < 10, 0, 90)) == [10]
    assert cuts(0 * FRAME, 12.0 * FRAME) == []  # 288 degrees per second
    assert cuts(0 * FRAME, 180 * (FRAME % 2)) == []  # spins


def test_one_frame_is_never_cut() -> None:
    assert find_cuts(np.zeros((2, 1, 3)), np.eye(3)[None], 24) == []


@pytest.mark.parametrize("frame_rate", [24, 1000])
@pytest.mark.parametrize("at", [[], [20], [1, 2, 3, 47]])
def test_stretches_cover_all_frames_and_their_gains_add_up_to_one(
    at: list[int], frame_rate: float
) -> None:
    found = list(stretches(at, FRAMES, frame_rate))
    frames = [frame for stretch in found for frame in range(stretch.first, stretch.last)]
    assert frames == list(range(FRAMES))
    times_s = np.linspace(-1, FRAMES / frame_rate + 1, 100_001)
    total = sum(stretch.gain(times_s) for stretch in found)
    np.testing.assert_allclose(total, 1, atol=1e-12)
    for stretch in found:
        heard_s = times_s[stretch.gain(times_s) > 0]
        assert heard_s[0] >= stretch.start_s
        assert heard_s[-1] <= stretch.end_s
