"""The fast renderer: the paper's segments, crossfaded instead of switched.

From the start of one segment to the start of the next the sound goes over from the impulse responses of the one to
those of the other, as a raised cosine, so motion doesn't click. Crossfaded impulse responses don't glide, though: a
tone whose path changes by half a wavelength within a segment swells and fades there instead of shifting in pitch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from ..monitor import Monitor
from ..shot import Shot
from .paper import Segments, cut_shot, native_responses
from .segments import Blocks, convolve_blocks

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]


def render_fast(shot: Shot, signals: Sequence[Float32], monitor: Monitor) -> Float32:
    """Render all sources of the shot at two omnidirectional microphones: (2, samples), not normalised.

    Signals, length and errors: see `render_paper`.
    """
    cut = cut_shot(shot, monitor)
    blocks = [
        layer
        for signal, positions in zip(signals, cut.sources, strict=True)
        for layer in crossfaded(signal, positions, cut)
    ]
    return convolve_blocks(blocks, native_responses(cut), cut.rir_samples, cut.length, monitor)


def crossfaded(signal: Float32, positions: Array, cut: Segments) -> Iterator[Blocks]:
    """One source's sound as two layers of blocks whose gains add up to one.

    A segment's sound rises from the start of the segment before it to its own start and falls until the start of the
    one after it; the last one's stays. So the blocks of the even segments lie end to end, and so do the odd ones'.
    """
    starts = cut.bounds[:-1]
    for layer in range(min(2, len(starts))):
        kept = np.arange(layer, len(starts), 2)
        bounds = np.append(cut.bounds[np.maximum(kept - 1, 0)], cut.bounds[kept[-1] + 1])
        gains = (np.arange(len(starts)) % 2 == layer).astype(np.float64)
        yield Blocks(signal, bounds, positions[kept], cut.microphones[:, kept], (starts, gains))
