import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sonic4d.geometry.cameras import LOOKING_NORTH, Intrinsics, pitched
from sonic4d.protocol import Sonic4DError
from sonic4d.sources.trajectory import box_pixel, outliers, patch_position, trajectory

K = Intrinsics(8, 6, 10.0, 10.0, 4.0, 3.0)
RESOLUTION_M = 0.1  # 2 % of 5 m


def north(n: int) -> np.ndarray:
    return np.tile(LOOKING_NORTH, (n, 1, 1))


def test_equation_3_takes_the_floor_of_the_box_centre() -> None:
    # (0.30 + 0.49) / 2 * 8 = 3.16, (0.1 + 0.8) / 2 * 6 = 2.7
    assert box_pixel(np.array([0.30, 0.1, 0.49, 0.8]), 8, 6) == (3, 2)


@pytest.mark.parametrize("box", [[np.nan] * 4, [0.9, 0.2, 1.3, 0.4], [-0.3, 0.2, 0.1, 0.4]])
def test_no_pixel_where_the_centre_is_absent_or_outside(box: list[float]) -> None:
    assert box_pixel(np.array(box), 8, 6) is None


def test_equation_4_by_hand() -> None:
    # Pixel (6, 1), centre (6.5, 1.5), depth 2 m: right (6.5 - 4) / 10 * 2, up (3 - 1.5) / 10 * 2, forward 2.
    depth = np.full((6, 8), 9.0)
    depth[1, 6] = 2.0
    position = patch_position(6, 1, depth, K, LOOKING_NORTH, patch=1)
    assert position == pytest.approx([0.5, 2.0, 0.3])


def test_equation_5_averages_points_not_depths() -> None:
    # 3 x 3 patch around (3, 2): the centre at 5 m, the pixel right of it at 2 m, the others unknown.
    depth = np.full((6, 8), np.nan)
    depth[2, 3], depth[2, 4] = 5.0, 2.0
    position = patch_position(3, 2, depth, K, LOOKING_NORTH, patch=3)
    first, second = np.array([-0.25, 5.0, 0.25]), np.array([0.1, 2.0, 0.1])
    assert position == pytest.approx((first + second) / 2)


def test_patch_is_clipped_at_the_border_and_skips_what_is_no_depth() -> None:
    depth = np.full((6, 8), 3.0)
    depth[0, 0], depth[0, 1], depth[1, 0] = np.inf, -4.0, 0.0
    position = patch_position(0, 0, depth, K, LOOKING_NORTH, patch=3)
    assert position == pytest.approx([(1.5 - 4) / 10 * 3, 3.0, (3 - 1.5) / 10 * 3])


def test_pose_of_the_camera_is_applied() -> None:
    camera = pitched(90)  # looks straight up
    camera[:3, 3] = [1, 2, 3]
    depth = np.full((6, 8), 2.0)
    position = patch_position(4, 3, depth, K, camera, patch=1)
    assert position == pytest.approx([1 + 0.1, 2 + 0.1, 3 + 2.0])


def test_depth_maps_of_another_size_than_the_picture() -> None:
    boxes = np.array([[0.4, 0.4, 0.6, 0.6]])
    small = trajectory(boxes, np.full((1, 6, 8), 4.0), K, north(1))
    large = trajectory(boxes, np.full((1, 60, 80), 4.0), K, north(1))
    assert small.positions[0] == pytest.approx(large.positions[0], abs=0.2)
    assert large.positions[0, 1] == pytest.approx(4.0)


def test_gaps_are_interpolated_and_ends_held() -> None:
    n = 9
    boxes = np.tile([0.4, 0.4, 0.6, 0.6], (n, 1))
    boxes[[0, 4, 5, 8]] = np.nan
    depth = np.full((n, 6, 8), 2.0) + np.arange(n)[:, None, None] * 0.1
    track = trajectory(boxes, depth, K, north(n))
    assert track.filled.tolist() == [True, *[False] * 3, True, True, False, False, True]
    assert np.isnan(track.raw_positions[track.filled]).all()
    assert track.positions[:, 1] == pytest.approx([2.1, 2.1, 2.2, 2.3, 2.4, 2.5, 2.6, 2.7, 2.7])


def test_a_wrong_depth_is_replaced_and_kept_in_the_raw_track() -> None:
    n = 30
    boxes = np.tile([0.4, 0.4, 0.6, 0.6], (n, 1))
    depth = np.full((n, 6, 8), 5.0)
    depth[[0, 12, 13]] = 30.0
    track = trajectory(boxes, depth, K, north(n))
    assert np.flatnonzero(track.filled).tolist() == [0, 12, 13]
    assert track.positions[:, 1] == pytest.approx(5.0)
    assert track.raw_positions[12, 1] == pytest.approx(30.0)


@pytest.mark.parametrize("depth", [np.nan, 0.0, -2.0, np.inf])
def test_without_any_observation_the_user_is_told(depth: float) -> None:
    boxes = np.array([[0.4, 0.4, 0.6, 0.6]] * 3)
    with pytest.raises(Sonic4DError) as failure:
        trajectory(boxes, np.full((3, 6, 8), depth), K, north(3))
    assert failure.value.code == "source_not_seen"
    assert "--point" in failure.value.hint


