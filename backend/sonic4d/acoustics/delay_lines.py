"""Moving sound paths as delay lines: the compiled core of the hifi renderer.

Time runs in blocks of `BLOCK` samples with a knot at every bound. At each knot a path's travel time is solved exactly
(the source where it was when it sent, the listener where it is now: Doppler shift both ways); between knots the
delay to each ear is a C1 cubic and the receiver's weights are parabolas, so that fast motion stays free of clicks.
Everything is a function of the knots only.

Compiled code is cached per file: after a change of a constant or function imported from elsewhere, save this file anew.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ..compiled import njit
from .image_source import SHORTEST_DISTANCE_M, SPEED_OF_SOUND
from .simd import LANES, make_add_products, make_mix
from .spectral_buses import OVERSAMPLING
from .sphere_table import spline_weights
from .trajectories import catmull_rom

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

BLOCK = 64
_NEWTON_STEPS = 5
_NEAR_M = 1e-3  # from there a straight line leads to the solution, to within 1e-8 m at 1000 m/s2
# A block's sound lasted between these many blocks when it was sent; beyond (a jump, or nearly the speed of sound),
# the old and the new delay are crossfaded instead.
_SLOWEST, _FASTEST = 0.25, 3.0
_SHARPEST_BEND = 0.5  # samples; sharper turns within a block are rounded off
_LONGEST_ITD = 2048  # oversampled samples: 2 ms (see `receivers`) at the highest rate

_ROWS, _VECTORS = 4, 2
_COLUMNS = _VECTORS * LANES
_add_products = make_add_products(_ROWS, _VECTORS)
_add_row_products = make_add_products(1, _VECTORS)
_mix = make_mix(OVERSAMPLING)


@njit(fastmath=True, nogil=True)
def solve_paths(
    source: Array,
    frame_rate: float,
    first_frame: int,
    times_s: Array,
    listener: Array,
    axes: Array,
    image_offset: Array,
    image_sign: Array,
    image_kind: npt.NDArray[np.int64],
    shares: Float32,
    longest_m: float,
    weight_table: Float32,
    onset_table: Array,
    rate_hz: float,
    travel: Array,
    away: Array,
    delay: Array,
    share: Float32,
    weight: Float32,
) -> None:
    """Every path at every knot.

    source: `trajectories.control_points` in the room's coordinates, whose first frame is number first_frame; times_s (knots,), listener (knots, 3), axes
    (knots, 3, 3) rows forward, left, up of the head; images: position = offset + sign * source, (images, 3),
    image_kind (images,) which of the shares; shares, longest_m: see `PathSpectra`; tables: see `Receiver`.
    Written: travel, away, delay, share and weight of `HeardPaths`; of the share only the first ear's.
    """
    knots, images, ears = delay.shape
    buses = weight.shape[2]
    steps = shares.shape[1] - 1
    rows = weight_table.reshape(weight_table.shape[0], -1)
    position, velocity = np.empty(3), np.empty(3)
    head, spline = np.empty(3), np.empty(16)
    for knot in range(knots):
        for image in range(images):
            towards = away[knot, image]
            travel_s = 0.0
            if knot > 1:
                travel_s = max(2 * travel[knot - 1, image] - travel[knot - 2, image], 0.0)
            # Newton's method on c t = |image(now - t) - listener(now)|; the last step on a straight line.
            for _ in range(_NEWTON_STEPS):
                sent = (times_s[knot] - travel_s) * frame_rate
                catmull_rom(source, first_frame, sent, position, velocity)
                squared, along = 0.0, 0.0
                for i in range(3):
                    sign = image_sign[image, i]
                    velocity[i] *= sign * frame_rate
                    towards[i] = image_offset[image, i] + sign * position[i] - listener[knot, i]
                    squared += towards[i] ** 2
                    along += towards[i] * velocity[i]
                distance_m = math.sqrt(squared)
                closing = SPEED_OF_SOUND + along / max(distance_m, 1e-9)
                late = distance_m - SPEED_OF_SOUND * travel_s
                earlier_s = max(late / max(closing, 0.1 * SPEED_OF_SOUND), -travel_s)
                travel_s += earlier_s
                if abs(late) < _NEAR_M:
                    squared = 0.0
                    for i in range(3):
                        towards[i] -= velocity[i] * earlier_s
                        squared += towards[i] ** 2
                    distance_m = math.sqrt(squared)
                    break

            travel[knot, image] = travel_s
            scale = 1 / max(distance_m, 1e-9)
            for i in range(3):
                head[i] = 0.0
                for j in range(3):
                    head[i] += axes[knot, i, j] * towards[j] * scale
            if distance_m < 1e-9:
                head[0] = 1.0
            row, column = spline_weights(head[0], head[1], head[2], spline)
            left_s, right_s = 0.0, 0.0
            for n in range(16):
                onset = onset_table[row + n // 4, column + n % 4]
                left_s += spline[n] * onset[0]
                right_s += spline[n] * onset[ears - 1]
            delay[knot, image, 0] = (travel_s + left_s) * rate_hz
            delay[knot, image, ears - 1] = (travel_s + right_s) * rate_hz
            gain = 1 / (4 * math.pi * max(distance_m, SHORTEST_DISTANCE_M))
            heard = weight[knot, image]
            heard[:] = 0
            for n in range(4):
                f0, f1 = np.float32(gain * spline[4 * n]), np.float32(gain * spline[4 * n + 1])
                f2, f3 = np.float32(gain * spline[4 * n + 2]), np.float32(gain * spline[4 * n + 3])
                strip = rows[row + n, column * buses : (column + 4) * buses]
                for p in range(buses):
                    near = f0 * strip[p] + f1 * strip[p + buses]
                    heard[p] += near + f2 * strip[p + 2 * buses] + f3 * strip[p + 3 * buses]

            where = min(math.sqrt(distance_m / longest_m) * steps, steps - 1e-6)
            below = int(where)
            t = np.float32(where - below)
            kind = image_kind[image]
            for b in range(shares.shape[2]):
                first = shares[kind, below, b]
                share[knot, image, 0, b] = first + t * (shares[kind, below + 1, b] - first)


@njit(fastmath=True, nogil=True, _nrt=False)
def _read(
    mixed: Float32,
    first: float,
    last: float,
    bend0: Float32,
    bend1: Float32,
    reader: Float32,
    counting: Float32,
    heard: Float32,
) -> None:
    """Read a block's samples `heard` from `mixed` at oversampled positions from `first` (inclusive) to `last` (exclusive).

    bend0, bend1: how much the positions curve at either end. Runs of samples with the same whole-number distance from
    an even stride are read together, which lets them be vectorised.
    """
    inner0, inner1, inner2, inner3 = reader[0, 0], reader[0, 1], reader[0, 2], reader[0, 3]
    outer0, outer1, outer2, outer3 = reader[1, 0], reader[1, 1], reader[1, 2], reader[1, 3]
    one, scale = np.float32(1), np.float32(OVERSAMPLING / 2)
    drift = (last - first) / BLOCK - OVERSAMPLING
    step = np.float32(drift)
    done = 0
    while done < BLOCK:
        whole = int(math.floor(first + drift * done))
        end = BLOCK
        if drift > 0:
            end = int(math.ceil((whole + 1 - first) / drift))
        elif drift < 0:
            end = int(math.floor((whole - first) / drift)) + 1
        end = min(max(end, done + 1), BLOCK)
        base = whole + OVERSAMPLING * done
        points0 = mixed[(base - 1) % OVERSAMPLING, (base - 1) // OVERSAMPLING :]
        points1 = mixed[base % OVERSAMPLING, base // OVERSAMPLING :]
        points2 = mixed[(base + 1) % OVERSAMPLING, (base + 1) // OVERSAMPLING :]
        points3 = mixed[(base + 2) % OVERSAMPLING, (base + 2) // OVERSAMPLING :]
        offset = np.float32(first + drift * done - whole - 0.5)
        passed = np.float32(done)
        run = heard[done:end]
        for i in range(end - done):
            t = (counting[i] + passed) * np.float32(1 / BLOCK)
            curve = scale * t * (one - t) * (bend0 + t * (bend1 - bend0))
            z = offset + step * counting[i] + curve
            near, near_odd = points2[i] + points1[i], points2[i] - points1[i]
            far, far_odd = points3[i] + points0[i], points3[i] - points0[i]
            cubic = inner3 * near_odd + outer3 * far_odd
            square = inner2 * near + outer2 * far
            linear = inner1 * near_odd + outer1 * far_odd
            level = inner0 * near + outer0 * far
            run[i] = ((cubic * z + square) * z + linear) * z + level
        done = end


@njit(fastmath=True, nogil=True, _nrt=False)
def _mix_buses(
    sound: Float32,
    share0: Float32,
    share1: Float32,
    first: float,
    last: float,
    start: int,
    count: int,
    levels: Float32,
    mixed: Float32,
) -> None:
    """Mix `count` samples of `sound` (buses, OVERSAMPLING, n) from sample `start` on, into rows of that length in `mixed`.

    The mixture goes from share0 (buses,) at the oversampled position `first` to share1 at `last`.
    """
    buses, _, samples = sound.shape
    for bus in range(buses):
        slope = (share1[bus] - share0[bus]) / (last - first)
        levels[2 * bus] = share0[bus] + slope * (start * OVERSAMPLING - first)
        levels[2 * bus + 1] = slope
    _mix(mixed, count, levels, sound, start, samples, OVERSAMPLING * samples, buses, count)


@njit(fastmath=True, nogil=True, _nrt=False)
def _hear(
    sound: Float32,
    first: Array,
    last: Array,
    bend: Float32,
    share0: Float32,
    share1: Float32,
    reader: Float32,
    counting: Float32,
    levels: Float32,
    work: Float32,
    heard: Float32,
) -> None:
    """A block of one path at every ear, `heard` (ears, BLOCK), read from `sound` at oversampled positions `first` (ears,)
    to `last` (ears,) with bends (2 ends, ears) and shares of the spectral buses from share0 to share1 (1 or ears, buses);
    silence where `sound` doesn't reach."""
    ears = first.size
    start = int(math.floor(min(first[0], first[ears - 1]) / OVERSAMPLING)) - 1
    count = int(math.ceil(max(last[0], last[ears - 1]) / OVERSAMPLING)) + 2 - start
    count = (count + LANES - 1) // LANES * LANES
    if start < 0 or start + count > sound.shape[2]:
        heard[:] = 0
        return
    alike = True
    for ear in range(1, len(share0)):
        for b in range(share0.shape[1]):
            alike &= share0[ear, b] == share0[0, b] and share1[ear, b] == share1[0, b]
    mixed = work[: OVERSAMPLING * count].reshape(OVERSAMPLING, count)
    if alike:
        middle0, middle1 = (first[0] + first[ears - 1]) / 2, (last[0] + last[ears - 1]) / 2
        _mix_buses(sound, share0[0], share1[0], middle0, middle1, start, count, levels, mixed)
    for ear in range(ears):
        first_here, last_here = first[ear], last[ear]
        if not alike:
            _mix_buses(
                sound, share0[ear], share1[ear], first_here, last_here, start, count, levels, mixed
            )  # fmt: skip
        first_here -= start * OVERSAMPLING
        last_here -= start * OVERSAMPLING
        _read(
            mixed, first_here, last_here, bend[0, ear], bend[1, ear], reader, counting, heard[ear]
        )  # fmt: skip


