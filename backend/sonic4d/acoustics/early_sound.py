"""Direct sound and first reflections, piece by piece: every path a delay line (`delay_lines`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .delay_lines import BLOCK, add_paths, solve_paths
from .filter_bank import FilterBank
from .heard_paths import HeardPaths
from .hifi_scene import Paths, Scene
from .hrtf import LONGEST_ITD_S
from .image_source import SPEED_OF_SOUND
from .near_field import approach, spread
from .occlusion import Occlusion
from .parallel import Remembered, thread_count
from .radiation import towards_listener
from .receivers import Receiver
from .spectral_buses import (
    OVERSAMPLING,
    BusFilters,
    PathSpectra,
    design_reader,
    make_octave_spectra,
    make_path_spectra,
)

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

PIECE = 256 * BLOCK  # samples rendered at a time
_EARLIEST_S = LONGEST_ITD_S  # the near ear hears before the head's centre would
_BLOCKS_KEPT = 80  # for a render after an edit (`adopt`): of about a megabyte each
_ROUNDED_UP = 64  # samples that `add_paths` may read beyond what it needs


@dataclass(frozen=True)
class Listening:
    """Who moves how, and where the listener is, (knots, 3), and looks, (knots, 3, 3), at a piece's knots."""

    paths: Paths
    places: Array
    axes: Array


