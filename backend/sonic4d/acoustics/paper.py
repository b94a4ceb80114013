"""The paper's binaural rendering: a static room impulse response per segment and microphone, equations 6 to 12.

The trajectories are cut into M segments in which nothing moves; each block of sound is convolved with its segment's
two impulse responses (gpuRIR's convention) and the results are added where they overlap. Blocks are rectangular, as
in the paper: fast motion clicks at segment boundaries. Equation 13, the normalisation, is in `levels`.
"""

from __future__ import annotations

import math
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft

from ..monitor import Cancelled, Monitor
from ..protocol import Sonic4DError
from ..shot import Shot
from .enclosure import Enclosure, enclose, longest_path_s
from .image_source import (
    GPURIR,
    POSITIVE,
    SPEED_OF_SOUND,
    Plan,
    longest_time_s,
    make_plan,
    shoebox_rirs,
)

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

MAX_IMAGES = 30_000_000  # per impulse response: a seventh of a second of work
_LONGEST_BLOCK = 1 << 18  # samples
_SAMPLES_PER_BATCH = 250_000  # convolved at a time by one thread
_POLL_S = 0.05


def segment_bounds(sample_count: int, segments: int) -> Indices:
    """n_0 = 0 ... n_M = sample_count: (M + 1,) sample indices, as even as whole samples allow."""
    i = np.arange(segments + 1, dtype=np.int64)
    return (2 * i * sample_count + segments) // (2 * segments)


def segment_values(per_frame: Array, segments: int) -> Array:
    """A per-frame quantity (n_frames, ...) at the start of each segment, linear between frames: (M, ...)."""
    frames = len(per_frame)
    index = np.arange(segments) * frames / segments
    before = index.astype(np.int64)
    after = np.minimum(before + 1, frames - 1)
    weight = (index - before).reshape(-1, *[1] * (per_frame.ndim - 1))
    return per_frame[before] + weight * (per_frame[after] - per_frame[before])


def microphone_positions(poses: Array, spacing_m: float, segments: int) -> Array:
    """Left and right microphone (2, M, 3) on the camera's right axis, `spacing_m` apart. Equation 6."""
    centre = segment_values(poses[:, :3, 3], segments)
    right = segment_values(poses[:, :3, 0], segments)
    right /= np.maximum(np.linalg.norm(right, axis=1, keepdims=True), 1e-9)
    return np.stack([centre - spacing_m / 2 * right, centre + spacing_m / 2 * right])


@dataclass(frozen=True)
class _Blocks:
    """Consecutive blocks of one source's sound; nothing moves within a block.

    `bounds` (n + 1,) sample indices, `sources` (n, 3) and `microphones` (2, n, 3) in the room's coordinates.
    """

    signal: Float32
    bounds: Indices
    sources: Array
    microphones: Array


def render_paper(shot: Shot, signals: Sequence[Float32], monitor: Monitor) -> Float32:
    """Render all sources of the shot at two omnidirectional microphones: (2, samples), not normalised.

    `signals`: one (shot.sample_count,) per source, with its gain applied. With `shot.render.tail` the impulse
    response's length less one sample is appended. Each impulse response is as long as the reverberation time or the
    longest direct path, whichever is longer.
    """
    segments = shot.render.segments
    count = shot.frame_count if segments == "per_frame" else int(segments)
    bounds = segment_bounds(shot.sample_count, count)
    sources = [segment_values(source.positions, count) for source in shot.sources]
    microphones = microphone_positions(shot.listener_poses, shot.render.mic_spacing_m, count)
    enclosure = enclose(shot.room, np.concatenate([*sources, *microphones]), monitor)
    local_sources = [enclosure.room.to_local(positions) for positions in sources]
    local_microphones = enclosure.room.to_local(microphones)
    plan = _plan(shot, enclosure, local_sources, local_microphones, monitor)
    work = [
        batch
        for signal, positions in zip(signals, local_sources, strict=True)
        for batch in _batches(
            _joined(_Blocks(signal, bounds, positions, local_microphones)), plan.sample_count
        )
    ]
    length = shot.sample_count + (plan.sample_count - 1 if shot.render.tail else 0)
    output = np.zeros((2, length), dtype=np.float32)
    for batch, part in _computed(work, plan, enclosure, monitor):
        start = batch.bounds[0]
        kept = part[:, : length - start]
        output[:, start : start + kept.shape[1]] += kept
    return output


