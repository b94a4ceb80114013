"""The late field as a listener hears it who turns: convolved, turned into the listener's axes, decoded; piece by piece.

The reverberation stays where it is while the head turns (`tail` makes it room-fixed). What each channel hears of it is a
fixed filter of the turned Ambisonic channels, with exactly the levels and coherence of a diffuse field (see
`Receiver.late`).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from numba import njit, prange
from scipy import fft

from .ambisonics import turns
from .early_images import Walls
from .receivers import Receiver
from .tail import late_share, make_tail

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]


class LateField:
    """One room's late field for one receiver, in pieces of `piece` samples with a knot every `block` samples.

    `length`: samples that it rings on. A piece depends on the sound and on the knots only, not on how the pieces before
    were rendered, except that the first one after `prepare` is incomplete at its start.
    """

    def __init__(
        self,
        size_m: tuple[float, ...],
        order: int,
        walls: Walls,
        receiver: Receiver,
        rate_hz: int,
        seed: int,
        piece: int,
    ) -> None:
        self._order = receiver.late_order
        self._decoder = receiver.late
        channels = (self._order + 1) ** 2
        self._spectra, self.length = _prepared(
            size_m,
            order,
            tuple(walls.mean_log_reflection.tolist()),
            walls.mean_free_path_m,
            channels,
            self._decoder.shape[2] // 2,
            rate_hz,
            seed,
            piece,
        )
        self._piece = piece
        self._before = np.zeros(piece, np.float32)
        self._sent: list[npt.NDArray[np.complex64] | None] = []
        self._turned = np.zeros((channels, self._decoder.shape[2] + piece), np.float32)

    @property
    def memory(self) -> int:
        """How many pieces back what is heard now may have been sent."""
        return len(self._spectra) + 1

    def send(self, sound: Float32) -> None:
        """The next piece (piece,) of the sound that all sources send into the room."""
        both = np.concatenate((self._before, sound))
        self._before = sound.copy()
        self._sent.insert(0, fft.rfft(both) if both.any() else None)
        del self._sent[len(self._spectra) :]

    def hear(self, axes: Array, gains: Array) -> Float32:
        """The piece last sent, (channels, piece).

        axes (stretches, knots, 3, 3): rows forward, left, up of the head in the room, at the piece's first sample and
        every block later, to its end; gains (stretches, knots): how much each counts, 1 together.
        """
        taps = self._decoder.shape[2]
        self._turned[:, :taps] = self._turned[:, -taps:]
        heard = [(s, h) for s, h in zip(self._sent, self._spectra, strict=False) if s is not None]
        if heard:
            spectrum = sum(sent * response for sent, response in heard)
            field = fft.irfft(spectrum, 2 * self._piece, workers=-1)[:, self._piece :]
            matrices = sum(
                gain[:, None, None] * turns(self._order, stretch)
                for stretch, gain in zip(axes, gains, strict=True)
                if gain.any()
            )
            turn(np.ascontiguousarray(field), matrices.astype(np.float32), self._turned[:, taps:])
        else:
            self._turned[:, taps:] = 0
        output = np.zeros((len(self._decoder), self._piece), np.float32)
        if self._turned.any():
            decode(self._turned, self._decoder, output)
        return output


@lru_cache(maxsize=4)
def _prepared(
    size_m: tuple[float, ...],
    order: int,
    mean_log_reflection: tuple[float, ...],
    mean_free_path_m: float,
    channels: int,
    decoder_delay: int,
    rate_hz: int,
    seed: int,
    piece: int,
) -> tuple[npt.NDArray[np.complex64], int]:
    """Spectra (partitions, channels, bins) of the late field's impulse response, and its length in samples.

    The decoder's filters are symmetric about `decoder_delay`: the response starts that much earlier, as far as it is
    silent there.
    """
    walls = Walls(np.zeros(0), np.array(mean_log_reflection), mean_free_path_m)
    size = np.array(size_m)
    response = make_tail(size, walls, *late_share(size, order, walls), channels, rate_hz, seed)
    silent = int(np.argmax(np.abs(response).max(axis=0) > 0))
    response = response[:, min(silent, decoder_delay) :]
    partitions = math.ceil(response.shape[1] / piece)
    padded = np.zeros((channels, partitions * piece), np.float32)
    padded[:, : response.shape[1]] = response
    parts = padded.reshape(channels, partitions, piece).transpose(1, 0, 2)
    return fft.rfft(parts, 2 * piece), response.shape[1] + 2 * decoder_delay


@njit(parallel=True, fastmath=True, cache=True, nogil=True)
def turn(field: Float32, matrices: Float32, turned: Float32) -> None:
    """Channels `field` (C, n) times matrices (knots, C, C), linear between knots: `turned` (C, n)."""
    channels, count = field.shape
    blocks = matrices.shape[0] - 1
    block = count // blocks
    step = np.float32(1 / block)
    for k in prange(blocks):
        start = k * block
        for c in range(channels):
            row = turned[c, start : start + block]
            row[:] = 0
            for d in range(channels):
                first, slope = matrices[k, c, d], matrices[k + 1, c, d] - matrices[k, c, d]
                if first == 0 and slope == 0:
                    continue
                heard = field[d, start : start + block]
                for i in range(block):
                    row[i] += (first + slope * step * np.float32(i)) * heard[i]


@njit(parallel=True, fastmath=True, cache=True, nogil=True)
def decode(turned: Float32, decoder: Float32, output: Float32) -> None:
    """Filters decoder (channels, C, taps) of turned (C, taps + n), whose first `taps` samples are the past, added to
    output (channels, n)."""
    channels, components, taps = decoder.shape
    count = output.shape[1]
    piece = 512
    for task in prange((count + piece - 1) // piece):
        start = task * piece
        size = min(piece, count - start)
        for channel in range(channels):
            total = output[channel, start : start + size]
            for c in range(components):
                for tap in range(taps):
                    h = decoder[channel, c, tap]
                    if h != 0:
                        x = turned[c, start + taps - tap : start + taps - tap + size]
                        for i in range(size):
                            total[i] += h * x[i]
