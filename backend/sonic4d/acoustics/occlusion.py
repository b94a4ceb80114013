"""What obstacles leave of the direct sound and of the first reflections, octave by octave, while all but they move.

Sound passes through an obstacle, less its transmission loss, and around it, less what diffraction at its nearest edge
takes: D = 10 lg(3 + 20 N) dB (Maekawa, Applied Acoustics 1, 1968), where N = 2 f / c times the detour over the edge. In the
light N is negative, D fades to nothing at N = -0.1, and so the shadow has a soft edge that is wider for lower notes. With
V = 10^(-D / 10), and T what passes through, the energy V + (1 - V) T arrives.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ..compiled import njit
from ..materials import OCTAVES_HZ
from ..room import Room
from .early_images import Images
from .hifi_scene import Paths
from .image_source import SPEED_OF_SOUND
from .obstacles import Obstacles, Work, is_free, make_work, meet

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

_STEP_S = 1 / 30  # cubic B-splines of this spacing smooth over 48 ms (full width at half maximum)
_AZIMUTHS = 8
_RINGS = 7
_NARROWEST_M, _WIDEST_M = 5e-4, 8.0  # detours that are looked for
_WIDEST_LIT_M = 0.05 * SPEED_OF_SOUND / OCTAVES_HZ[0]  # N = -0.1
_HALVINGS = 5
_WALL_GAP_M = 0.05  # an obstacle that is a wall of the room doesn't hide its reflection


class Occlusion:
    """Gains of the direct sound and the first-order reflections, the first `count` of a scene's images."""

    def __init__(self, obstacles: Obstacles, images: Images, room: Room) -> None:
        self._obstacles = obstacles
        self._room = room
        self.count = int((images.order <= 1).sum())
        self._images = images.part(slice(self.count))
        # The wall that each image is mirrored in: world points x beyond it have n x > distance.
        outward = np.where(self._images.offset > 0, 1.0, -1.0) * (self._images.sign < 0)
        self._planes = np.zeros((self.count, 4))
        self._planes[:, :3] = outward @ room.axes.T
        self._planes[:, 3] = (self._planes[:, :3] * room.to_world(self._images.offset / 2)).sum(
            axis=1
        )
        self._planes[self._images.order == 0, 3] = np.inf

    def gains(self, paths: Paths, source: int, times_s: Array) -> Float32:
        """(n, count, 8) of what a source sent and is heard at ascending times (n,): a smooth (C2) function of time."""
        where = times_s / _STEP_S
        first = math.floor(where[0]) - 1
        known = self._at(paths, source, np.arange(first, math.floor(where[-1]) + 3) * _STEP_S)
        below = np.floor(where).astype(np.int64)
        t = (where - below)[:, None, None]
        below -= first
        smooth = known[below - 1] * (1 - t) ** 3
        smooth += known[below] * (t * t * (3 * t - 6) + 4)
        smooth += known[below + 1] * (1 + 3 * t * (1 + t - t * t))
        smooth += known[below + 2] * t**3
        return (smooth / 6).astype(np.float32)

    def _at(self, paths: Paths, source: int, times_s: Array) -> Array:
        """The same, not smoothed."""
        images = paths.sent_from(source, times_s, self._images)
        heard = np.broadcast_to(self._room.to_world(paths.places(times_s)[:, None]), images.shape)
        planes = np.broadcast_to(self._planes, (*images.shape[:2], 4))
        gains = np.empty((len(times_s) * self.count, 8))
        weaken(
            np.ascontiguousarray(self._room.to_world(images)).reshape(-1, 3),
            np.ascontiguousarray(heard).reshape(-1, 3),
            np.ascontiguousarray(planes).reshape(-1, 4),
            self._obstacles,
            gains,
        )
        return gains.reshape(len(times_s), self.count, 8)


