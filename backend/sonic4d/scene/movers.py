"""Moving things followed through a shot: mask pieces linked over time, and how they move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .flow import Map
from .plate import Mask

Labels = npt.NDArray[np.uint8]  # (n, h, w): 0 for nothing, k for the mover with index k - 1

MIN_OVERLAP = 0.3
BRIDGED_FRAMES = 8
MIN_FRAMES = 5
MAX_MOVERS = 254
BULK = 0.4


@dataclass(frozen=True)
class Mover:
    """One moving thing over the n frames of a shot.

    boxes: (n, 4) x0, y0, x1, y1 in 0..1 of the original picture around its bulk, rows of NaN where it is absent.
    speed_px: (n,) mean flow against the camera inside the mask, in pixels per frame of a picture whose
    longer side is 320. turn_px: (n,) by how much the mean flow vector changed since the last frame.
    area: (n,) its share of the picture. The last three are 0 where it is absent.
    """

    boxes: npt.NDArray[np.float64]
    speed_px: npt.NDArray[np.float64]
    turn_px: npt.NDArray[np.float64]
    area: npt.NDArray[np.float64]


def linked(masks: Mask, tick: Callable[[], None]) -> Labels:
    """Number the pieces of masks (n, h, w) so that a thing keeps its number; the one with most pixels is 1.

    Pieces belong together if they overlap; the older track wins where two merge, gaps of 8 frames are
    bridged, tracks shorter than 5 frames (or the shot) are dropped.
    """
    count = len(masks)
    tracks = np.zeros(masks.shape, np.uint16)
    seen: dict[int, list[int]] = {}
    areas: dict[int, int] = {}
    memory = np.zeros(masks.shape[1:], np.int64)  # who was last seen at a pixel
    for t, mask in enumerate(masks):
        found, pieces, stats, _ = cv2.connectedComponentsWithStats(mask)
        for track, frames in seen.items():
            if frames[-1] == t - BRIDGED_FRAMES - 1:
                memory[memory == track] = 0
        taken: dict[int, int] = {}
        for piece in sorted(range(1, found), key=lambda i: -stats[i, cv2.CC_STAT_AREA]):
            overlap = np.bincount(memory[pieces == piece], minlength=1)
            overlap[0] = 0
            area = int(stats[piece, cv2.CC_STAT_AREA])
            best = None
            for track in np.flatnonzero(overlap):
                share = overlap[track] / min(area, areas[track])
                rank = (len(seen[track]) // 10, share)
                if share > MIN_OVERLAP and track not in taken and (not best or rank > best[0]):
                    best = rank, int(track)
            track = best[1] if best else len(seen) + 1
            if track <= np.iinfo(np.uint16).max:
                taken[track] = piece
                seen.setdefault(track, []).append(t)
                areas[track] = area
        for track in taken:
            memory[memory == track] = 0
        for track, piece in taken.items():
            inside = pieces == piece
            memory[inside] = track
            tracks[t][inside] = track
        tick()
    totals = np.bincount(tracks.ravel(), minlength=len(seen) + 1)
    lasting = [k for k, frames in seen.items() if len(frames) >= min(MIN_FRAMES, count)]
    lasting = sorted(lasting, key=lambda k: -totals[k])[:MAX_MOVERS]
    number = np.zeros(len(seen) + 1, np.uint8)
    number[lasting] = np.arange(1, len(lasting) + 1)
    return number[tracks]


def measure(
    labels: Labels,
    to_reference: npt.NDArray[np.float64],
    against_camera: Map,
    tick: Callable[[], None],
) -> tuple[Mover, ...]:
    """The movers of stabilised labels (n, h, w).

    to_reference: (n, 3, 3) homographies original -> stabilised picture, pixels of the labels;
    against_camera: (n, h', w', 2) flow at every frame without the camera's share.
    """
    count, height, width = labels.shape
    movers = int(labels.max(initial=0))
    boxes = np.full((movers, count, 4), np.nan)
    speed, turn, area = (np.zeros((movers, count)) for _ in range(3))
    velocity = np.full((movers + 1, count, 2), np.nan)
    for t in range(count):
        original = in_original_picture(labels[t], to_reference[t])
        boxes[:, t] = bulk_boxes(original, movers) / [width, height, width, height]
        area[:, t] = np.bincount(original.ravel(), minlength=movers + 1)[1:] / original.size
        flow = against_camera[t]
        small = cv2.resize(labels[t], flow.shape[1::-1], interpolation=cv2.INTER_NEAREST).ravel()
        pixels = np.bincount(small, minlength=movers + 1)
        sums = [
            np.bincount(small, values.ravel(), minlength=movers + 1)
            for values in (np.hypot(flow[..., 0], flow[..., 1]), flow[..., 0], flow[..., 1])
        ]
        means = np.stack(sums) / np.where(pixels > 0, pixels, np.nan)
        speed[:, t] = np.nan_to_num(means[0, 1:])
        velocity[:, t] = means[1:].T
        tick()
    change = np.linalg.norm(np.diff(velocity[1:], axis=1), axis=2)
    turn[:, 1:] = np.nan_to_num(change)
    absent = np.isnan(boxes[..., 0])
    speed[absent] = 0
    turn[absent] = 0
    return tuple(Mover(boxes[k], speed[k], turn[k], area[k]) for k in range(movers))


def pixel_boxes(labels: npt.NDArray[np.uint8], movers: int) -> npt.NDArray[np.float64]:
    """(movers, 4) x0, y0, x1, y1 in pixels of labels (h, w); NaN where a mover is absent."""
    boxes = np.full((movers, 4), np.nan)
    for box, where in zip(boxes, ndimage.find_objects(labels, max_label=movers), strict=True):
        if where is not None:
            rows, columns = where
            box[:] = columns.start, rows.start, columns.stop, rows.stop
    return boxes


def bulk_boxes(labels: npt.NDArray[np.uint8], movers: int) -> npt.NDArray[np.float64]:
    """As `pixel_boxes`, around the bulk of each mover: thin parts that stick out, such as a shadow on the ground, would pull
    the middle of the box off the thing."""
    boxes = pixel_boxes(labels, movers)
    for k in np.flatnonzero(np.isfinite(boxes).all(axis=1)):
        x0, y0, x1, y1 = boxes[k].astype(int)
        mask = labels[y0:y1, x0:x1] == k + 1
        left, right = _bulk(mask.sum(axis=0))
        top, bottom = _bulk(mask[:, left:right].sum(axis=1))
        boxes[k] = x0 + left, y0 + top, x0 + right, y0 + bottom
    return boxes


def _bulk(extent: npt.NDArray[np.intp]) -> tuple[int, int]:
    """First and end of the lines of a mask that have at least `BULK` of the longest one's pixels."""
    thick = np.flatnonzero(extent >= BULK * extent.max())
    return int(thick[0]), int(thick[-1]) + 1


def in_original_picture(labels: Labels, to_reference: npt.NDArray[np.float64]) -> Labels:
    """Stabilised labels (h, w) of one frame, as they lie in the frame itself."""
    height, width = labels.shape
    return cv2.warpPerspective(
        labels, to_reference, (width, height), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    )
