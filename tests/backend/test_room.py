"""The acoustic room: its coordinates, its growth, and fitting it to a scene."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sonic4d.protocol import Sonic4DError
from sonic4d.room import MARGIN_M, Room, fit_room

ROOM = Room("shoebox", (1.0, 2.0, 1.5), (4.0, 6.0, 3.0), 0.0, 0.5)


def test_local_coordinates_count_from_a_corner() -> None:
    np.testing.assert_allclose(ROOM.to_local(np.array([-1.0, -1.0, 0.0])), [0, 0, 0])
    np.testing.assert_allclose(ROOM.to_local(np.array(ROOM.center)), [2, 3, 1.5])


def test_a_turned_room() -> None:
    """Turned a quarter to the left: the room's x axis points along the world's y."""
    turned = Room("shoebox", (0.0, 0.0, 0.0), (4.0, 6.0, 2.0), 90.0, 0.5)
    np.testing.assert_allclose(turned.to_local(np.array([0.0, 1.0, 0.0])), [3, 3, 1])
    np.testing.assert_allclose(turned.to_local(np.array([-1.0, 0.0, 0.0])), [2, 4, 1])


@given(
    st.floats(-180, 180),
    st.lists(st.tuples(*[st.floats(-50, 50)] * 3), min_size=1, max_size=8),
)
def test_a_grown_room_contains_all_it_should(
    yaw_deg: float, points: list[tuple[float, float, float]]
) -> None:
    room = Room("shoebox", (1.0, 2.0, 1.5), (4.0, 6.0, 3.0), yaw_deg, 0.5)
    grown = room.containing(np.array(points))
    local = grown.to_local(np.array(points))
    assert (local >= MARGIN_M - 1e-6).all()
    assert (local <= np.array(grown.size) - MARGIN_M + 1e-6).all()
    # The old walls still lie inside.
    corners = np.array(np.meshgrid(*[[-0.5, 0.5]] * 3)).reshape(3, -1).T * room.size
    turn = math.radians(yaw_deg)
    c, s = math.cos(turn), math.sin(turn)
    world = corners @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]) + room.center
    old = grown.to_local(world)
    assert (old >= -1e-6).all()
    assert (old <= np.array(grown.size) + 1e-6).all()


def test_a_room_that_is_large_enough_stays() -> None:
    assert ROOM.containing(np.array([[1.0, 2.0, 1.5]])) is ROOM


def scene(seed: int = 0) -> np.ndarray:
    """A hall of 8 x 12 x 4 m: floor at -1.6 m, walls, and a few stray points far away."""
    rng = np.random.default_rng(seed)
    points = rng.uniform((-4, 0, -1.6), (4, 12, 2.4), (20_000, 3))
    points[:8000, 2] = -1.6
    points[-40:] = rng.uniform(-500, 500, (40, 3))
    return points


def test_fits_the_bulk_and_ignores_strays() -> None:
    room = fit_room(scene(), np.array([[0.0, 6.0, 0.0]]), 0.4)
    assert room.kind == "shoebox"
    assert room.rt60_s == 0.4
    np.testing.assert_allclose(room.size, [8, 12, 4], rtol=0.06)
    assert room.center[2] - room.size[2] / 2 == pytest.approx(-1.6, abs=0.02)


def test_contains_the_trajectories_with_a_margin() -> None:
    path = np.array([[0.0, 6.0, 0.0], [9.0, 6.0, 0.0], [0.0, -3.0, 5.0]])
    room = fit_room(scene(), path, 0.5)
    local = room.to_local(path)
    assert (local >= MARGIN_M - 1e-9).all()
    assert (local <= np.array(room.size) - MARGIN_M + 1e-9).all()


def test_a_single_point_gets_a_room() -> None:
    room = fit_room(np.zeros((1, 3)), np.zeros((1, 3)), 0.5)
    assert min(room.size) >= 1


def test_json_round_trip() -> None:
    assert Room.from_json(ROOM.to_json(), "room") == ROOM


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kind", "cave"),
        ("center", [0, 0]),
        ("center", [0, 0, math.nan]),
        ("size", [1, 1, 0.01]),
        ("size", [-1, 1, 1]),
        ("size", [1, 1, 5000]),
        ("yaw_deg", "90"),
        ("rt60_s", -1),
        ("rt60_s", math.inf),
        ("materials", {"floor": "wood"}),
    ],
)
def test_nonsense_is_named(key: str, value: object) -> None:
    with pytest.raises(Sonic4DError, match=f"room.{key}"):
        Room.from_json({**ROOM.to_json(), key: value}, "room")