def _plan(
    shot: Shot, enclosure: Enclosure, sources: list[Array], microphones: Array, monitor: Monitor
) -> Plan:
    rate_hz = shot.render.sample_rate
    size_m = np.array(enclosure.room.size)
    direct_s = max(
        longest_path_s(enclosure, positions, microphone, SPEED_OF_SOUND)
        for positions in sources
        for microphone in microphones
    )
    reverberation_s = enclosure.rt60_s
    if reverberation_s:
        limit_s = longest_time_s(size_m, MAX_IMAGES)
        if direct_s > limit_s:
            raise Sonic4DError(
                "room_too_narrow",
                "The room is far longer than it is wide or high, which takes too many reflections to render.",
                "Make the room's sides more alike, or set the room to free field.",
            )
        if reverberation_s > limit_s:
            level_db = -60 * limit_s / reverberation_s
            monitor.log(
                f"A reverberation of {reverberation_s:.1f} s in this room has too many reflections; it is cut after "
                f"{limit_s:.1f} s, at {level_db:.0f} dB.",
                "warning",
            )
            reverberation_s = limit_s
    convention = GPURIR if enclosure.room.kind == "shoebox" else POSITIVE
    length = max(reverberation_s, direct_s + convention.kernel_s / 2) * rate_hz
    # What arrives after the end of the file needn't be computed.
    longest = math.inf if shot.render.tail else shot.sample_count
    return make_plan(max(1, math.ceil(min(length, longest))), rate_hz, convention)


def _joined(blocks: _Blocks) -> _Blocks:
    """The same sound in other blocks: segments in which nothing moves are joined, very long ones are split."""
    lengths = np.diff(blocks.bounds)
    split = -(-int(lengths.max()) // _LONGEST_BLOCK)
    starts = blocks.bounds[:-1, None] + lengths[:, None] * np.arange(split) // split
    bounds = np.append(starts, blocks.bounds[-1])
    segment = np.repeat(np.arange(len(lengths)), split)
    positions = np.concatenate([blocks.sources[None], blocks.microphones])[:, segment]
    still = (positions[:, 1:] == positions[:, :-1]).all(axis=(0, 2))
    first = [0]
    for i in range(1, len(segment)):
        if not still[i - 1] or bounds[i + 1] - bounds[first[-1]] > _LONGEST_BLOCK:
            first.append(i)
    kept = positions[:, first]
    return _Blocks(blocks.signal, np.append(bounds[first], bounds[-1]), kept[0], kept[1:])


def _batches(blocks: _Blocks, rir_samples: int) -> Iterator[_Blocks]:
    """Pieces small enough for one thread's memory; silent ones are left out."""
    convolved = rir_samples + int(np.diff(blocks.bounds).max())
    step = max(1, _SAMPLES_PER_BATCH // (2 * convolved))
    for first in range(0, len(blocks.sources), step):
        part = slice(first, first + step)
        bounds = blocks.bounds[first : first + step + 1]
        if blocks.signal[bounds[0] : bounds[-1]].any():
            yield _Blocks(blocks.signal, bounds, blocks.sources[part], blocks.microphones[:, part])


def _convolved(
    batch: _Blocks, plan: Plan, enclosure: Enclosure, check: Callable[[], None]
) -> Float32:
    """Equations 7 to 11 for consecutive blocks: (2, samples + plan.sample_count - 1) from the first block's start."""
    count, rir_samples = len(batch.sources), plan.sample_count
    rirs = shoebox_rirs(
        plan,
        np.array(enclosure.room.size),
        enclosure.reflections,
        np.concatenate([batch.sources, batch.sources]),
        batch.microphones.reshape(-1, 3),
        check,
    ).reshape(2, count, rir_samples)
    lengths = np.diff(batch.bounds)
    blocks = np.zeros((count, lengths.max()), dtype=np.float32)
    for block, start, length in zip(blocks, batch.bounds[:-1], lengths, strict=True):
        block[:length] = batch.signal[start : start + length]
    size = fft.next_fast_len(blocks.shape[1] + rir_samples - 1, real=True)
    parts = fft.irfft(fft.rfft(rirs, size) * fft.rfft(blocks, size), size)
    bounds = batch.bounds - batch.bounds[0]
    output = np.zeros((2, bounds[-1] + rir_samples - 1), dtype=np.float32)
    for i, start in enumerate(bounds[:-1]):
        length = lengths[i] + rir_samples - 1
        output[:, start : start + length] += parts[:, i, :length]
    return output


def _computed(
    work: list[_Blocks], plan: Plan, enclosure: Enclosure, monitor: Monitor
) -> Iterator[tuple[_Blocks, Float32]]:
    """The batches' sound, computed by all processors, in the order of `work`: sums don't depend on the threads."""
    threads = os.cpu_count() or 1
    stop = threading.Event()

    def check() -> None:
        if stop.is_set():
            raise Cancelled

    pending: deque[tuple[_Blocks, Future[Float32]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for done in range(len(work)):
                while len(pending) < 2 * threads and done + len(pending) < len(work):
                    batch = work[done + len(pending)]
                    future = pool.submit(_convolved, batch, plan, enclosure, check)
                    pending.append((batch, future))
                monitor.progress("audio", done, len(work))
                batch, future = pending.popleft()
                while not future.done():
                    monitor.check()
                    wait([future], _POLL_S)
                yield batch, future.result()
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
    monitor.progress("audio", len(work), len(work))
