"""What a model that hears pictures is shown of a source."""

from __future__ import annotations

import numpy as np
import pytest
from sonic4d.sources.view import SMALLEST, source_view

SIZE = (640, 360)


def boxes(count: int, side: tuple[float, float] = (0.2, 0.3)) -> np.ndarray:
    """A box that travels from the left border to the right one."""
    x = np.linspace(0.0, 1.0, count)
    half = np.array(side) / 2
    return np.column_stack(
        [x - half[0], np.full(count, 0.5 - half[1]), x + half[0], np.full(count, 0.5 + half[1])]
    )


def test_the_view_follows_the_source_and_stays_in_the_picture() -> None:
    view = source_view(boxes(50), 25.0, SIZE)
    sides = view[:, 2:] - view[:, :2]
    assert (sides == sides[0]).all()
    assert sides[0, 0] == sides[0, 1] == round(1.6 * 0.2 * 640)
    assert (view >= 0).all()
    assert (view[:, 2:] <= SIZE).all()
    centres = (view[:, 0] + view[:, 2]) / 2
    travelling = slice(15, 35)  # away from the borders
    expected = np.linspace(0, 640, 50)[travelling]
    np.testing.assert_allclose(centres[travelling], expected, atol=3)


def test_the_view_goes_on_where_the_source_is_not_seen() -> None:
    gaps = boxes(50)
    gaps[:5] = gaps[20:30] = gaps[45:] = np.nan
    whole, part = (source_view(rows, 25.0, SIZE) for rows in (boxes(50), gaps))
    np.testing.assert_allclose(part[10:40], whole[10:40], atol=12)


@pytest.mark.parametrize(
    ("side", "expected"), [((0.01, 0.01), round(SMALLEST * 360)), ((0.9, 0.95), 360)]
)
def test_tiny_and_huge_sources(side: tuple[float, float], expected: int) -> None:
    """Never a few pixels, never more than the picture."""
    view = source_view(boxes(20, side), 25.0, SIZE)
    assert (view[:, 2:] - view[:, :2] == expected).all()


def test_a_single_sight() -> None:
    alone = np.full((9, 4), np.nan)
    alone[3] = [0.4, 0.4, 0.6, 0.6]
    view = source_view(alone, 24.0, SIZE)
    assert (view == view[0]).all()
