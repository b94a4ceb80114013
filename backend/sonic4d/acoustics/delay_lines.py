"""Moving sound paths as delay lines: the compiled core of the hifi renderer.

Time runs in blocks of `BLOCK` samples with a knot at every bound. At each knot a path's travel time is solved exactly
(the source where it was when it sent, the listener where it is now: Doppler shift both ways); between knots the
delay to each ear is a C1 cubic and the receiver's weights are parabolas, so that fast motion stays free of clicks.
Everything is a function of absolute time only: any cutting into blocks and any number of threads give the same bytes.

Compiled code is cached per file: after a change of a constant or function imported from elsewhere, save this file anew.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from .image_source import SHORTEST_DISTANCE_M, SPEED_OF_SOUND
from .spectral_buses import OVERSAMPLING
from .sphere_table import spline_weights
from .trajectories import catmull_rom

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

BLOCK = 64
_KNOTS_PER_TASK = 16
_BLOCKS_PER_TASK = 16
_NEWTON_STEPS = 5
_EXACT_M = 1e-9
_SHARPEST_BEND = 0.5  # samples; sharper turns within a block are rounded off
# A block's sound lasted between these many blocks when it was sent; beyond (a jump, or nearly the speed of sound),
# the old and the new delay are crossfaded instead.
_SLOWEST, _FASTEST = 0.25, 3.0
_LONGEST_ITD = 2048  # oversampled samples: 2 ms (see `receivers`) at the highest rate


@njit(parallel=True, fastmath=True, cache=True, nogil=True)
def solve_paths(
    source: Array,
    frame_rate: float,
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

    source: `trajectories.control_points` in the room's coordinates; times_s (knots,), listener (knots, 3), axes
    (knots, 3, 3) rows forward, left, up of the head; images: position = offset + sign * source, (images, 3),
    image_kind (images,) which of the shares; shares, longest_m: see `PathSpectra`; tables: see `Receiver`.
    Written: travel, away, delay, share and weight of `HeardPaths`; of the share only the first ear's.
    """
    knots, images, ears = delay.shape
    buses = weight.shape[2]
    steps = shares.shape[1] - 1
    rows = weight_table.reshape(weight_table.shape[0], -1)
    spectral = shares.shape[2]
    for task in prange((knots + _KNOTS_PER_TASK - 1) // _KNOTS_PER_TASK):
        position, velocity = np.empty(3), np.empty(3)
        head, spline = np.empty(3), np.empty(16)
        mixed = np.empty(buses, np.float32)
        for knot in range(task * _KNOTS_PER_TASK, min((task + 1) * _KNOTS_PER_TASK, knots)):
            for image in range(images):
                towards = away[knot, image]
                # Newton's method on c t = |image(now - t) - listener(now)|, always from t = 0, so that the result
                # depends on nothing but the time.
                travel_s = 0.0
                for _ in range(_NEWTON_STEPS):
                    sent = (times_s[knot] - travel_s) * frame_rate
                    catmull_rom(source, sent, position, velocity)
                    squared = 0.0
                    along = 0.0
                    for i in range(3):
                        sign = image_sign[image, i]
                        towards[i] = image_offset[image, i] + sign * position[i] - listener[knot, i]
                        squared += towards[i] ** 2
                        along += towards[i] * sign * velocity[i] * frame_rate
                    distance_m = math.sqrt(squared)
                    closing = SPEED_OF_SOUND + along / max(distance_m, 1e-9)
                    late = distance_m - SPEED_OF_SOUND * travel_s
                    if abs(late) < _EXACT_M:
                        break
                    travel_s = max(travel_s + late / max(closing, 0.1 * SPEED_OF_SOUND), 0.0)

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
                mixed[:] = 0
                for n in range(16):
                    onset = onset_table[row + n // 4, column + n % 4]
                    left_s += spline[n] * onset[0]
                    right_s += spline[n] * onset[ears - 1]
                for n in range(4):
                    f0, f1 = np.float32(spline[4 * n]), np.float32(spline[4 * n + 1])
                    f2, f3 = np.float32(spline[4 * n + 2]), np.float32(spline[4 * n + 3])
                    strip = rows[row + n, column * buses : (column + 4) * buses]
                    for p in range(buses):
                        near = f0 * strip[p] + f1 * strip[p + buses]
                        mixed[p] += near + f2 * strip[p + 2 * buses] + f3 * strip[p + 3 * buses]
                delay[knot, image, 0] = (travel_s + left_s) * rate_hz
                delay[knot, image, ears - 1] = (travel_s + right_s) * rate_hz
                gain = np.float32(1 / (4 * math.pi * max(distance_m, SHORTEST_DISTANCE_M)))
                heard = weight[knot, image]
                for p in range(buses):
                    heard[p] = gain * mixed[p]

                where = min(math.sqrt(distance_m / longest_m) * steps, steps - 1e-6)
                below = int(where)
                t = np.float32(where - below)
                kind = image_kind[image]
                for b in range(spectral):
                    first = shares[kind, below, b]
                    share[knot, image, 0, b] = first + t * (shares[kind, below + 1, b] - first)


@njit(fastmath=True, cache=True, nogil=True)
def _mix(
    sound: Float32,
    share0: Float32,
    share1: Float32,
    first: float,
    last: float,
    start: int,
    counting: Float32,
    mixed: Float32,
) -> None:
    """Mix the spectral buses `sound` (buses, OVERSAMPLING, n) from sample `start` on into `mixed` (OVERSAMPLING, m).

    The mixture goes from `share0` at the oversampled position `first` to `share1` at `last`.
    """
    count = mixed.shape[1]
    for bus in range(sound.shape[0]):
        slope = (share1[bus] - share0[bus]) / np.float32(last - first)
        rise = slope * np.float32(OVERSAMPLING)
        for phase in range(OVERSAMPLING):
            level = share0[bus] + slope * np.float32(start * OVERSAMPLING + phase - first)
            samples = sound[bus, phase, start : start + count]
            row = mixed[phase]
            if bus == 0:
                for j in range(count):
                    row[j] = samples[j] * (level + rise * counting[j])
            else:
                for j in range(count):
                    row[j] += samples[j] * (level + rise * counting[j])


@njit(fastmath=True, cache=True, nogil=True)
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


@njit(fastmath=True, cache=True, nogil=True)
def _hear(
    sound: Float32,
    first: Array,
    last: Array,
    bend: Float32,
    share0: Float32,
    share1: Float32,
    reader: Float32,
    counting: Float32,
    work: Float32,
    heard: Float32,
) -> None:
    """A block of one path at every ear, `heard` (ears, BLOCK), read from `sound` at oversampled positions `first` (ears,)
    to `last` (ears,) with bends (2 ends, ears) and shares of the spectral buses from share0 to share1 (1 or ears, buses);
    silence where `sound` doesn't reach."""
    ears = first.size
    start = int(math.floor(min(first[0], first[ears - 1]) / OVERSAMPLING)) - 1
    count = int(math.ceil(max(last[0], last[ears - 1]) / OVERSAMPLING)) + 2 - start
    if start < 0 or start + count > sound.shape[2]:
        heard[:] = 0
        return
    mixed = work[: OVERSAMPLING * count].reshape(OVERSAMPLING, count)
    alike = True
    for ear in range(1, len(share0)):
        for b in range(share0.shape[1]):
            alike &= share0[ear, b] == share0[0, b] and share1[ear, b] == share1[0, b]
    if alike:
        middle0, middle1 = (first[0] + first[ears - 1]) / 2, (last[0] + last[ears - 1]) / 2
        _mix(sound, share0[0], share1[0], middle0, middle1, start, counting, mixed)
    for ear in range(ears):
        if not alike:
            _mix(
                sound, share0[ear], share1[ear], first[ear], last[ear], start, counting, mixed
            )  # fmt: skip
        first_here = first[ear] - start * OVERSAMPLING
        last_here = last[ear] - start * OVERSAMPLING
        _read(
            mixed, first_here, last_here, bend[0, ear], bend[1, ear], reader, counting, heard[ear]
        )  # fmt: skip


@njit(fastmath=True, cache=True, nogil=True)
def _add_weighted(
    heard: Float32,
    ramp: Float32,
    arch: Float32,
    weight: Float32,
    first: int,
    end: int,
    ramped: Float32,
    arched: Float32,
    total: Float32,
) -> None:
    """Add a path's block `heard` (BLOCK,) to the rows from `first` to `end` of `total` (buses * BLOCK,).

    weight (4, buses) at the knots before, at the start, at the end and after; between the two in the middle the
    weights follow the chord, plus a parabola with half the sum of the second differences at both ends.
    """
    for i in range(BLOCK):
        ramped[i] = ramp[i] * heard[i]
        arched[i] = arch[i] * heard[i]
    for p in range(first, end - 1, 2):
        level0, level1 = weight[1, p], weight[1, p + 1]
        slope0, slope1 = weight[2, p] - level0, weight[2, p + 1] - level1
        turn0 = (weight[0, p] - level0 - weight[2, p] + weight[3, p]) * np.float32(0.5)
        turn1 = (weight[0, p + 1] - level1 - weight[2, p + 1] + weight[3, p + 1]) * np.float32(0.5)
        rows = total[p * BLOCK : (p + 2) * BLOCK]
        for i in range(BLOCK):
            rows[i] += level0 * heard[i] + slope0 * ramped[i] + turn0 * arched[i]
            rows[i + BLOCK] += level1 * heard[i] + slope1 * ramped[i] + turn1 * arched[i]
    if (end - first) % 2:
        p = end - 1
        level0, slope0 = weight[1, p], weight[2, p] - weight[1, p]
        turn0 = (weight[0, p] - level0 - weight[2, p] + weight[3, p]) * np.float32(0.5)
        row = total[p * BLOCK : end * BLOCK]
        for i in range(BLOCK):
            row[i] += level0 * heard[i] + slope0 * ramped[i] + turn0 * arched[i]


@njit(parallel=True, fastmath=True, cache=True, nogil=True)
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
    samples before the first block; delay, share, weight: see `HeardPaths`, from the knot before the first block to the one after the last block's end.
    """
    blocks, images, ears = delay.shape[0] - 3, delay.shape[1], delay.shape[2]
    components = len(buses) // ears
    span = np.float64(OVERSAMPLING * BLOCK)
    for task in prange((blocks + _BLOCKS_PER_TASK - 1) // _BLOCKS_PER_TASK):
        work = np.empty(int(_FASTEST * span) + _LONGEST_ITD, np.float32)
        counting = np.arange(work.size).astype(np.float32)
        ramp = counting[:BLOCK] / np.float32(BLOCK)
        arch = ramp * (ramp - np.float32(1)) * np.float32(0.5)
        heard, late = np.empty((ears, BLOCK), np.float32), np.empty((ears, BLOCK), np.float32)
        ramped, arched = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
        total = np.empty(len(buses) * BLOCK, np.float32)
        first, last, bend = np.empty(ears), np.empty(ears), np.empty((2, ears), np.float32)
        for block in range(task * _BLOCKS_PER_TASK, min((task + 1) * _BLOCKS_PER_TASK, blocks)):
            total[:] = 0
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
                if smooth:
                    _hear(
                        sound, first, last, bend, share0, share1, reader, counting, work, heard
                    )  # fmt: skip
                else:
                    bend[:] = 0
                    _hear(
                        sound, first, first + span, bend, share0, share1, reader, counting, work,
                        heard,
                    )  # fmt: skip
                    _hear(
                        sound, last - span, last, bend, share0, share1, reader, counting, work, late
                    )  # fmt: skip
                    heard += ramp * (late - heard)
                for ear in range(ears):
                    _add_weighted(
                        heard[ear], ramp, arch, weight[block : block + 4, image],
                        ear * components, (ear + 1) * components, ramped, arched, total,
                    )  # fmt: skip
            for p in range(len(buses)):
                for i in range(BLOCK):
                    buses[p, block * BLOCK + i] += total[p * BLOCK + i]


@njit(parallel=True, fastmath=True, cache=True, nogil=True)
def filter_buses(buses: Float32, basis: Float32, output: Float32) -> None:
    """Sum the head's filters `basis` (components, taps): output (ears, n) of buses (ears * components, taps + n), whose
    first `taps` samples are the past."""
    components, taps = basis.shape
    ears, count = output.shape
    piece = 4 * BLOCK
    for task in prange((count + piece - 1) // piece):
        start = task * piece
        size = min(piece, count - start)
        total = np.empty(size, np.float32)
        for ear in range(ears):
            total[:] = 0
            for p in range(components):
                row = buses[ear * components + p]
                for tap in range(0, taps, 8):
                    h = basis[p, tap : tap + 8]
                    h0, h1, h2, h3, h4, h5, h6, h7 = h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]
                    x = row[start + taps - tap - 7 : start + taps - tap + size]
                    for i in range(size):
                        total[i] += (
                            h0 * x[i + 7] + h1 * x[i + 6] + h2 * x[i + 5] + h3 * x[i + 4]
                            + h4 * x[i + 3] + h5 * x[i + 2] + h6 * x[i + 1] + h7 * x[i]
                        )  # fmt: skip
            for i in range(size):
                output[ear, start + i] = total[i]