class EarlySound:
    """Renders pieces, each a function of its number alone, from `lead` samples before that the receiver's filters keep."""

    def __init__(
        self, scene: Scene, receiver: Receiver, rate_hz: int, sound: Sequence[Float32]
    ) -> None:
        self._scene, self._receiver, self._rate_hz, self._sound = scene, receiver, rate_hz, sound
        hits = scene.images.hits
        log_gain = np.zeros((len(hits), 8)) if scene.walls is None else scene.walls.log_gain(hits)
        kinds, self._kind = np.unique(log_gain.round(9), axis=0, return_inverse=True)
        reach_m = np.zeros(len(kinds))
        np.maximum.at(reach_m, self._kind, scene.reach_m)
        self._coloured = scene.coloured
        self._occlusion = (
            None
            if scene.obstacles is None
            else Occlusion(scene.obstacles, scene.images, scene.room)
        )
        spectra = {
            coloured: make_octave_spectra(kinds, scene.longest_m, rate_hz)
            if coloured
            else make_path_spectra(kinds, reach_m, scene.longest_m, rate_hz)
            for coloured in set(self._coloured)
        }
        self._spectra: list[PathSpectra] = [spectra[c] for c in self._coloured]
        self._filters = {c: BusFilters(spectra[c], rate_hz, PIECE) for c in spectra}
        self.lead = math.ceil(receiver.memory / BLOCK) * BLOCK
        self._ahead = math.ceil(_EARLIEST_S * rate_hz) + _ROUNDED_UP
        travel = math.ceil((scene.longest_m / SPEED_OF_SOUND + _EARLIEST_S) * rate_hz)
        self._history = travel + _ROUNDED_UP
        at_once = math.ceil((self.lead + self._history) / PIECE) + 2
        needed = len(sound) * (at_once + thread_count())
        self._blocks = Remembered(self._filtered_block, max(needed, _BLOCKS_KEPT))
        self._bank = None if receiver.basis is None else FilterBank(receiver.basis[None])

    def knots_s(self, number: int) -> Array:
        """Times of a piece's knots: one block apart, from one before what the filters keep to one after the end."""
        knots = (PIECE + self.lead) // BLOCK + 3
        return (number * PIECE - self.lead + (np.arange(knots) - 1) * BLOCK) / self._rate_hz

    def adopt(self, before: EarlySound) -> None:
        """Take over what the same sound (sources of the same signals) has been filtered to for another render."""
        if self._coloured == before._coloured and all(
            bank.equals(before._filters[coloured]) for coloured, bank in self._filters.items()
        ):
            self._blocks = before._blocks

    def hear(
        self, number: int, listening: Sequence[Listening], begin_source: Callable[[], None]
    ) -> Float32:
        """Piece (channels, PIECE) number `number`; `listening` at `knots_s`, for each stretch that is heard in it.
        `begin_source` is called before each source."""
        times_s = self.knots_s(number)
        buses = np.zeros((len(listening), self._receiver.buses, self.lead + PIECE), np.float32)
        for source in range(len(self._sound)):
            begin_source()
            line = self._line(source, number)
            if line is not None:
                for heard, part in zip(listening, buses, strict=True):
                    self._add(source, line, times_s, heard, part)
        buses = self._faded(number, listening, buses)
        if self._bank is None:
            return buses[:, self.lead :]
        per_ear = buses.reshape(self._receiver.ears, -1, buses.shape[1])
        return np.concatenate(
            [self._bank(ear[:, self.lead - self._bank.taps :]) for ear in per_ear]
        )

    def _faded(self, number: int, listening: Sequence[Listening], buses: Float32) -> Float32:
        """The sum (buses, n) of what is heard in each stretch, (stretches, buses, n)."""
        times_s = (number * PIECE - self.lead + np.arange(buses.shape[2])) / self._rate_hz
        for heard, part in zip(listening, buses, strict=True):
            if heard.paths.stretch.is_whole(times_s[0], times_s[-1]):
                return part
            part *= heard.paths.stretch.gain(times_s).astype(np.float32)
        return buses.sum(axis=0)

    def _filtered_block(self, place: tuple[int, int]) -> Float32 | None:
        """Block number place[1] of a source's sound in its spectral buses (buses, OVERSAMPLING, PIECE); None if silent."""
        source, number = place
        filters = self._filters[self._coloured[source]]
        start, stop = number * PIECE - filters.half, (number + 1) * PIECE + filters.half
        window = np.zeros(stop - start, np.float32)
        heard = self._sound[source][max(start, 0) : max(stop, 0)]
        window[max(-start, 0) :][: len(heard)] = heard
        return filters(window) if window.any() else None

    def _line(self, source: int, number: int) -> Float32 | None:
        """All of a source's sound (buses, OVERSAMPLING, n) that can be heard in a piece; None if silent."""
        start = number * PIECE - self.lead - self._history
        stop = (number + 1) * PIECE + self._ahead
        blocks = {
            block: self._blocks((source, block))
            for block in range(start // PIECE, -(-stop // PIECE))
        }
        if all(sound is None for sound in blocks.values()):
            return None
        count = self._filters[self._coloured[source]].count
        line = np.zeros((count, OVERSAMPLING, stop - start), np.float32)
        for block, sound in blocks.items():
            if sound is not None:
                first = block * PIECE - start
                kept = sound[..., max(0, -first) : stop - start - first]
                line[..., max(0, first) :][..., : kept.shape[-1]] = kept
        return line

    def _add(
        self, source: int, line: Float32, times_s: Array, listening: Listening, buses: Float32
    ) -> None:
        """Add a source's sound in one stretch to `buses` (buses, n)."""
        heard = self._solve(source, times_s, listening)
        if self._coloured[source]:
            self._colour(listening.paths, source, heard)
        add_paths(
            line,
            self._history,
            heard.delay,
            heard.share,
            heard.weight,
            design_reader()[0],
            buses,
        )

    def _solve(self, source: int, times_s: Array, listening: Listening) -> HeardPaths:
        paths, listener, axes = listening.paths, listening.places, listening.axes
        images, receiver, spectra = self._scene.images, self._receiver, self._spectra[source]
        shape = (len(times_s), len(images.hits))
        share_ears = receiver.ears if self._coloured[source] else 1
        heard = HeardPaths(
            times_s,
            listener,
            axes,
            away=np.empty((*shape, 3)),
            travel_s=np.empty(shape),
            delay=np.empty((*shape, receiver.ears)),
            share=np.empty((*shape, share_ears, spectra.shares.shape[2]), np.float32),
            weight=np.empty((*shape, receiver.buses), np.float32),
        )
        solve_paths(
            paths.sources[source],
            paths.frame_rate,
            paths.stretch.first,
            times_s,
            listener,
            axes,
            images.offset,
            images.sign,
            self._kind,
            spectra.shares,
            spectra.longest_m,
            receiver.weights,
            receiver.onsets_s,
            self._rate_hz,
            heard.travel_s,
            heard.away,
            heard.delay,
            heard.share,
            heard.weight,
        )
        heard.share[:, :, 1:] = heard.share[:, :, :1]
        if receiver.spacing_m:
            spread(heard, receiver.spacing_m, self._rate_hz)
        return heard

    def _colour(self, paths: Paths, source: int, heard: HeardPaths) -> None:
        """Everything that changes single paths in octave bands, or at one ear. See `HeardPaths`."""
        directivity = self._scene.directivities[source]
        if directivity.pattern != "omni":
            gains = towards_listener(directivity, paths, source, self._scene.images, heard)
            heard.share[:] *= gains[:, :, None]
        if self._scene.near[source]:
            approach(heard, self._receiver, self._rate_hz)
        if self._occlusion is not None:
            gains = self._occlusion.gains(paths, source, heard.times_s)
            heard.share[:, : self._occlusion.count] *= gains[:, :, None]
