"""The sound of a source: read, mixed to one channel, brought to the shot's rate, put where it starts, repeated."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from .. import checks
from ..protocol import Sonic4DError
from ..shot import Shot, ShotSource
from . import scratch
from .levels import peak

Float32 = npt.NDArray[np.float32]

MAX_MEMORY_SAMPLES = 2_000_000_000
LOUDEST = 1e15  # times full scale: +300 dB
_SEAM_S = 0.25  # of a loop, resampled together with what follows and comes before
_READ_AT_ONCE = 1 << 20
_REMEMBERED = 16
_FFMPEG_SUFFIXES = {".aac", ".avi", ".m4a", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".webm", ".wma"}
_REMEMBERED_SAMPLES = 20_000_000


def load_sound(shot: Shot, source: ShotSource) -> Float32:
    """A source's sound as mono (shot.sample_count,) at the shot's rate: placed at its start, with its gain.

    A loop repeats without end from its start on, with the exact period of its file, however long that is in samples.
    Raises `Sonic4DError`.
    """
    path = checks.inside(shot.folder, source.audio, f"the sound of {source.name}")
    signal = _looped(shot, source, path) if source.loop else _placed(shot, source, path)
    gain = 10 ** (source.gain_db / 20)
    loudest = gain if source.envelope is None else gain * float(source.envelope.max())
    if peak(signal) * loudest > LOUDEST:
        raise Sonic4DError(
            "too_loud", f"The sound of {source.name} is far too loud.", "Lower its gain."
        )
    if gain != 1:
        signal *= np.float32(gain)
    if source.heard_s is not None:
        first, last = (round(time_s * shot.render.sample_rate) for time_s in source.heard_s)
        signal[: max(0, first)] = 0
        signal[max(0, last) :] = 0
    if source.envelope is not None:
        _shape(signal, source.envelope, float(shot.render.sample_rate / shot.frame_rate))
    return signal


def _shape(signal: Float32, envelope: npt.NDArray[np.float64], samples_per_frame: float) -> None:
    """Multiply a signal by gains (n_frames,), linear between the frames; the last one holds."""
    frames = np.arange(len(envelope)) * samples_per_frame
    for start in range(0, len(signal), _READ_AT_ONCE):
        piece = signal[start : start + _READ_AT_ONCE]
        piece *= np.interp(start + np.arange(len(piece)), frames, envelope).astype(np.float32)


def _placed(shot: Shot, source: ShotSource, path: Path) -> Float32:
    rate_hz = shot.render.sample_rate
    start = round(source.start_s * rate_hz)
    # Whole seconds, so that the cut falls on a sample at the file's rate and at the shot's.
    skipped_s = max(0, math.floor(-source.start_s) - 1) if source.pitch == 1 else 0
    needed_s = shot.sample_count / rate_hz - source.start_s - skipped_s
    mono = _resampled(path, rate_hz, skipped_s, needed_s, source.pitch)
    first = start + skipped_s * rate_hz  # where `mono` begins, in samples of the shot
    signal = scratch.zeros((shot.sample_count,))
    place = signal[max(0, first) :]
    heard = mono[max(0, -first) :][: len(place)]
    place[: len(heard)] = heard
    return signal


def _looped(shot: Shot, source: ShotSource, path: Path) -> Float32:
    """Each repetition is read from the resampled loop where it falls, between samples if need be."""
    rate_hz = shot.render.sample_rate
    mono, file_rate_hz = _read_mono(path, 0, math.inf)
    file_rate_hz *= source.pitch
    period_s = len(mono) / file_rate_hz
    # What the loop runs into and comes from, so that its ends are resampled like its middle.
    seam = max(1, round(_SEAM_S * file_rate_hz))
    around = np.take(mono, np.arange(-seam, len(mono) + seam), mode="wrap")
    resampled = _at_rate(around, file_rate_hz, rate_hz)
    signal = np.zeros(shot.sample_count, dtype=np.float32)
    first = max(0, math.ceil(source.start_s * rate_hz))
    time_s = np.arange(first, shot.sample_count) / rate_hz - source.start_s
    place = (time_s % period_s + seam / file_rate_hz) * rate_hz
    if float(period_s * rate_hz).is_integer() and float(seam * rate_hz / file_rate_hz).is_integer():
        start = source.start_s * rate_hz
        place += round(start) - start  # on whole samples nothing needs to be interpolated
        signal[first:] = resampled[np.round(place).astype(np.int64)]
    else:
        signal[first:] = _between(resampled, place)
    return signal


def _between(samples: Float32, place: npt.NDArray[np.float64]) -> Float32:
    """Samples at fractional places: windowed sincs of 32 points (Kaiser, -100 dB up to 0.85 of half the rate)."""
    half = 16
    whole = np.floor(place).astype(np.int64)
    fraction = place - whole
    padded = np.pad(samples, half)
    result = np.zeros(len(place))
    for tap in range(1 - half, half + 1):
        offset = tap - fraction
        window = np.i0(10 * np.sqrt(np.maximum(1 - (offset / half) ** 2, 0))) / np.i0(10)
        result += padded[whole + tap + half] * np.sinc(offset) * window
    return result.astype(np.float32)


def _resampled(path: Path, rate_hz: int, skipped_s: int, needed_s: float, pitch: float) -> Float32:
    """A sound file from `skipped_s` on at `rate_hz`, played `pitch` times faster; `needed_s` long or a little longer, or
    shorter where the file ends. The last ones are remembered, for a shot that is rendered again."""
    if not path.is_file():
        raise Sonic4DError("missing_file", f"There is no sound file {path}.", "Check its path.")
    state = path.stat()
    if needed_s * rate_hz > _REMEMBERED_SAMPLES:
        return _resampled_anew(path, rate_hz, skipped_s, needed_s, pitch)
    identity = (state.st_mtime_ns, state.st_size)
    return _remembered(path, identity, rate_hz, skipped_s, needed_s, pitch)


@lru_cache(maxsize=_REMEMBERED)
def _remembered(
    path: Path,
    identity: tuple[int, int],
    rate_hz: int,
    skipped_s: int,
    needed_s: float,
    pitch: float,
) -> Float32:
    mono = _resampled_anew(path, rate_hz, skipped_s, needed_s, pitch)
    mono.flags.writeable = False
    return mono


def _resampled_anew(
    path: Path, rate_hz: int, skipped_s: int, needed_s: float, pitch: float
) -> Float32:
    mono, file_rate_hz = _read_mono(path, skipped_s, needed_s * pitch)
    return _at_rate(mono, file_rate_hz * pitch, rate_hz)


def _at_rate(mono: Float32, file_rate_hz: float, rate_hz: int) -> Float32:
    if file_rate_hz == rate_hz or not len(mono):
        return mono
    result = scratch.zeros((math.ceil(len(mono) * rate_hz / file_rate_hz) + 1,))
    stream = soxr.ResampleStream(file_rate_hz, rate_hz, 1, dtype="float32", quality="VHQ")
    done = 0
    for start in range(0, len(mono), _READ_AT_ONCE):
        last = start + _READ_AT_ONCE >= len(mono)
        piece = stream.resample_chunk(mono[start : start + _READ_AT_ONCE], last=last)
        piece = piece[: len(result) - done]
        result[done : done + len(piece)] = piece
        done += len(piece)
    return result[:done]


def _read_mono(path: Path, skipped_s: int, needed_s: float) -> tuple[Float32, int]:
    """A sound file from `skipped_s` on, mixed to one channel, and its rate."""
    if not path.is_file():
        raise Sonic4DError("missing_file", f"There is no sound file {path}.", "Check its path.")
    if path.suffix.lower() in _FFMPEG_SUFFIXES:
        return _sound_track(path, skipped_s, needed_s)
    try:
        with soundfile.SoundFile(path) as file:
            rate_hz = file.samplerate
            if file.frames == 0:
                raise _bad_sound(path, "is empty")
            if _is_cut_short(file):
                raise _bad_sound(path, "is cut short")
            skipped = min(skipped_s * rate_hz, file.frames)
            wanted = file.frames - skipped
            if math.isfinite(needed_s):
                wanted = min(wanted, max(0, math.ceil((needed_s + 1) * rate_hz)))
            if wanted * file.channels > MAX_MEMORY_SAMPLES:
                raise _bad_sound(path, "is too large")
            file.seek(skipped)
            mono = scratch.zeros((wanted,))
            done = 0
            while len(
                piece := file.read(_READ_AT_ONCE, dtype="float32", always_2d=True)[: wanted - done]
            ):
                mono[done : done + len(piece)] = piece.mean(axis=1)
                done += len(piece)
    except (OSError, soundfile.SoundFileError, ValueError, TypeError):
        raise _bad_sound(path, "is damaged or no sound file") from None
    if done < wanted:
        raise _bad_sound(path, "is cut short")
    if not math.isfinite(peak(mono)):
        raise _bad_sound(path, "contains samples that are not numbers")
    return mono, rate_hz


def _sound_track(path: Path, skipped_s: int, needed_s: float) -> tuple[Float32, int]:
    """As `_read_mono`, of what libsndfile doesn't read."""
    from ..media.audio import read_mono, track_length  # its library takes a while to load

    rate_hz, length_s = track_length(path)
    wanted_s = max(0.0, min(needed_s + 1, length_s - skipped_s))
    if wanted_s * rate_hz > MAX_MEMORY_SAMPLES:
        raise _bad_sound(path, "is too large")
    return read_mono(path, skipped_s, wanted_s, rate_hz), rate_hz


def _is_cut_short(file: soundfile.SoundFile) -> bool:
    """Whether a WAV holds less than its header says. Streamed files, whose header says "all there is", do not count."""
    sizes = re.search(r"^data : (\d+) \(should be (\d+)\)$", file.extra_info, re.MULTILINE)
    return sizes is not None and int(sizes[2]) < int(sizes[1]) < 0x7FFF0000


def _bad_sound(path: Path, what: str) -> Sonic4DError:
    return Sonic4DError(
        "bad_audio", f"The sound file {path} {what}.", "Choose another one, as WAV or FLAC."
    )
