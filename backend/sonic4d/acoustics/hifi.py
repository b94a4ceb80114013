"""The hifi renderer: what a moving listener hears of moving sources in a room, with a human head or other `receivers`.

Direct sound and the reflections up to third order are delay lines (`early_sound`) with the true Doppler shift of both
ends, the walls' and the air's spectrum (`spectral_buses`) and the receiver's response to their direction; what comes
later is a diffuse field that stays in the room while the head turns (`late_field`). Rendering runs in pieces of bounded
memory, each a function of absolute time only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import numpy as np
import numpy.typing as npt
from scipy import fft, signal

from ..directivity import Directivity
from ..materials import OCTAVES_HZ
from ..monitor import Monitor
from ..protocol import Sonic4DError
from ..shot import Shot
from . import scratch
from .early_sound import PIECE, EarlySound, Listening
from .hifi_scene import Scene, place
from .image_source import SPEED_OF_SOUND
from .late_field import LateField
from .levels import peak
from .parallel import in_order, one_blas_thread
from .radiation import radiated_power
from .receivers import Receiver, make_receiver

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

_SEND_TAPS = 1024


def render_hifi(shot: Shot, signals: Sequence[Float32], monitor: Monitor) -> Float32:
    """Sound of a shot, (channels, samples), in its format's channel order (see `make_receiver`); "binaural" by default:
    left, right.

    `signals`: one per source, (samples,) at the shot's rate, gain and start already applied; silence follows where
    one is shorter than the shot. With `shot.render.tail` the reverberation rings out after the shot's end.
    An impulse at sample n of a source at the distance d begins to sound at n + d / c * rate, as at the place of the
    head's middle; the ears hear it up to 0.4 ms sooner or later. Direct sound has the gain 1 / (4 pi d) (d at least
    0.1 m) times the head's diffuse-field equalised response, or the other formats' gain for its direction. Within a metre
    of a head each ear hears it for itself (`near_field`). Equal input
    gives equal bytes, however many threads.
    Raises `Sonic4DError` for what can't be rendered, `Cancelled`.
    """
    pieces = Pieces(shot, signals, monitor)
    output = scratch.zeros((pieces.channels, pieces.sample_count))
    for number, piece in enumerate(pieces.render(0, pieces.count)):
        start = number * PIECE
        output[:, start : start + PIECE] = piece[:, : pieces.sample_count - start]
    return output


def stream_hifi(
    shot: Shot, signals: Sequence[Float32], block_samples: int, monitor: Monitor
) -> Iterator[Float32]:
    """The same sound in consecutive blocks (channels, block_samples), the last one shorter, without ever holding all of
    it."""
    pieces = Pieces(shot, signals, monitor)
    left = pieces.sample_count
    waiting = np.zeros((pieces.channels, 0), np.float32)
    for piece in pieces.render(0, pieces.count):
        waiting = np.concatenate((waiting, piece[:, :left]), axis=1)
        left -= min(left, PIECE)
        whole = waiting.shape[1] // block_samples * block_samples
        for start in range(0, whole, block_samples):
            yield waiting[:, start : start + block_samples]
        waiting = waiting[:, whole:]
    if waiting.size:
        yield waiting


class Pieces:
    """A shot's sound in `count` pieces of `PIECE` samples, `sample_count` in all; the last piece reaches beyond.

    No path is longer than `longest_m`; the late field rings for `late_samples`, filters reach over `filter_samples`.
    Another scene, receiver, or no late field may be given than what the shot asks for.
    """

    @one_blas_thread()
    def __init__(
        self,
        shot: Shot,
        signals: Sequence[Float32],
        monitor: Monitor,
        *,
        scene: Scene | None = None,
        receiver: Receiver | None = None,
        is_late: bool = True,
    ) -> None:
        self._monitor = monitor
        self._rate_hz = shot.render.sample_rate
        self.receiver = receiver or make_receiver(shot.render, shot.folder)
        self._scene = scene or place(shot, monitor)
        self._sound = [signal[: shot.sample_count] for signal in signals]
        if not all(math.isfinite(peak(sound)) for sound in self._sound):
            raise Sonic4DError(
                "bad_audio",
                "A source's sound holds values that are not numbers.",
                "Export it again.",
            )
        self._send = _sent(self._sound, shot.sample_count, self._scene.directivities, self._rate_hz)
        self._seed = shot.render.seed
        self._early = EarlySound(self._scene, self.receiver, self._rate_hz, self._sound)
        self._late = self._late_field() if is_late else None
        self.channels = self.receiver.channels
        self.longest_m = self._scene.longest_m
        self.bounds = (self.longest_m, *self._scene.coloured)
        self.late_samples = 0 if self._late is None else self._late.length
        self.filter_samples = self.receiver.taps + self.receiver.late.shape[2] + _SEND_TAPS
        self.sample_count = shot.sample_count
        if shot.render.tail:
            travel = math.ceil(self.longest_m / SPEED_OF_SOUND * self._rate_hz)
            self.sample_count += max(travel + self.receiver.taps, self.late_samples)
        self.count = math.ceil(self.sample_count / PIECE)

    def _late_field(self) -> LateField | None:
        scene = self._scene
        if scene.walls is None or scene.room.kind != "shoebox":
            return None
        return LateField(
            scene.room.size,
            scene.order,
            scene.walls,
            self.receiver,
            self._rate_hz,
            self._seed,
            PIECE,
            self._early.lead,
            self._sent_piece,
        )

    def adopt(self, before: Pieces) -> None:
        """Take over intermediate results of a render of the same signals, where they are the same."""
        if self._scene.directivities != before._scene.directivities:
            return
        self._early.adopt(before._early)
        if self._late is not None and before._late is not None:
            self._late.adopt(before._late)

    def render(self, first: int, last: int) -> Iterator[Float32]:
        """Pieces number `first` to `last` (exclusive), (channels, PIECE) each: the same whatever else is rendered."""
        numbers, sources = range(first, last), len(self._sound)
        begun = np.zeros(len(numbers) + 1, np.int64)  # sources in each piece
        done = told = 0

        def compute(number: int, check: Callable[[], None]) -> Float32:
            def begin_source() -> None:
                check()
                begun[number - first] += 1

            return self._render_piece(number, check, begin_source)

        def poll() -> None:
            nonlocal told
            self._monitor.check()
            heard = done * sources + max(int(begun[done]) - 1, 0)
            if heard > told:
                told = heard
                self._monitor.progress("audio", heard, len(numbers) * sources)

        with closing(in_order(numbers, compute, poll)) as pieces:
            for piece in pieces:
                done += 1
                poll()
                yield piece

    def _render_piece(
        self, number: int, check: Callable[[], None], begin_source: Callable[[], None]
    ) -> Float32:
        times_s = self._early.knots_s(number)
        listening = [
            Listening(paths, paths.places(times_s), paths.axes(times_s))
            for paths in self._scene.paths
            if paths.stretch.start_s < times_s[-1] and paths.stretch.end_s > times_s[0]
        ]
        piece = self._early.hear(number, listening, begin_source)
        if self._late is not None:
            check()
            axes = np.array([heard.axes[1:-1] for heard in listening])
            gains = np.array([heard.paths.stretch.gain(times_s[1:-1]) for heard in listening])
            piece += self._late.hear(number, axes, gains)
        return piece

    def _sent_piece(self, number: int) -> Float32:
        piece = np.zeros(PIECE, np.float32)
        sent = self._send[max(0, number * PIECE) : max(0, (number + 1) * PIECE)]
        piece[: len(sent)] = sent
        return piece


def _sent(
    sound: Sequence[Float32], count: int, directivities: Sequence[Directivity], rate_hz: int
) -> Float32:
    """What all sources together send into the room (count,): less where one is directive."""
    if len(sound) == 1 and directivities[0].pattern == "omni":
        return sound[0]
    total = scratch.zeros((count,))
    for source, directivity in zip(sound, directivities, strict=True):
        if directivity.pattern != "omni":
            source = _through_octaves(source, np.sqrt(radiated_power(directivity)), rate_hz)
        total[: len(source)] += source
    return total


def _through_octaves(sound: Float32, gains: Array, rate_hz: int) -> Float32:
    """Sound with these gains (8,) in its octaves, without delay. In blocks: a sample doesn't change the rounding of others
    far away."""
    octave = np.log2(np.maximum(fft.rfftfreq(_SEND_TAPS, 1 / rate_hz), 1) / OCTAVES_HZ[0])
    response = fft.irfft(np.interp(octave, np.arange(len(gains)), gains), _SEND_TAPS)
    kernel = fft.fftshift(response) * np.hanning(_SEND_TAPS + 1)[:-1]
    filtered = signal.oaconvolve(sound, kernel.astype(np.float32))
    return filtered[_SEND_TAPS // 2 :][: len(sound)]
