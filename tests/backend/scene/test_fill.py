"""The novel view without a model, against a scene whose hidden side is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import wall_scene
from sonic4d.geometry.cameras import LOOKING_NORTH
from sonic4d.geometry.pointcloud import lift
from sonic4d.monitor import SILENT, Cancelled, Monitor
from sonic4d.scene.depth import Points
from sonic4d.scene.fill import fill_holes
from sonic4d.scene.novel_view import View

COUNT = 9
K = wall_scene.lens()


def never(_indices: Sequence[int]) -> npt.NDArray[np.uint8]:
    raise AssertionError("filling needs no video")


def cloud(frame: int) -> Points:
    return lift(*wall_scene.filmed(K, frame, COUNT), K, LOOKING_NORTH)


def view(metres: float) -> View:
    poses = wall_scene.moved_right(metres, COUNT)
    return View(K, poses, np.arange(COUNT), cloud, None, None, never)


def filled(view: View) -> npt.NDArray[np.uint8]:
    return np.stack(list(fill_holes(view, SILENT)))


def off(pictures: npt.NDArray[np.uint8], view: View, where: npt.NDArray[np.bool_]) -> float:
    """Mean difference from the wall, in grey levels, of the pixels `where`."""
    truth = np.stack([wall_scene.wall(K, pose)[0] for pose in view.poses])
    return float(np.abs(pictures.astype(int) - truth)[where].mean())


def hidden(view: View) -> npt.NDArray[np.bool_]:
    """Holes behind the board: parts of the wall that other frames saw."""
    holes = np.stack([~view.render(frame).valid for frame in range(COUNT)])
    holes[:, :, K.width * 3 // 4 :] = False
    holes[:, :8] = holes[:, -8:] = False
    return holes


def test_what_other_frames_saw_closes_the_holes_behind_what_passes_by() -> None:
    shot = view(0.8)
    where = hidden(shot)
    assert where.sum() > 500
    pictures = filled(shot)
    assert pictures.shape == (COUNT, K.height, K.width, 3)
    assert off(pictures, shot, where) < 6
    alone = replace(
        shot, shown=np.full(COUNT, 4)
    )  # a scene that stands still: nobody saw behind it
    assert off(filled(alone), alone, hidden(alone)) > 12


def test_what_the_render_shows_stays_as_it_is() -> None:
    shot = view(0.8)
    for frame, picture in enumerate(filled(shot)):
        render = shot.render(frame)
        assert (picture[render.valid] == render.image[render.valid]).all()


def test_made_up_points_of_the_scene_come_before_continuing() -> None:
    plate, depth = wall_scene.wall(K, LOOKING_NORTH)
    seen = lift(plate, depth, K, LOOKING_NORTH, mask=np.arange(K.width)[None].repeat(64, 0) < 40)
    rest = replace(
        lift(plate, depth, K, LOOKING_NORTH), synthetic=np.ones(K.width * K.height, bool)
    )
    nothing = replace(rest, **{name: values[:0] for name, values in vars(rest).items()})
    poses = wall_scene.moved_right(0.0, 3)
    shot = View(K, poses, np.arange(3), lambda _frame: nothing, seen, rest, never)
    assert (~shot.render(0).valid).mean() > 0.5
    assert (filled(shot) == plate).all()


def test_what_is_continued_stays_in_its_place() -> None:
    """At the border, where the video never looked: no flicker while the camera stands."""
    poses = np.repeat(wall_scene.moved_right(1.0, 2)[1:], COUNT, 0)
    pictures = filled(replace(view(0.0), poses=poses, shown=np.full(COUNT, 4)))
    assert (pictures == pictures[:1]).all()
    border = pictures[0, :, -6:].astype(int)
    truth = wall_scene.wall(K, poses[0])[0][:, -6:]
    assert np.abs(border - truth).mean() < 60
    assert border.std() > 5


def test_a_scene_without_points_is_black() -> None:
    nothing = replace(cloud(0), **{name: values[:0] for name, values in vars(cloud(0)).items()})
    assert not filled(replace(view(0.5), cloud=lambda _frame: nothing)).any()


def test_it_stops_when_asked() -> None:
    calls = 0

    def stop() -> bool:
        nonlocal calls
        calls += 1
        return calls > 5

    with pytest.raises(Cancelled):
        list(fill_holes(view(0.8), Monitor(lambda event: None, stop)))
