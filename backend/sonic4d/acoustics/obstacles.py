"""Obstacles as something that sound paths can be tested against: a bounding volume hierarchy of triangles and boxes.

The tree is a complete binary one over the pieces in the order of their Morton codes (Lauterbach et al., Fast BVH
construction on GPUs, 2009): node i has the children 2 i + 1 and 2 i + 2, its leaves `_LEAF` pieces each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from ..occluders import Occluder

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

_LEAF = 4
_MOST_HITS = 64  # of one leg; what is behind so many is silent enough
_STACK = 64
_SAME = 1e-7  # hits so close (of a leg's length) are one: the leg met an edge
_NEAREST_M = 0.01  # surfaces don't count nearer to the end of a path
SURFACE, SOLID, CELLS = 0, 1, 2


class Obstacles(NamedTuple):
    """`pieces` (n, 3, 3): a triangle's corners, or a box's lower and upper corner; `body` (n,): of which obstacle.

    `nodes` (k, 2, 3): bounds of the tree's nodes, of which the last `leaves` are leaves.
    Of each obstacle: `kind` (SURFACE, SOLID: a closed surface, or CELLS), `loss_db` (bodies, 8) of one pass.
    """

    pieces: Array
    body: Indices
    nodes: Array
    leaves: int
    kind: Indices
    loss_db: Array


def make_obstacles(occluders: Sequence[Occluder]) -> Obstacles | None:
    """None if there is nothing to meet."""
    parts, kinds = [], []
    for occluder in occluders:
        if occluder.kind == "triangles":
            parts.append(occluder.arrays["vertices"][occluder.arrays["faces"]])
            kinds.append(SOLID if _is_closed(occluder.arrays["faces"]) else SURFACE)
        else:
            parts.append(_boxes(occluder))
            kinds.append(CELLS)
    body = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    if not body.size:
        return None
    pieces = np.concatenate(parts)
    boxes = (np.array(kinds) == CELLS)[body]
    pieces[boxes, 2] = pieces[boxes, 1]
    order = np.argsort(_morton(pieces.mean(axis=1)), kind="stable")
    pieces, body = np.ascontiguousarray(pieces[order]), body[order]
    leaves = 1 << math.ceil(math.log2(-(-len(pieces) // _LEAF)))
    level = np.empty((leaves, 2, 3))
    level[:, 0], level[:, 1] = np.inf, -np.inf  # what has no pieces is met by nothing
    starts = np.arange(0, len(pieces), _LEAF)
    level[: len(starts), 0] = np.minimum.reduceat(pieces.min(axis=1), starts)
    level[: len(starts), 1] = np.maximum.reduceat(pieces.max(axis=1), starts)
    levels = [level]
    while len(level) > 1:
        pairs = level.reshape(-1, 2, 2, 3)
        level = np.stack((pairs[:, :, 0].min(axis=1), pairs[:, :, 1].max(axis=1)), axis=1)
        levels.append(level)
    loss_db = np.array([occluder.transmission_loss_db for occluder in occluders])
    nodes = np.concatenate(levels[::-1])
    return Obstacles(pieces, body, nodes, leaves, np.array(kinds), loss_db)


def _is_closed(faces: Indices) -> bool:
    """Whether every edge is shared by two faces."""
    edges = np.sort(np.concatenate((faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]])), axis=1)
    return bool((np.unique(edges, axis=0, return_counts=True)[1] == 2).all())


def _boxes(occluder: Occluder) -> Array:
    """Boxes (n, 3, 3) of the filled cells: those in a row along x are one."""
    size_m, origin = occluder.cell_m, np.array(occluder.origin)
    assert size_m is not None
    if occluder.kind == "points":
        cells = np.floor(occluder.arrays["points"] / size_m).astype(np.int64)
    else:
        cells = occluder.arrays["cells"]
    cells = np.unique(cells[:, ::-1], axis=0)[:, ::-1]  # by z, then y, then x
    first = np.ones(len(cells), np.bool_)
    first[1:] = (np.diff(cells, axis=0) != [1, 0, 0]).any(axis=1)
    low = cells[first]
    high = cells[np.append(first[1:], [True] * bool(len(cells)))] + 1
    return origin + size_m * np.stack((low, high, high), axis=1)


def _morton(points: Array) -> Indices:
    """Codes (n,) whose order keeps near points together: 20 bits of each coordinate in turn."""
    low, high = points.min(axis=0), points.max(axis=0)
    scaled = ((points - low) / max(float((high - low).max()), 1e-9) * 0xFFFFF).astype(np.int64)
    code = np.zeros(len(points), np.int64)
    for bit in range(20):
        for axis in range(3):
            code |= ((scaled[:, axis] >> bit) & 1) << (3 * bit + axis)
    return code


class Work(NamedTuple):
    """Room for one thread to work in."""

    stack: Indices
    hits: Array
    found: Array
    step: Array
    legs: Array


@njit(cache=True, nogil=True)
def make_work() -> Work:
    return Work(
        np.empty(_STACK, np.int64),
        np.empty((_MOST_HITS, 4)),
        np.empty(3),
        np.empty(3),
        np.empty((2, 2, 3)),
    )


@njit(cache=True, nogil=True)
def norm(v: Array) -> float:
    return math.sqrt(v[0] ** 2 + v[1] ** 2 + v[2] ** 2)


@njit(cache=True, nogil=True, error_model="numpy")
def _meets(boxes: Array, box: int, start: Array, step: Array, length: float, found: Array) -> bool:
    """Whether a leg from `start` by `step` meets a box; from where to where (0 to 1) goes to found[0], found[1], and how
    squarely it enters to found[2]."""
    if boxes[box, 0, 0] > boxes[box, 1, 0]:
        return False
    enter, leave, facing = 0.0, 1.0, 0.0
    for axis in range(3):
        low, high = boxes[box, 0, axis], boxes[box, 1, axis]
        if abs(step[axis]) < 1e-12:
            if not low <= start[axis] <= high:
                return False
            continue
        scale = 1 / step[axis]
        first = (low - start[axis]) * scale
        last = (high - start[axis]) * scale
        if first > last:
            first, last = last, first
        if first > enter:
            enter, facing = first, abs(step[axis]) / length
        leave = min(leave, last)
        if enter > leave:
            return False
    found[0], found[1], found[2] = enter, leave, facing
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _pierces(
    pieces: Array, piece: int, start: Array, step: Array, length: float, found: Array
) -> bool:
    """Whether a leg goes through a triangle (Möller and Trumbore, J. Graphics Tools 2, 1997); `found` as of `_meets`."""
    x, y, z = pieces[piece, 0, 0], pieces[piece, 0, 1], pieces[piece, 0, 2]
    ax, ay, az = pieces[piece, 1, 0] - x, pieces[piece, 1, 1] - y, pieces[piece, 1, 2] - z
    bx, by, bz = pieces[piece, 2, 0] - x, pieces[piece, 2, 1] - y, pieces[piece, 2, 2] - z
    px = step[1] * bz - step[2] * by
    py = step[2] * bx - step[0] * bz
    pz = step[0] * by - step[1] * bx
    determinant = ax * px + ay * py + az * pz
    nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    size = math.sqrt(nx * nx + ny * ny + nz * nz)
    if abs(determinant) <= 1e-12 * size * length:
        return False
    tx, ty, tz = start[0] - x, start[1] - y, start[2] - z
    u = (tx * px + ty * py + tz * pz) / determinant
    if u < -1e-9 or u > 1 + 1e-9:
        return False
    qx, qy, qz = ty * az - tz * ay, tz * ax - tx * az, tx * ay - ty * ax
    v = (step[0] * qx + step[1] * qy + step[2] * qz) / determinant
    if v < -1e-9 or u + v > 1 + 1e-9:
        return False
    where = (bx * qx + by * qy + bz * qz) / determinant
    if where < 0 or where > 1:
        return False
    found[0], found[1], found[2] = where, where, abs(determinant) / (size * length)
    return True


@njit(cache=True, nogil=True)
def _find_hits(start: Array, length: float, obstacles: Obstacles, work: Work) -> int:
    """All that a leg by `work.step` meets: rows of body, from, to, squareness, ordered by the first two, go to
    `work.hits`. Returns how many."""
    stack, hits, found, step = work.stack, work.hits, work.found, work.step
    stack[0], waiting, count = 0, 1, 0
    inner = obstacles.leaves - 1
    while waiting:
        waiting -= 1
        node = stack[waiting]
        if not _meets(obstacles.nodes, node, start, step, length, found):
            continue
        if node < inner:
            stack[waiting], stack[waiting + 1] = 2 * node + 1, 2 * node + 2
            waiting += 2
            continue
        first = (node - inner) * _LEAF
        for piece in range(first, min(first + _LEAF, len(obstacles.pieces))):
            body = obstacles.body[piece]
            if obstacles.kind[body] == CELLS:
                met = _meets(obstacles.pieces, piece, start, step, length, found)
            else:
                met = _pierces(obstacles.pieces, piece, start, step, length, found)
            if not met:
                continue
            place = count
            while place > 0 and (
                hits[place - 1, 0] > body
                or (hits[place - 1, 0] == body and hits[place - 1, 1] > found[0])
            ):
                hits[place] = hits[place - 1]
                place -= 1
            hits[place, 0] = body
            hits[place, 1], hits[place, 2], hits[place, 3] = found[0], found[1], found[2]
            count += 1
            if count == len(hits):
                return count
    return count


@njit(cache=True, nogil=True)
def meet(
    start: Array,
    end: Array,
    own_start: bool,
    own_end: bool,
    obstacles: Obstacles,
    work: Work,
    loss: Array,
    seen: Array,
) -> int:
    """Add to `loss` (8,) in dB what obstacles take from a straight leg; returns how many passes.

    own_start, own_end: whether the leg ends there at a source or listener. `seen`: where along the leg (0 to 1) the first and
    the last pass are, and how squarely the first surface is met (0 to 1); unchanged if there is none.
    """
    for i in range(3):
        work.step[i] = end[i] - start[i]
    length = norm(work.step)
    if length < 1e-9:
        return 0
    hits, kind = work.hits, obstacles.kind
    count = _find_hits(start, length, obstacles, work)
    near = _NEAREST_M / length
    passes, row = 0, 0
    first, last = 2.0, -1.0
    while row < count:
        which = int(hits[row, 0])
        times = 0
        while row < count and hits[row, 0] == which:
            enter, leave, facing = hits[row, 1], hits[row, 2], hits[row, 3]
            row += 1
            while row < count and hits[row, 0] == which and hits[row, 1] <= leave + _SAME:
                leave = max(leave, hits[row, 2])
                row += 1
            if kind[which] == CELLS:
                own = (own_start and enter <= 0) or (own_end and leave >= 1)
            else:
                own = (own_start and enter < near) or (own_end and leave > 1 - near)
            if own:
                continue
            times += 1
            if enter < first:
                first = enter
                seen[2] = facing
            last = max(last, leave)
        if kind[which] == SOLID:
            times = (times + 1) // 2
        passes += times
        for octave in range(len(loss)):
            loss[octave] += times * obstacles.loss_db[which, octave]
    if passes:
        seen[0], seen[1] = first, last
    return passes
