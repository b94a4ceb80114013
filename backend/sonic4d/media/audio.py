"""Sound in and out: any sound track or file as mono at one rate, aligned with the picture; WAV as output."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import soxr

from ..acoustics.audio_files import write_audio
from ..files import new_file
from ..monitor import SILENT, Monitor
from ..protocol import Sonic4DError
from .reading import decoded, opened, zero_s

Mono = npt.NDArray[np.float32]  # (samples,)

RESYNC_S = 0.03  # containers round time stamps to milliseconds; only a larger step is a real gap
FILTER_MARGIN_S = 0.05  # sound around the clip for the resampling filter

# The half sum of ITU-R BS.775's stereo (Lo/Ro) downmix: centre, surround and height at -3 dB, LFE left out.
_SIDE, _CENTRE = 0.5, math.sqrt(0.5)
_MONO_GAINS = {
    **dict.fromkeys(("FL", "FR", "FLC", "FRC", "DL", "DR", "WL", "WR"), _SIDE),
    **dict.fromkeys(("FC", "TFC"), _CENTRE),
    **dict.fromkeys(("BC", "TC", "TBC"), 0.5),
    **dict.fromkeys(("LFE", "LFE2"), 0.0),
}
_SURROUND = 0.5 * math.sqrt(0.5)


def mono_gains(channels: tuple[str, ...]) -> npt.NDArray[np.float32]:
    """The gain of each channel in the mono downmix, by FFmpeg's channel names ("FL", "LFE", ...).

    Mono stays as it is; channels whose places are unknown are averaged.
    """
    gains = np.array([_MONO_GAINS.get(name, _SURROUND) for name in channels], np.float32)
    if len(channels) == 1:
        return np.ones(1, np.float32)
    if not {"FL", "DL", "FC"} & {*channels}:
        return np.full(len(channels), 1 / len(channels), np.float32)
    return gains


def read_mono(
    path: Path,
    start_s: float,
    duration_s: Fraction | float,
    rate_hz: int = 48000,
    monitor: Monitor = SILENT,
) -> Mono:
    """The sound of a video or sound file from `start_s` on (the same time line as `media.video`), mixed to mono.

    Returns exactly round(duration_s * rate_hz) samples, float32, silent where the file has no sound. Scaled down
    where the downmix exceeds full scale. Raises `Sonic4DError` where there is no sound track or it is damaged.
    """
    with opened(path) as container:
        stream = _sound_track(container, path)
        source_hz = stream.codec_context.sample_rate
        first = math.floor((start_s - FILTER_MARGIN_S) * source_hz)
        end = math.ceil((start_s + duration_s + FILTER_MARGIN_S) * source_hz)
        samples = np.zeros(end - first, np.float32)
        _fill(samples, container, stream, first, source_hz, monitor)
    if not np.isfinite(samples).all():
        raise Sonic4DError(
            "bad_audio",
            f"The sound of {path.name} holds values that are not numbers.",
            "Export the sound again, or give another file with --audio FILE.",
        )
    resampled = soxr.resample(samples, source_hz, rate_hz, quality="VHQ")
    offset = round((start_s - first / source_hz) * rate_hz)
    mono = resampled[offset : offset + round(duration_s * rate_hz)]
    return mono / max(1.0, float(np.abs(mono).max(initial=0)))


def track_length(path: Path) -> tuple[int, float]:
    """Sample rate and seconds of a file's sound track. Raises `Sonic4DError` where there is none."""
    with opened(path) as container:
        stream = _sound_track(container, path)
        if stream.duration is not None and stream.time_base is not None:
            length_s = float(stream.duration * stream.time_base)
        else:
            length_s = (container.duration or 0) / av.time_base
        return stream.codec_context.sample_rate, length_s


def _sound_track(container: av.container.InputContainer, path: Path) -> av.AudioStream:
    stream = next((s for s in container.streams.audio if s.codec_context is not None), None)
    if stream is None:
        raise Sonic4DError(
            "no_audio",
            f"{path.name} has no sound track.",
            "Give the sound of the object as a file: --audio FILE.",
        )
    return stream


def _fill(
    samples: Mono,
    container: av.container.InputContainer,
    stream: av.AudioStream,
    first: int,
    source_hz: int,
    monitor: Monitor,
) -> None:
    """Decode into `samples`, whose first one is number `first` of the file's time line."""
    packed = av.AudioResampler("flt")  # PyAV reads past the end of planar frames of 8 channels
    position = None
    any_sound = damaged = False
    for frame in decoded(container, stream, first / source_hz):
        monitor.check()
        if frame is None:
            damaged = True
            continue
        any_sound = True
        time_s = None if frame.time is None else frame.time - zero_s(container)
        for part in packed.resample(frame):
            gains = mono_gains(tuple(c.name for c in part.layout.channels))
            block = part.to_ndarray().reshape(-1, len(gains)) @ gains
            stamped = position if time_s is None else round(time_s * source_hz)
            if position is None or abs(stamped - position) > RESYNC_S * source_hz:
                position = stamped or 0
            begin = position - first
            position += len(block)
            low, high = max(begin, 0), min(begin + len(block), len(samples))
            if low < high:
                samples[low:high] = block[low - begin : high - begin]
        if position - first >= len(samples):
            return
    # A sound that ends before the part that is wanted is silence.
    if damaged and not any_sound or position is None and first <= 0:
        what = "can't be decoded" if damaged else "is empty"
        raise Sonic4DError(
            "bad_audio",
            f"The sound of {Path(container.name).name} {what}.",
            "Check that it plays elsewhere, or give another file with --audio FILE.",
        )


def write_wav(path: Path, audio: npt.NDArray[np.float32], rate_hz: int) -> None:
    """Write (samples,) or (channels, samples) as 32-bit float WAV. Raises `Sonic4DError` if it can't be written."""
    with new_file(path) as work:
        samples = np.atleast_2d(np.asarray(audio, np.float32))
        write_audio(work, samples, rate_hz, "float", 0, SILENT)
