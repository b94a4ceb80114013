"""Direct sound and first reflections, piece by piece: every path a delay line (`delay_lines`)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..monitor import Monitor
from .delay_lines import BLOCK, add_paths, filter_buses, solve_paths
from .heard_paths import HeardPaths
from .hifi_scene import Paths, Scene
from .hrtf import LONGEST_ITD_S
from .image_source import SPEED_OF_SOUND
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

PIECE = 512 * BLOCK  # samples rendered at a time
_EARLIEST_S = LONGEST_ITD_S  # the near ear hears before the head's centre would


class _Line:
    """One source's sound on its way, filtered and oversampled: `samples` (spectral buses, OVERSAMPLING, n) starts
    `history` samples before the current piece and reaches a little beyond its end."""

    def __init__(
        self, signal: Float32, filters: BusFilters, history: int, ahead: int, piece: int
    ) -> None:
        self._filters = filters
        self._ahead = ahead
        self._next = ahead - PIECE
        self._padding = filters.half + PIECE
        self._signal = signal
        self.samples = np.zeros((filters.count, OVERSAMPLING, history + PIECE + ahead), np.float32)
        # What is heard first may have been sent so many pieces before.
        self._next += max(0, piece - 1 - math.ceil(history / PIECE)) * PIECE
        while self._next < ahead + piece * PIECE:
            self.advance()

    def advance(self) -> None:
        """Go on by a piece."""
        self.samples[..., :-PIECE] = self.samples[..., PIECE:]
        start, stop = self._next - self._filters.half, self._next + PIECE + self._filters.half
        window = np.zeros(stop - start, np.float32)
        heard = self._signal[max(start, 0) : max(stop, 0)]
        window[max(-start, 0) :][: len(heard)] = heard
        self.samples[..., -PIECE:] = self._filters(window) if window.any() else 0
        self._next += PIECE


class EarlySound:
    """Renders `hear` by `hear` the pieces from number `piece` on; the first one lacks what the receiver's filters keep of
    the piece before."""

    def __init__(
        self, scene: Scene, receiver: Receiver, rate_hz: int, sound: Sequence[Float32], piece: int
    ) -> None:
        self._scene, self._receiver, self._rate_hz = scene, receiver, rate_hz
        self._piece = piece
        hits = scene.images.hits
        log_gain = np.zeros((len(hits), 8)) if scene.walls is None else scene.walls.log_gain(hits)
        kinds, self._kind = np.unique(log_gain.round(9), axis=0, return_inverse=True)
        reach_m = np.zeros(len(kinds))
        np.maximum.at(reach_m, self._kind, scene.reach_m)
        self._coloured = scene.coloured
        spectra = {
            coloured: make_octave_spectra(kinds, scene.longest_m, rate_hz)
            if coloured
            else make_path_spectra(kinds, reach_m, scene.longest_m, rate_hz)
            for coloured in set(self._coloured)
        }
        filters = {c: BusFilters(spectra[c], rate_hz, PIECE) for c in spectra}
        self._spectra: list[PathSpectra] = [spectra[c] for c in self._coloured]
        ahead = math.ceil(_EARLIEST_S * rate_hz) + 8
        self._history = math.ceil((scene.longest_m / SPEED_OF_SOUND + _EARLIEST_S) * rate_hz) + 8
        self._lines = [
            _Line(row, filters[coloured], self._history, ahead, piece)
            for row, coloured in zip(sound, self._coloured, strict=True)
        ]
        self._knots = PIECE // BLOCK + 3
        self._buses = np.zeros((receiver.buses, receiver.taps + PIECE), np.float32)

    def hear(self, monitor: Monitor) -> Float32:
        """The next piece (channels, PIECE)."""
        start = self._piece * PIECE
        times_s = (start + (np.arange(self._knots) - 1) * BLOCK) / self._rate_hz
        for line in self._lines:
            monitor.check()
            line.advance()
        new = np.zeros((self._receiver.buses, PIECE), np.float32)
        end_s = (start + PIECE) / self._rate_hz
        for paths in self._scene.paths:
            stretch = paths.stretch
            if stretch.end_s <= start / self._rate_hz or stretch.start_s >= end_s:
                continue
            if stretch.start_s <= start / self._rate_hz and stretch.end_s >= end_s:
                self._add(paths, times_s, new, monitor)
                continue
            part = np.zeros_like(new)
            self._add(paths, times_s, part, monitor)
            gain = stretch.gain((start + np.arange(PIECE)) / self._rate_hz)
            part *= gain.astype(np.float32)
            new += part
        self._piece += 1
        receiver = self._receiver
        if receiver.basis is None:
            return new
        self._buses[:, : receiver.taps] = self._buses[:, -receiver.taps :]
        self._buses[:, receiver.taps :] = new
        result = np.empty((receiver.channels, PIECE), np.float32)
        filter_buses(self._buses, receiver.basis, result)
        return result

    def _add(self, paths: Paths, times_s: Array, buses: Float32, monitor: Monitor) -> None:
        """Add one stretch's sound of all sources to `buses` (buses, PIECE)."""
        listener, axes = paths.places(times_s), paths.axes(times_s)
        for source, line in enumerate(self._lines):
            monitor.check()
            if not line.samples.any():
                continue
            heard = self._solve(paths, source, times_s, listener, axes)
            if self._coloured[source]:
                self._colour(paths, source, heard)
            add_paths(
                line.samples,
                self._history,
                heard.delay,
                heard.share,
                heard.weight,
                design_reader()[0],
                buses,
            )

    def _solve(
        self, paths: Paths, source: int, times_s: Array, listener: Array, axes: Array
    ) -> HeardPaths:
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
            times_s - paths.stretch.first / paths.frame_rate,
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
        return heard

    def _colour(self, paths: Paths, source: int, heard: HeardPaths) -> None:
        """Everything that changes single paths in octave bands, or at one ear. See `HeardPaths`."""
        directivity = self._scene.directivities[source]
        if directivity.pattern != "omni":
            gains = towards_listener(directivity, paths, source, self._scene.images, heard)
            heard.share[:] *= gains[:, :, None]