@njit(fastmath=True, nogil=True, _nrt=False)
def _hear_paths(
    sound: Float32,
    history: int,
    delay: Array,
    share: Float32,
    reader: Float32,
    block: int,
    counting: Float32,
    levels: Float32,
    work: Float32,
    first: Array,
    last: Array,
    bend: Float32,
    late: Float32,
    heard: Float32,
) -> None:
    """A block of all paths, `heard` (images, ears, BLOCK); see `add_paths`."""
    _, images, ears = delay.shape
    span = np.float64(OVERSAMPLING * BLOCK)
    for image in range(images):
        share0, share1 = share[block + 1, image], share[block + 2, image]
        smooth = True
        for ear in range(ears):
            before, now = delay[block, image, ear], delay[block + 1, image, ear]
            then, after = delay[block + 2, image, ear], delay[block + 3, image, ear]
            first[ear] = (block * BLOCK + history - now) * OVERSAMPLING
            last[ear] = ((block + 1) * BLOCK + history - then) * OVERSAMPLING
            smooth &= _SLOWEST * span <= last[ear] - first[ear] <= _FASTEST * span
            start_bend, end_bend = before - 2 * now + then, now - 2 * then + after
            bend[0, ear] = min(max(start_bend, -_SHARPEST_BEND), _SHARPEST_BEND)
            bend[1, ear] = min(max(end_bend, -_SHARPEST_BEND), _SHARPEST_BEND)
        here = heard[image]
        if smooth:
            _hear(sound, first, last, bend, share0, share1, reader, counting, levels, work, here)
            continue
        bend[:] = 0
        for ear in range(ears):
            last[ear] = first[ear] + span
        _hear(sound, first, last, bend, share0, share1, reader, counting, levels, work, here)
        for ear in range(ears):
            then = delay[block + 2, image, ear]
            last[ear] = ((block + 1) * BLOCK + history - then) * OVERSAMPLING
            first[ear] = last[ear] - span
        _hear(sound, first, last, bend, share0, share1, reader, counting, levels, work, late)
        for ear in range(ears):
            for i in range(BLOCK):
                here[ear, i] += counting[i] * np.float32(1 / BLOCK) * (late[ear, i] - here[ear, i])


