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

from ..compiled import njit
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
    level[:] = pieces[-1, 0]  # leaves without pieces are points, which hardly anything meets
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
    high = cells[np.append(first[1:], np.True_)[: len(cells)]] + 1
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
    """Room to work in. `leg` (4, 3): where a leg starts, its step, 1 / step, and its length."""

    stack: Indices
    hits: Array
    found: Array
    leg: Array
    legs: Array


@njit(nogil=True)
def make_work() -> Work:
    return Work(
        np.empty(_STACK, np.int64),
        np.empty((_MOST_HITS, 4)),
        np.empty(3),
        np.empty((4, 3)),
        np.empty((2, 2, 3)),
    )


@njit(nogil=True, error_model="numpy", inline="always")
def _meets(boxes: Array, box: int, leg: Array, found: Array, margin: float = 0.0) -> bool:
    """Whether a leg (see `Work`) meets a box, larger by a margin all around; from where to where (0 to 1) goes to found[0], found[1], and the axis of the
    face that it enters by to found[2]."""
    enter, leave, face = 0.0, 1.0, -1
    for axis in range(3):
        first = (boxes[box, 0, axis] - margin - leg[0, axis]) * leg[2, axis]
        last = (boxes[box, 1, axis] + margin - leg[0, axis]) * leg[2, axis]
        if first > last:
            first, last = last, first
        if first > enter:
            enter, face = first, axis
        leave = min(leave, last)
    found[0], found[1], found[2] = enter, leave, face
    return enter <= leave


@njit(nogil=True, error_model="numpy")
def _pierces(pieces: Array, piece: int, leg: Array, found: Array) -> bool:
    """Whether a leg goes through a triangle (Möller and Trumbore, J. Graphics Tools 2, 1997): where, twice, and how squarely
    go to `found`."""
    sx, sy, sz, length = leg[1, 0], leg[1, 1], leg[1, 2], leg[3, 0]
    x, y, z = pieces[piece, 0, 0], pieces[piece, 0, 1], pieces[piece, 0, 2]
    ax, ay, az = pieces[piece, 1, 0] - x, pieces[piece, 1, 1] - y, pieces[piece, 1, 2] - z
    bx, by, bz = pieces[piece, 2, 0] - x, pieces[piece, 2, 1] - y, pieces[piece, 2, 2] - z
    px = sy * bz - sz * by
    py = sz * bx - sx * bz
    pz = sx * by - sy * bx
    determinant = ax * px + ay * py + az * pz
    nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    size = math.sqrt(nx * nx + ny * ny + nz * nz)
    if abs(determinant) <= 1e-12 * size * length:
        return False
    tx, ty, tz = leg[0, 0] - x, leg[0, 1] - y, leg[0, 2] - z
    u = (tx * px + ty * py + tz * pz) / determinant
    if u < -1e-9 or u > 1 + 1e-9:
        return False
    qx, qy, qz = ty * az - tz * ay, tz * ax - tx * az, tx * ay - ty * ax
    v = (sx * qx + sy * qy + sz * qz) / determinant
    if v < -1e-9 or u + v > 1 + 1e-9:
        return False
    where = (bx * qx + by * qy + bz * qz) / determinant
    if where < 0 or where > 1:
        return False
    found[0], found[1], found[2] = where, where, abs(determinant) / (size * length)
    return True


@njit(nogil=True, error_model="numpy")
def _find_hits(obstacles: Obstacles, work: Work) -> int:
    """All that `work.leg` meets: rows of body, from, to, squareness, ordered by the first two, go to `work.hits`. Returns
    how many."""
    stack, hits, found, leg = work.stack, work.hits, work.found, work.leg
    pieces, bodies, nodes, kind = obstacles.pieces, obstacles.body, obstacles.nodes, obstacles.kind
    stack[0], waiting, count = 0, 1, 0
    inner = obstacles.leaves - 1
    while waiting:
        waiting -= 1
        node = stack[waiting]
        if not _meets(nodes, node, leg, found):
            continue
        if node < inner:
            stack[waiting], stack[waiting + 1] = 2 * node + 1, 2 * node + 2
            waiting += 2
            continue
        first = (node - inner) * _LEAF
        for piece in range(first, min(first + _LEAF, len(pieces))):
            body = bodies[piece]
            if kind[body] == CELLS:
                if not _meets(pieces, piece, leg, found):
                    continue
                face = int(found[2])
                found[2] = 1.0 if face < 0 else abs(leg[1, face]) / leg[3, 0]
            elif not _pierces(pieces, piece, leg, found):
                continue
            place = count
            while place > 0 and (
                hits[place - 1, 0] > body
                or (hits[place - 1, 0] == body and hits[place - 1, 1] > found[0])
            ):
                for i in range(4):
                    hits[place, i] = hits[place - 1, i]
                place -= 1
            hits[place, 0] = body
            for i in range(3):
                hits[place, i + 1] = found[i]
            count += 1
            if count == len(hits):
                return count
    return count


@njit(nogil=True)
def _set_leg(start: Array, end: Array, leg: Array) -> None:
    for i in range(3):
        leg[0, i], leg[1, i] = start[i], end[i] - start[i]
        leg[2, i] = 1 / leg[1, i] if abs(leg[1, i]) > 1e-12 else 1e12
    leg[3, 0] = math.sqrt(leg[1, 0] ** 2 + leg[1, 1] ** 2 + leg[1, 2] ** 2)


@njit(nogil=True, error_model="numpy")
def is_free(start: Array, end: Array, margin_m: float, obstacles: Obstacles, work: Work) -> bool:
    """Whether nothing is within a margin of a straight leg. May be false all the same."""
    stack, found, leg, nodes = work.stack, work.found, work.leg, obstacles.nodes
    _set_leg(start, end, leg)
    stack[0], waiting = 0, 1
    while waiting:
        waiting -= 1
        node = stack[waiting]
        if not _meets(nodes, node, leg, found, margin_m):
            continue
        if node >= obstacles.leaves - 1:
            return False
        stack[waiting], stack[waiting + 1] = 2 * node + 1, 2 * node + 2
        waiting += 2
    return True


@njit(nogil=True)
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
    hits, leg, kind = work.hits, work.leg, obstacles.kind
    _set_leg(start, end, leg)
    length = leg[3, 0]
    if length < 1e-9:
        return 0
    count = _find_hits(obstacles, work)
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