@pytest.mark.parametrize(
    "option", [{"patch": 4}, {"patch": 0}, {"eps": 0.0}, {"eps": np.nan}, {"min_samples": 0}]
)
def test_bad_options(option: dict) -> None:
    with pytest.raises(Sonic4DError):
        trajectory(np.full((1, 4), 0.5), np.ones((1, 6, 8)), K, north(1), **option)


@given(
    st.lists(st.sampled_from([np.nan, np.inf, -np.inf, -3.0, 0.0, 1e-3, 2.0, 500.0]), min_size=48),
    st.tuples(st.floats(0, 0.99), st.floats(0, 0.99)),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_the_source_is_never_at_or_behind_the_camera(
    depths: list[float], corner: tuple[float, float]
) -> None:
    depth = np.resize(np.array(depths), (1, 6, 8))
    box = np.array([[*corner, *corner]])
    try:
        track = trajectory(box, depth, K, north(1))
    except Sonic4DError:
        return
    assert (track.positions[:, 1] > 0).all()
    assert np.isfinite(track.positions).all()


def _eased(n: int, x: float) -> np.ndarray:
    s = np.linspace(0, 1, n)
    return x * (3 * s**2 - 2 * s**3)


@st.composite
def clean_tracks(draw: st.DrawFn) -> np.ndarray:
    """Still, slow, fast, curved, accelerating, resting-then-moving paths, with and without jitter; 1 frame to some hundred."""
    n = draw(st.sampled_from([1, 2, 3, 5, 8, 20, 47, 132, 260]))
    t = np.arange(n)
    speed = draw(st.sampled_from([0.0, 0.001, 0.02, 0.3, 2.0]))
    kind = draw(
        st.sampled_from(
            ["line", "circle", "eased", "bounce", "rest_then_go"][: 5 if n >= 20 else 4]
        )
    )
    if kind == "line":
        path = np.stack([speed * t, 5 + 0.3 * speed * t, 0 * t], axis=1)
    elif kind == "circle":
        angle = t * draw(st.floats(0.01, 0.25))
        path = np.stack([speed * 10 * np.cos(angle), 20 + speed * 10 * np.sin(angle), 0 * t], 1)
    elif kind == "eased":
        path = np.stack([_eased(n, speed * n), 5 + 0.0 * t, 0 * t], axis=1)
    elif kind == "rest_then_go":
        path = np.stack([speed * np.maximum(t - 0.6 * n, 0), 5 + 0.0 * t, 0 * t], axis=1)
    else:
        path = np.stack([0.02 * t, 5 + 0.0 * t, np.abs(np.sin(t * 0.15))], axis=1)
    jitter = draw(st.sampled_from([0.0, 0.0, 0.02, 0.15]))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    return path + jitter * rng.uniform(-1, 1, path.shape)


@given(clean_tracks())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_clean_tracks_are_left_alone(path: np.ndarray) -> None:
    assert not outliers(path, np.arange(len(path)), RESOLUTION_M).any()


@given(clean_tracks().filter(lambda path: len(path) >= 20), st.data())
@settings(max_examples=80, deadline=None, derandomize=True)
def test_planted_outliers_are_removed_and_nothing_else(
    path: np.ndarray, data: st.DataObject
) -> None:
    n = len(path)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    longest = int(np.clip(n // 20, 3, 6)) - 1
    planted = np.zeros(n, dtype=bool)
    start = data.draw(st.sampled_from([0, 2 * longest, n // 2]))
    while start < n - 3 * longest:
        planted[start : start + data.draw(st.integers(1, longest))] = True
        start += 4 * longest + data.draw(st.integers(0, n // 3))
    if not planted[-2 * longest :].any():
        planted[n - data.draw(st.integers(0, longest)) :] = True
    # Farther off than the whole path is long, each spell in a direction of its own.
    extent = np.ptp(path, axis=0).max() + 2.0
    dirty = path.copy()
    spell = np.cumsum(np.diff(planted.astype(int), prepend=0) > 0)
    for i in np.unique(spell[planted]):
        direction = rng.standard_normal(3)
        members = planted & (spell == i)
        offset = direction / np.linalg.norm(direction) * extent * rng.uniform(8, 20)
        dirty[members] += offset + 0.01 * rng.standard_normal((members.sum(), 3))
    assert outliers(dirty, np.arange(n), RESOLUTION_M).tolist() == planted.tolist()


def test_the_same_wrong_place_again_and_again_is_still_wrong() -> None:
    path = np.stack([0.05 * np.arange(100), np.full(100, 5.0), np.zeros(100)], axis=1)
    wrong = np.arange(5, 100, 9)
    path[wrong] = [2.0, 25.0, 1.0]
    assert np.flatnonzero(outliers(path, np.arange(100), RESOLUTION_M)).tolist() == wrong.tolist()


def test_both_sides_of_a_long_gap_are_kept() -> None:
    frames = np.concatenate([np.arange(0, 30), np.arange(70, 100)])
    path = np.stack([0.2 * frames, np.full(60, 5.0), np.zeros(60)], axis=1)
    assert not outliers(path, frames, RESOLUTION_M).any()


def test_options_override_the_rule() -> None:
    path = np.zeros((40, 3))
    path[20] = 0.5
    frames = np.arange(40)
    assert outliers(path, frames, RESOLUTION_M)[20]
    assert not outliers(path, frames, RESOLUTION_M, eps=2.0)[20]
    assert not outliers(path, frames, RESOLUTION_M, min_samples=1).any()