@njit(fastmath=True, nogil=True, _nrt=False)
def _add_weighted(
    heard: Float32,
    weight: Float32,
    curves: Float32,
    block: int,
    ear: int,
    parts: Float32,
    buses: Float32,
) -> None:
    """Add one ear's block of all paths, `heard` (images, ears, BLOCK), to its share of `buses`.

    Between the two knots of a block the weights follow the chord, plus a parabola with half the sum of the second
    differences at both ends. So in each sample they are sums of weight (3, images, buses), at the block's start, at its end,
    and of the knots before and after together, which count as much as curves (3, BLOCK) tell.
    """
    images, ears, _ = heard.shape
    components = len(buses) // ears
    parts[:] = 0
    for p in range(0, components, _ROWS):
        for i in range(0, BLOCK, _COLUMNS):
            for part in range(3):
                first = part * images * len(buses) + ear * components + p
                place = (part * components + p) * BLOCK + i
                start = ear * BLOCK + i
                if p + _ROWS <= components:
                    _add_products(
                        parts, place, BLOCK, weight, first, 1, len(buses),
                        heard, start, ears * BLOCK, images,
                    )  # fmt: skip
                    continue
                for r in range(components - p):
                    _add_row_products(
                        parts, place + r * BLOCK, BLOCK, weight, first + r, 1, len(buses),
                        heard, start, ears * BLOCK, images,
                    )  # fmt: skip
    for p in range(components):
        row = buses[ear * components + p, block * BLOCK : (block + 1) * BLOCK]
        start = parts[p * BLOCK : (p + 1) * BLOCK]
        end = parts[(components + p) * BLOCK : (components + p + 1) * BLOCK]
        beyond = parts[(2 * components + p) * BLOCK : (2 * components + p + 1) * BLOCK]
        for i in range(BLOCK):
            row[i] += curves[0, i] * start[i] + curves[1, i] * end[i] + curves[2, i] * beyond[i]


