"""The hifi renderer: what a moving listener hears of moving sources in a room, with a human head or other `receivers`.

Direct sound and the reflections up to third order are delay lines (`delay_lines`) with the true Doppler shift of both
ends, the walls' and the air's spectrum (`spectral_buses`) and the receiver's response to their direction; what comes
later is a static diffuse tail (`tail`). Rendering runs in pieces of bounded memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft

from ..monitor import Monitor
from ..protocol import Sonic4DError
from ..room import Room
from ..shot import Shot
from .delay_lines import BLOCK, add_paths, filter_buses, solve_paths
from .early_images import Images, Walls, make_images, make_walls
from .enclosure import place_room
from .hrtf import LONGEST_ITD_S
from .image_source import SPEED_OF_SOUND
from .receivers import Receiver, make_receiver
from .spectral_buses import OVERSAMPLING, BusFilters, design_reader, make_path_spectra
from .tail import late_share, make_tail
from .trajectories import control_points, orientation_keys, positions_at, rotations_at

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

_PIECE = 512 * BLOCK  # samples rendered at a time
_EARLIEST_S = LONGEST_ITD_S  # the near ear hears before the head's centre would
_HEAD = np.array([[0, 0, -1.0], [-1, 0, 0], [0, 1, 0]])  # forward, left, up of a Blender camera
_FASTEST_M_S = 0.9 * SPEED_OF_SOUND
_OVERSHOOT = 1.3  # a curve through the frames may leave their bounds


def render_hifi(shot: Shot, signals: Sequence[Float32], monitor: Monitor) -> Float32:
    """Sound of a shot, (channels, samples), in its format's channel order (see `make_receiver`); "binaural" by default:
    left, right.

    `signals`: one per source, (samples,) at the shot's rate, gain and start already applied; silence follows where
    one is shorter than the shot. With `shot.render.tail` the reverberation rings out after the shot's end.
    An impulse at sample n of a source at the distance d begins to sound at n + d / c * rate, as at the place of the
    head's middle; the ears hear it up to 0.4 ms sooner or later. Direct sound has the gain 1 / (4 pi d) (d at least
    0.1 m) times the head's diffuse-field equalised response, or the other formats' gain for its direction. Equal input gives equal bytes, however many threads.
    Raises `Sonic4DError` for what can't be rendered, `Cancelled`.
    """
    rate_hz = shot.render.sample_rate
    receiver = make_receiver(shot.render, shot.folder)
    scene = _place(shot, monitor)
    sound = np.zeros((len(signals), shot.sample_count), np.float32)
    for row, signal in zip(sound, signals, strict=True):
        row[: len(signal)] = signal[: shot.sample_count]
    if not np.isfinite(sound).all():
        raise Sonic4DError(
            "bad_audio", "A source's sound holds values that are not numbers.", "Export it again."
        )
    tail = _tail(scene, receiver, rate_hz, shot.render.seed)
    count = shot.sample_count
    if shot.render.tail:
        travel = math.ceil(scene.longest_m / SPEED_OF_SOUND * rate_hz) + receiver.taps
        count += max(travel, tail.shape[1])
    output = np.zeros((receiver.channels, count), np.float32)
    pieces = math.ceil(count / _PIECE)
    early = _early_sound(scene, receiver, rate_hz, sound, pieces, monitor)
    for done, piece in enumerate(early):
        start = done * _PIECE
        output[:, start : start + _PIECE] = piece[:, : count - start]
        monitor.progress("audio", done + 1, pieces + 1)
    if tail.size:
        _add_convolved(output, sound.sum(axis=0), tail, monitor)
    monitor.progress("audio", pieces + 1, pieces + 1)
    return output


@dataclass(frozen=True)
class _Scene:
    """A shot in its room's coordinates: `sources` (sources, frames, 3), `listener` (frames, 3), `heads` (frames, 3, 3)
    the camera's rotation in the world, `turn` (3, 3) from the world's axes (rows) to the room's; `longest_m`: no path
    is longer."""

    room: Room
    walls: Walls | None
    images: Images
    order: int
    frame_rate: float
    sources: Array
    listener: Array
    heads: Array
    turn: Array
    longest_m: float


def _place(shot: Shot, monitor: Monitor) -> _Scene:
    places = np.stack([shot.listener_poses[:, :3, 3], *(s.positions for s in shot.sources)])
    room = place_room(shot.room, places.reshape(-1, 3), monitor)
    frame_rate = float(shot.frame_rate)
    steps_m = np.linalg.norm(np.diff(places, axis=1), axis=2)
    if (steps_m * frame_rate > _FASTEST_M_S).any():
        monitor.log(
            "A source or the camera moves nearly as fast as sound, or jumps: what is heard there is crossfaded.",
            "warning",
        )
    walls = make_walls(room, monitor)
    order = shot.render.reflection_order
    images = make_images(room, 0 if walls is None else order)
    local = room.to_local(places)
    if room.kind == "shoebox" and walls is not None:
        longest_m = (order + 1) * math.hypot(*room.size)
    else:
        low, high = local.min(axis=(0, 1)), local.max(axis=(0, 1))
        longest_m = float(np.linalg.norm(high - low))
        if walls is not None:
            longest_m += 2 * float(high[2])
    return _Scene(
        room,
        walls,
        images,
        order,
        frame_rate,
        local[1:],
        local[0],
        shot.listener_poses[:, :3, :3],
        room.to_local(np.eye(3)) - room.to_local(np.zeros(3)),
        _OVERSHOOT * longest_m + 1,
    )


class _Line:
    """One source's sound on its way, filtered and oversampled: `samples` (spectral buses, OVERSAMPLING, n) starts
    `history` samples before the current piece and reaches a little beyond its end."""

    def __init__(self, signal: Float32, filters: BusFilters, history: int, ahead: int) -> None:
        self._filters = filters
        self._ahead = ahead
        self._next = ahead - _PIECE
        padding = filters.half + _PIECE
        self._offset = padding
        self._signal = np.pad(signal, (padding, padding + ahead))
        self.samples = np.zeros((filters.count, OVERSAMPLING, history + _PIECE + ahead), np.float32)
        self.advance()

    def advance(self) -> None:
        """Go on by a piece; the first call leads to the piece that starts at sample 0."""
        self.samples[..., :-_PIECE] = self.samples[..., _PIECE:]
        start = self._next + self._offset - self._filters.half
        window = self._signal[start : start + _PIECE + 2 * self._filters.half]
        self.samples[..., -_PIECE:] = self._filters(window) if window.any() else 0
        self._next += _PIECE


def _early_sound(
    scene: _Scene, receiver: Receiver, rate_hz: int, sound: Float32, pieces: int, monitor: Monitor
) -> Iterator[Float32]:
    """Direct sound and first reflections, (channels, _PIECE) at a time."""
    hits = scene.images.hits
    log_gain = np.zeros((len(hits), 8)) if scene.walls is None else scene.walls.log_gain(hits)
    kinds, kind = np.unique(log_gain.round(9), axis=0, return_inverse=True)
    spectra = make_path_spectra(kinds, scene.longest_m, rate_hz)
    filters = BusFilters(spectra, rate_hz, _PIECE)
    ahead = math.ceil(_EARLIEST_S * rate_hz) + 8
    history = math.ceil((scene.longest_m / SPEED_OF_SOUND + _EARLIEST_S) * rate_hz) + 8
    lines = [_Line(signal, filters, history, ahead) for signal in sound]
    trajectories_of = [control_points(source) for source in scene.sources]
    listener, heads = control_points(scene.listener), orientation_keys(scene.heads)

    knots, images = _PIECE // BLOCK + 3, len(hits)
    delay = np.empty((knots, images, receiver.ears))
    share = np.empty((knots, images, filters.count), np.float32)
    weight = np.empty((knots, images, receiver.buses), np.float32)
    taps = receiver.taps
    buses = np.zeros((receiver.buses, taps + _PIECE), np.float32)
    new = np.empty((receiver.buses, _PIECE), np.float32)
    for piece in range(pieces):
        times_s = (piece * _PIECE + (np.arange(knots) - 1) * BLOCK) / rate_hz
        frames = times_s * scene.frame_rate
        places = positions_at(listener, frames)
        axes = _HEAD @ rotations_at(heads, frames).transpose(0, 2, 1) @ scene.turn
        new[:] = 0
        for line, trajectory in zip(lines, trajectories_of, strict=True):
            monitor.check()
            line.advance()
            if line.samples.any():
                solve_paths(
                    trajectory,
                    scene.frame_rate,
                    times_s,
                    places,
                    axes,
                    scene.images.offset,
                    scene.images.sign,
                    kind,
                    spectra.shares,
                    spectra.longest_m,
                    receiver.weights,
                    receiver.onsets_s,
                    rate_hz,
                    delay,
                    share,
                    weight,
                )
                add_paths(line.samples, history, delay, share, weight, design_reader()[0], new)
        if receiver.basis is None:
            yield new
            continue
        buses[:, :taps] = buses[:, -taps:]
        buses[:, taps:] = new
        result = np.empty((receiver.channels, _PIECE), np.float32)
        filter_buses(buses, receiver.basis, result)
        yield result


def _tail(scene: _Scene, receiver: Receiver, rate_hz: int, seed: int) -> Float32:
    """The late reverberation's impulse response, (channels, samples); empty where there is none."""
    if scene.walls is None or scene.room.kind != "shoebox":
        return np.zeros((receiver.channels, 0), np.float32)
    size_m = np.array(scene.room.size)
    times_s, share = late_share(
        size_m,
        scene.order,
        scene.walls,
        scene.sources.reshape(-1, 3),
        np.tile(scene.listener, (len(scene.sources), 1)),
    )
    return make_tail(size_m, scene.walls, times_s, share, receiver, rate_hz, seed)


def _add_convolved(output: Float32, signal: Float32, response: Float32, monitor: Monitor) -> None:
    """Add the convolution of a signal (n,) with a response (channels, m) to the output, as far as that reaches."""
    block = max(response.shape[1], 2 * _PIECE)
    size = fft.next_fast_len(block + response.shape[1], real=True)
    spectrum = fft.rfft(response, size, workers=-1)
    for start in range(0, len(signal), block):
        monitor.check()
        piece = signal[start : start + block]
        if piece.any():
            convolved = fft.irfft(fft.rfft(piece, size) * spectrum, size, workers=-1)
            room = output[:, start : start + size]
            room += convolved[:, : room.shape[1]]