@njit(nogil=True)
def _fold(start: Array, end: Array, plane: Array, legs: Array) -> int:
    """Legs (2, 2, 3) of the way from `start` to `end` in a mirrored world; what is beyond the wall is brought back, less
    a gap at the wall. Returns how many."""
    before, after = -plane[3], -plane[3]
    for i in range(3):
        legs[0, 0, i], legs[0, 1, i] = start[i], end[i]
        before += plane[i] * start[i]
        after += plane[i] * end[i]
    if before == -np.inf:
        return 1
    count = 0
    for side in (1.0, -1.0):  # beyond the wall, before it
        if max(side * before, side * after) <= _WALL_GAP_M:
            continue
        low, high = 0.0, 1.0
        if side * before < _WALL_GAP_M:
            low = (side * _WALL_GAP_M - before) / (after - before)
        elif side * after < _WALL_GAP_M:
            high = (side * _WALL_GAP_M - before) / (after - before)
        far = before + low * (after - before) if side > 0 else 0.0
        near = before + high * (after - before) if side > 0 else 0.0
        for i in range(3):
            legs[count, 0, i] = start[i] + low * (end[i] - start[i]) - 2 * far * plane[i]
            legs[count, 1, i] = start[i] + high * (end[i] - start[i]) - 2 * near * plane[i]
        count += 1
    return count


@njit(nogil=True)
def _is_free(
    start: Array, end: Array, margin_m: float, plane: Array, obstacles: Obstacles, work: Work
) -> bool:
    """`obstacles.is_free` of a way that may be reflected by a wall."""
    legs = work.legs
    for leg in range(_fold(start, end, plane, legs)):
        if not is_free(legs[leg, 0], legs[leg, 1], margin_m, obstacles, work):
            return False
    return True


@njit(nogil=True)
def _distance(start: Array, end: Array) -> float:
    return math.sqrt((end[0] - start[0]) ** 2 + (end[1] - start[1]) ** 2 + (end[2] - start[2]) ** 2)


@njit(nogil=True)
def _meet_folded(
    start: Array,
    end: Array,
    own_start: bool,
    own_end: bool,
    plane: Array,
    obstacles: Obstacles,
    work: Work,
    loss: Array,
    seen: Array,
) -> int:
    """`obstacles.meet` of a way that may be reflected by a wall."""
    legs = work.legs
    count = _fold(start, end, plane, legs)
    passes = 0
    for leg in range(count):
        first, last, facing = seen[0], seen[1], seen[2]
        met = meet(
            legs[leg, 0],
            legs[leg, 1],
            own_start and leg == 0,
            own_end and leg == count - 1,
            obstacles,
            work,
            loss,
            seen,
        )
        if met and count > 1:
            # Where on the whole way: mirroring keeps lengths; the first leg starts with it, the last one ends with it.
            share = _distance(legs[leg, 0], legs[leg, 1]) / _distance(start, end)
            shift = 0.0 if leg == 0 else 1 - share
            seen[0], seen[1] = shift + share * seen[0], shift + share * seen[1]
        if passes:
            seen[0], seen[2] = first, facing
            if not met:
                seen[1] = last
        passes += met
    return passes


@njit(nogil=True)
def _meet_bent(
    start: Array,
    corner: Array,
    end: Array,
    plane: Array,
    obstacles: Obstacles,
    work: Work,
    loss: Array,
    seen: Array,
) -> int:
    """Passes on the way from `start` by `corner` to `end`. seen[0]: how much longer than the straight way is one by what is
    met first; seen[2]: how squarely it is met."""
    loss[:] = 0
    passes = _meet_folded(start, corner, True, False, plane, obstacles, work, loss, seen)
    where, facing, first = seen[0], seen[2], passes
    passes += _meet_folded(corner, end, False, True, plane, obstacles, work, loss, seen)
    if not passes:
        return 0
    before, after = 0.0, 0.0
    for i in range(3):
        if first:
            at = start[i] + where * (corner[i] - start[i])
        else:
            at = corner[i] + seen[0] * (end[i] - corner[i])
        before += (at - start[i]) ** 2
        after += (at - end[i]) ** 2
    if first:
        seen[2] = facing
    seen[0] = math.sqrt(before) + math.sqrt(after) - _distance(start, end)
    return passes