@njit(fastmath=True, nogil=True)
def add_paths(
    sound: Float32,
    history: int,
    delay: Array,
    share: Float32,
    weight: Float32,
    reader: Float32,
    buses: Float32,
) -> None:
    """Add the sound of all paths to `buses` (buses, blocks * BLOCK): the first ear's, then the second ear's.

    sound (spectral buses, OVERSAMPLING, samples), sample n at [:, n % OVERSAMPLING, n // OVERSAMPLING], starting `history`
    samples before the first block; delay, share, weight: see `HeardPaths`, from the knot before the first block to the
    one after the last block's end.
    """
    blocks, images, ears = delay.shape[0] - 3, delay.shape[1], delay.shape[2]
    span = np.float64(OVERSAMPLING * BLOCK)
    work = np.empty(int(_FASTEST * span) + _LONGEST_ITD + OVERSAMPLING * LANES, np.float32)
    levels = np.empty(2 * len(sound), np.float32)
    counting = np.arange(BLOCK).astype(np.float32)
    ramp = counting / np.float32(BLOCK)
    arch = ramp * (ramp - np.float32(1)) * np.float32(0.25)
    curves = np.empty((3, BLOCK), np.float32)
    curves[0] = np.float32(1) - ramp - arch
    curves[1] = ramp - arch
    curves[2] = arch
    heard, late = np.empty((images, ears, BLOCK), np.float32), np.empty((ears, BLOCK), np.float32)
    around = np.empty((3, images, len(buses)), np.float32)
    parts = np.empty(3 * len(buses) // ears * BLOCK, np.float32)
    first, last, bend = np.empty(ears), np.empty(ears), np.empty((2, ears), np.float32)
    for block in range(blocks):
        _hear_paths(
            sound, history, delay, share, reader, block, counting, levels, work, first, last, bend,
            late, heard,
        )  # fmt: skip
        around[0], around[1] = weight[block + 1], weight[block + 2]
        around[2] = weight[block] + weight[block + 3]
        for ear in range(ears):
            _add_weighted(heard, around, curves, block, ear, parts, buses)
