"""The late field as a listener hears it who turns: convolved, turned into the listener's axes, decoded; piece by piece.

The reverberation stays where it is while the head turns (`tail` makes it room-fixed). What each channel hears of it is a
fixed filter of the turned Ambisonic channels, with exactly the levels and coherence of a diffuse field (see
`Receiver.late`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import fft

from ..compiled import njit
from ..room import Room
from .ambisonics import turns
from .early_images import Walls, make_images
from .filter_bank import FilterBank
from .hand_over import make_hand_over
from .parallel import Remembered, thread_count
from .receivers import Receiver
from .tail import make_tail

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

_FIELDS_KEPT = (
    80  # for a render after an edit (`adopt`): of a quarter of a megabyte each at first order
)


class LateField:
    """One room's late field for one receiver, in pieces of `piece` samples, each a function of its number alone.

    `sent(number)` tells the sound (piece,) that all sources together send into the room, `lead` how many samples before
    a piece the receiver is followed. `length`: samples that the field rings on.
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
        lead: int,
        sent: Callable[[int], Float32],
    ) -> None:
        self._order = receiver.late_order
        taps = receiver.late.shape[2]
        self._spectra, self.length = _prepared(
            size_m,
            order,
            walls.log_reflection.tobytes(),
            walls.mean_log_reflection.tobytes(),
            walls.mean_free_path_m,
            (self._order + 1) ** 2,
            taps // 2,
            rate_hz,
            seed,
            piece,
        )
        self._piece, self._lead, self._sent = piece, lead, sent
        self._decoder = FilterBank(receiver.late) if taps > 1 else None
        self._gains = receiver.late[..., 0]
        self._fields = Remembered(self._field, max(thread_count() + 2, _FIELDS_KEPT))
        self._spectrum = Remembered(self._sent_spectrum, len(self._spectra) + thread_count() + 2)

    def adopt(self, before: LateField) -> None:
        """Take over what the same sound has become in the same room for another render."""
        if self._spectra is before._spectra and self._piece == before._piece:
            self._fields = before._fields

    def hear(self, number: int, axes: Array, gains: Array) -> Float32:
        """Piece (channels, piece) number `number`.

        axes (stretches, knots, 3, 3): rows forward, left, up of the head in the room, at evenly spaced knots from `lead`
        samples before the piece's first sample to its end; gains (stretches, knots): how much each counts, 1 together.
        """
        output = np.zeros((len(self._gains), self._piece), np.float32)
        now = self._fields(number)
        before = self._fields(number - 1) if self._lead else None
        if now is None and before is None:
            return output
        field = np.zeros((self._gains.shape[1], self._lead + self._piece), np.float32)
        if before is not None:
            field[:, : self._lead] = before[:, -self._lead :]
        if now is not None:
            field[:, self._lead :] = now
        matrices = sum(
            gain[:, None, None] * turns(self._order, stretch)
            for stretch, gain in zip(axes, gains, strict=True)
        )
        turned = np.empty_like(field)
        turn(field, matrices.astype(np.float32), turned)
        if self._decoder is not None:
            return self._decoder(turned[:, self._lead - self._decoder.taps :])
        weigh(turned, self._gains, output)
        return output

    def _field(self, number: int) -> Float32 | None:
        """The room-fixed Ambisonic channels (C, piece) in a piece; None if silent."""
        spectra = (self._spectrum(number - late) for late in range(len(self._spectra)))
        heard = [
            (sent, response)
            for sent, response in zip(spectra, self._spectra, strict=True)
            if sent is not None
        ]
        if not heard:
            return None
        spectrum = sum(sent * response for sent, response in heard)
        return fft.irfft(spectrum, 2 * self._piece)[:, self._piece :]

    def _sent_spectrum(self, number: int) -> npt.NDArray[np.complex64] | None:
        """Spectrum of a piece of the sound and the one before; None if silent."""
        both = np.concatenate((self._sent(number - 1), self._sent(number)))
        return fft.rfft(both) if both.any() else None


@lru_cache(maxsize=4)
def _prepared(
    size_m: tuple[float, ...],
    order: int,
    log_reflection: bytes,
    mean_log_reflection: bytes,
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
    walls = Walls(
        np.frombuffer(log_reflection).reshape(3, 2, 8),
        np.frombuffer(mean_log_reflection),
        mean_free_path_m,
    )
    size = np.array(size_m)
    images = make_images(Room("shoebox", (0.0, 0.0, 0.0), size_m, 0.0, None), order)
    hand_over = make_hand_over(size, images, walls)
    response = make_tail(size, walls, hand_over, channels, rate_hz, seed)
    silent = int(np.argmax(np.abs(response).max(axis=0) > 0))
    response = response[:, min(silent, decoder_delay) :]
    partitions = math.ceil(response.shape[1] / piece)
    padded = np.zeros((channels, partitions * piece), np.float32)
    padded[:, : response.shape[1]] = response
    parts = padded.reshape(channels, partitions, piece).transpose(1, 0, 2)
    return fft.rfft(parts, 2 * piece), response.shape[1] + 2 * decoder_delay


@njit(fastmath=True, nogil=True)
def turn(field: Float32, matrices: Float32, turned: Float32) -> None:
    """Channels `field` (C, n) times matrices (knots, C, C), linear between knots: `turned` (C, n)."""
    channels, count = field.shape
    blocks = matrices.shape[0] - 1
    block = count // blocks
    step = np.float32(1 / block)
    for k in range(blocks):
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


@njit(fastmath=True, nogil=True)
def weigh(turned: Float32, gains: Float32, output: Float32) -> None:
    """Gains (channels, C) times turned (C, n), added to output (channels, n)."""
    for channel in range(gains.shape[0]):
        for c in range(gains.shape[1]):
            gain = gains[channel, c]
            if gain != 0:
                for i in range(turned.shape[1]):
                    output[channel, i] += gain * turned[c, i]