@njit(nogil=True)
def _ring_m(detour_m: float, distance_m: float, where: float) -> float:
    """How far from the straight line, at `where` (0 to 1) along it, a way by there is so much longer: an ellipse."""
    half = (distance_m + detour_m) / 2
    along = (where - 0.5) * distance_m
    return math.sqrt(max(half**2 - distance_m**2 / 4, 0) * (1 - (along / half) ** 2))


@njit(nogil=True)
def _across(start: Array, end: Array, axes: Array) -> None:
    """Two directions across a path go to `axes` (2, 3), the first one level: edges are mostly level or upright."""
    x, y, z = end[0] - start[0], end[1] - start[1], end[2] - start[2]
    level = math.sqrt(x * x + y * y)
    length = math.sqrt(x * x + y * y + z * z)
    axes[0, 0], axes[0, 1], axes[0, 2] = 1.0, 0.0, 0.0
    if level > 1e-6 * length:
        axes[0, 0], axes[0, 1] = -y / level, x / level
    axes[1, 0] = -z * axes[0, 1] / length
    axes[1, 1] = z * axes[0, 0] / length
    axes[1, 2] = (x * axes[0, 1] - y * axes[0, 0]) / length


@njit(nogil=True)
def weaken(
    sources: Array, listeners: Array, planes: Array, obstacles: Obstacles, gains: Array
) -> None:
    """Gains (n, 8) of paths from sources (n, 3), which may be images, to listeners (n, 3), world axes.

    planes (n, 4): the wall each path is reflected by, as a unit vector out of the room and a distance; infinite for none.
    """
    work = make_work()
    for path in range(len(sources)):
        start, end, plane = sources[path], listeners[path], planes[path]
        gains[path] = 1
        distance_m = _distance(start, end)
        if distance_m < 1e-6:
            continue
        lit_m = _ring_m(_WIDEST_LIT_M, distance_m, 0.5)
        if _is_free(start, end, lit_m, plane, obstacles, work):
            continue
        loss, bent, seen = np.zeros(8), np.zeros(8), np.zeros(3)
        corner, axes = np.empty(3), np.empty((2, 3))
        met = _meet_folded(start, end, True, True, plane, obstacles, work, loss, seen)
        shaded = met > 0
        where = min(max((seen[0] + seen[1]) / 2, 0.02), 0.98) if shaded else 0.5
        _across(start, end, axes)

        # The narrowest ring where something is unlike the straight way; then, how far in that begins.
        widest = _WIDEST_M if shaded else _WIDEST_LIT_M
        growth = (widest / _NARROWEST_M) ** (1 / (_RINGS - 1))
        detour, facing, inner = -1.0, 1.0, 0.0
        for ring in range(_RINGS):
            outer = _ring_m(_NARROWEST_M * growth**ring, distance_m, where)
            for azimuth in range(_AZIMUTHS):
                same, different, radius = inner, outer, outer
                for halving in range(_HALVINGS + 1):
                    for i in range(3):
                        aside = math.cos(2 * math.pi / _AZIMUTHS * azimuth) * axes[0, i]
                        aside += math.sin(2 * math.pi / _AZIMUTHS * azimuth) * axes[1, i]
                        corner[i] = start[i] + where * (end[i] - start[i]) + radius * aside
                    met = _meet_bent(start, corner, end, plane, obstacles, work, bent, seen)
                    if (met > 0) == shaded:
                        same = radius
                        if halving == 0:
                            break
                    else:
                        different = radius
                        here = seen[0]
                        if shaded:
                            here = _distance(start, corner) + _distance(corner, end) - distance_m
                        if detour < 0 or here < detour:
                            detour = here
                            if not shaded:
                                facing = seen[2]
                                loss[:] = bent
                    radius = (same + different) / 2
            if detour >= 0:
                break
            inner = outer
        for octave in range(8):
            fresnel = 2 * detour * OCTAVES_HZ[octave] / SPEED_OF_SOUND
            around = 1.0
            if shaded:
                around = 0.0 if detour < 0 else 1 / (3 + 20 * fresnel)
            elif detour >= 0:
                around = max(1.0, 3 - 20 * fresnel) ** -facing
            through = 10 ** (-loss[octave] / 10)
            gains[path, octave] = math.sqrt(around + (1 - around) * through)
