"""The novel view without any model: what other frames saw fills the holes of a render, then what can be continued.

It invents nothing: where the video never looked, colours are drawn out smoothly (see `plate.inpainted`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ..geometry.cameras import back_project
from ..geometry.splat import Picture, splat
from ..monitor import Monitor
from .depth import Points
from .novel_view import Frame, View
from .plate import inpainted

OTHER_FRAMES = 8  # spread over the scene: each may show what another one hides
BEHIND = 0.75  # of the depths that other frames give for a pixel, in ascending order: behind whatever passed by
KEY_FRAMES = 12  # of the shot: what is made up there stays where it is in the scene, so that it doesn't flicker
NEARER = 0.9  # what is nearer than this share of the depth around is not continued into a hole
REACH_PX = 15
WORKING_WIDTH_PX = 640  # holes are continued at this size at most: finer, it takes seconds a picture and shows no more

Mask = npt.NDArray[np.bool_]


def fill_holes(view: View, monitor: Monitor) -> Iterator[Frame]:
    """One picture of the view's size for each frame of the shot. Every pixel of the render that shows a point stays as it is."""
    filler = _Filler(view, _other_frames(view, monitor), [])
    keys = np.unique(np.linspace(0, view.frame_count - 1, KEY_FRAMES).round().astype(int))
    openings = []
    for done, frame in enumerate(keys, 1):
        openings.append(filler.layered(int(frame)).valid.mean())
        monitor.progress("holes", done, len(keys))
    for done, key in enumerate(
        np.argsort(openings), 1
    ):  # the widest holes first: the others are part of them
        filler.remember(int(keys[key]))
        monitor.progress("continue", done, len(keys))
    for frame in range(view.frame_count):
        monitor.check()
        yield filler.finished(frame)


def _other_frames(view: View, monitor: Monitor) -> list[Points]:
    """The scene's frames to look into. A scene with a background has been looked through already: that is what it is."""
    if view.background is not None:
        return []
    clouds = []
    for index in np.unique(np.linspace(view.shown.min(), view.shown.max(), OTHER_FRAMES).round()):
        clouds.append(view.cloud(int(index)))
        monitor.check()
    return clouds


@dataclass
class _Filler:
    """`others`: points of other frames; `memory`: points that were made up, by the frame that made them up."""

    view: View
    others: list[Points]
    memory: list[Points]

    def layered(self, frame: int) -> Picture:
        """The render, its holes filled by what was seen at other times, then by the scene's made-up points, then memory."""
        picture = self.view.render(frame)
        if not picture.valid.all() and self.others:
            picture = _over(picture, self._behind(frame, ~picture.valid))
        if self.view.made_up is not None and not picture.valid.all():
            picture = _over(picture, self._splat([self.view.made_up], frame))
        if self.memory and not picture.valid.all():
            picture = _over(picture, self._splat(self.memory, frame))
        return picture

    def remember(self, frame: int) -> None:
        """Make up what is still missing in a frame and keep it as points of the scene."""
        picture = self.layered(frame)
        hole = ~picture.valid
        if not hole.any() or hole.all():
            return
        complete = _continued(picture)
        row, column = np.nonzero(hole)
        lens, depth_m = self.view.lens, complete.depth_m[hole]
        xyz = back_project(column + 0.5, row + 0.5, depth_m, lens, self.view.poses[frame])
        ones = np.ones(len(row), np.float32)
        self.memory.append(
            Points(
                xyz.astype(np.float32),
                complete.image[hole],
                ones * 0,
                depth_m / np.float32(2 * lens.fx),
                ones > 0,
            )
        )

    def finished(self, frame: int) -> Frame:
        picture = self.layered(frame)
        return picture.image if picture.valid.all() else _continued(picture).image

    def _splat(self, layers: list[Points], frame: int) -> Picture:
        return splat(layers, self.view.lens, self.view.poses[frame])

    def _behind(self, frame: int, hole: Mask) -> Picture:
        """What the other frames saw in the hole, where something lies behind whatever passed by."""
        depths, colours = [], []
        for cloud in self.others:
            picture = self._splat([cloud], frame)
            depths.append(picture.depth_m[hole])
            colours.append(picture.image[hole])
        depth, colour = np.stack(depths), np.stack(colours)
        order = np.argsort(depth, axis=0)
        count = np.isfinite(depth).sum(axis=0)
        rank = np.maximum(np.ceil(count * BEHIND).astype(int) - 1, 0)
        chosen = np.take_along_axis(order, rank[None], axis=0)
        image = np.zeros((*hole.shape, 3), np.uint8)
        depth_m = np.full(hole.shape, np.inf, np.float32)
        image[hole] = np.take_along_axis(colour, chosen[..., None], axis=0)[0]
        depth_m[hole] = np.take_along_axis(depth, chosen, axis=0)[0]
        return Picture(image, np.isfinite(depth_m), depth_m)


def _over(front: Picture, back: Picture) -> Picture:
    """`front`, and `back` where it has holes."""
    return Picture(
        np.where(front.valid[..., None], front.image, back.image),
        front.valid | back.valid,
        np.where(front.valid, front.depth_m, back.depth_m),
    )


def _continued(picture: Picture) -> Picture:
    """Holes filled by the colours and depths around them, of what lies behind rather than of what stands in front."""
    if not picture.valid.any():
        return Picture(picture.image, ~picture.valid, np.ones_like(picture.depth_m))
    near_hole = cv2.dilate((~picture.valid).astype(np.uint8), np.ones((REACH_PX, REACH_PX)))
    known_m = np.where(picture.valid, picture.depth_m, 0)
    around_m = cv2.dilate(known_m, np.ones((2 * REACH_PX + 1, 2 * REACH_PX + 1)))
    in_front = (near_hole > 0) & (known_m < NEARER * around_m)
    unknown = (~picture.valid | in_front).astype(np.uint8)
    if unknown.all():
        unknown = (~picture.valid).astype(np.uint8)
    hole = ~picture.valid
    image = np.where(hole[..., None], _drawn_out(picture.image, unknown), picture.image)
    inverse = np.where(picture.valid, 1 / np.maximum(picture.depth_m, 1e-6), 0).astype(np.float32)
    scale = 65535 / max(float(inverse.max()), 1e-9)
    levels = (inverse * scale).astype(np.uint16)
    depth = scale / np.maximum(cv2.inpaint(levels, unknown, 3, cv2.INPAINT_TELEA), 1)
    return Picture(
        image, np.ones_like(hole), np.where(hole, depth, picture.depth_m).astype(np.float32)
    )


def _drawn_out(image: Frame, unknown: npt.NDArray[np.uint8]) -> Frame:
    height, width = unknown.shape
    if width <= WORKING_WIDTH_PX:
        return inpainted(image, unknown)
    size = (WORKING_WIDTH_PX, max(1, round(height * WORKING_WIDTH_PX / width)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    # A pixel that is only partly known would carry the black of the hole.
    gap = cv2.resize(unknown * 255, size, interpolation=cv2.INTER_AREA)
    return cv2.resize(inpainted(small, (gap > 0).astype(np.uint8)), (width, height))
