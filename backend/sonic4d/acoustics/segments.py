"""Sound through impulse responses that change from block to block: cut, convolve, add where they overlap.

Every block of sound is convolved with the impulse responses of its own place and time (gpuRIR's convention: the place
of the source and of the microphones when the sound is emitted).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy import fft

from ..monitor import Monitor
from .parallel import in_order

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

# Impulse responses (2, n, samples) for sources (n, 3) and microphones (2, n, 3) in the room's coordinates. Called by
# several threads; calls the third argument about every 10 ms, which may raise.
Respond = Callable[[Array, Array, Callable[[], None]], Float32]

_LONGEST_BLOCK = 1 << 18  # samples
_SAMPLES_PER_BATCH = 250_000  # convolved at a time by one thread


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


@dataclass(frozen=True)
class Blocks:
    """Consecutive blocks of one source's sound; nothing moves within a block.

    `bounds` (n + 1,) sample indices, `sources` (n, 3) and `microphones` (2, n, 3) in the room's coordinates. `fade`:
    sample indices (k,), ascending, and the sound's gain (k,) at each, 0 or 1; between them it goes over as a raised
    cosine, so that gains which add up to one do so everywhere. None leaves the sound as it is.
    """

    signal: Float32
    bounds: Indices
    sources: Array
    microphones: Array
    fade: tuple[Indices, Array] | None = None

    def sound(self, start: int, stop: int) -> Float32:
        sound = self.signal[start:stop]
        if self.fade is None:
            return sound
        gain = np.sin(np.pi / 2 * np.interp(np.arange(start, stop), *self.fade)) ** 2
        return sound * gain.astype(np.float32)


def convolve_blocks(
    blocks: Sequence[Blocks], respond: Respond, rir_samples: int, length: int, monitor: Monitor
) -> Float32:
    """The sum of all blocks through their impulse responses of `rir_samples`: (2, length). Equations 7 to 12.

    The same bytes at any number of threads. Raises `Cancelled`, and whatever `respond` raises.
    """
    work = [batch for each in blocks for batch in _batches(_joined(each), rir_samples)]
    output = np.zeros((2, length), dtype=np.float32)
    monitor.progress("audio", 0, len(work))
    with closing(in_order(work, partial(_convolved, respond), monitor.check)) as parts:
        for done, (batch, part) in enumerate(zip(work, parts, strict=True), 1):
            start = batch.bounds[0]
            kept = part[:, : length - start]
            output[:, start : start + kept.shape[1]] += kept
            monitor.progress("audio", done, len(work))
    return output


def _joined(blocks: Blocks) -> Blocks:
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
    return replace(
        blocks, bounds=np.append(bounds[first], bounds[-1]), sources=kept[0], microphones=kept[1:]
    )


def _batches(blocks: Blocks, rir_samples: int) -> Iterator[Blocks]:
    """Pieces small enough for one thread's memory; silent ones are left out."""
    convolved = rir_samples + int(np.diff(blocks.bounds).max())
    step = max(1, _SAMPLES_PER_BATCH // (2 * convolved))
    for first in range(0, len(blocks.sources), step):
        part = slice(first, first + step)
        bounds = blocks.bounds[first : first + step + 1]
        if blocks.signal[bounds[0] : bounds[-1]].any():
            yield replace(
                blocks,
                bounds=bounds,
                sources=blocks.sources[part],
                microphones=blocks.microphones[:, part],
            )


def _convolved(respond: Respond, batch: Blocks, check: Callable[[], None]) -> Float32:
    """Equations 7 to 11 for consecutive blocks: (2, samples + RIR length - 1) from the first block's start."""
    rirs = respond(batch.sources, batch.microphones, check)
    rir_samples = rirs.shape[2]
    lengths = np.diff(batch.bounds)
    blocks = np.zeros((len(lengths), lengths.max()), dtype=np.float32)
    for block, start, length in zip(blocks, batch.bounds[:-1], lengths, strict=True):
        block[:length] = batch.sound(start, start + length)
    size = fft.next_fast_len(blocks.shape[1] + rir_samples - 1, real=True)
    parts = fft.irfft(fft.rfft(rirs, size) * fft.rfft(blocks, size), size)
    bounds = batch.bounds - batch.bounds[0]
    output = np.zeros((2, bounds[-1] + rir_samples - 1), dtype=np.float32)
    for i, start in enumerate(bounds[:-1]):
        length = lengths[i] + rir_samples - 1
        output[:, start : start + length] += parts[:, i, :length]
    return output
