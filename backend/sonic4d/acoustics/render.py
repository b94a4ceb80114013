"""From a shot to finished audio: load the sources, render them, level the sum, write the file."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from .. import checks
from ..files import new_file
from ..monitor import Monitor
from ..protocol import Sonic4DError
from ..shot import Shot, ShotSource
from .fast import render_fast
from .formats import CHANNELS, loudness_mix
from .hifi import render_hifi
from .levels import Levels, normalize
from .paper import render_paper

Float32 = npt.NDArray[np.float32]

MODES: dict[str, Callable[[Shot, Sequence[Float32], Monitor], Float32]] = {
    "hifi": render_hifi,
    "fast": render_fast,
    "paper": render_paper,
}
FORMATS = {"hifi": tuple(CHANNELS), "fast": ("binaural",), "paper": ("binaural",)}
ENGINES = ("native", "gpurir", "auto")
FILE_TYPES = {".wav": ("WAV", "FLOAT"), ".flac": ("FLAC", "PCM_24")}

MAX_SAMPLES = 500_000_000  # per channel: 2.9 h at 48 kHz, the most that a stereo WAV file holds
MAX_WAV_BYTES = 4_000_000_000
MAX_FLAC_CHANNELS = 8
MAX_MEMORY_SAMPLES = 2_000_000_000
_WRITTEN_AT_ONCE = 1 << 20
LOUDEST = 1e15  # times full scale: +300 dB


@dataclass(frozen=True)
class Rendered:
    """`audio` (channels, samples); `warnings` as told to the user while rendering."""

    audio: Float32
    sample_rate: int
    levels: Levels
    warnings: tuple[str, ...]


def render_shot(shot: Shot, monitor: Monitor) -> Rendered:
    """Render a shot. Raises `Sonic4DError` if its settings or its sound files can't be rendered."""
    _check_settings(shot)
    warnings: list[str] = []

    def report(event: dict[str, Any]) -> None:
        if event["event"] == "log" and event["level"] == "warning":
            warnings.append(event["message"])
        monitor.report(event)

    watched = replace(monitor, report=report)
    try:
        signals = []
        for source in shot.sources:
            monitor.check()
            signals.append(_load(shot, source))
        audio = MODES[shot.render.mode](shot, signals, watched)
        monitor.check()
        levels = normalize(
            audio, shot.render.sample_rate, shot.render.normalize, loudness_mix(shot.render.format)
        )
    except MemoryError:
        raise Sonic4DError(
            "out_of_memory", "There isn't enough memory for this shot.", "Render it in parts."
        ) from None
    if levels.peak == 0:
        watched.log("The rendered sound is silent. Check the sources' sound and start.", "warning")
    return Rendered(audio, shot.render.sample_rate, levels, tuple(warnings))


def _check_settings(shot: Shot) -> None:
    render = shot.render
    _available("render mode", render.mode, tuple(MODES))
    _available(f"{render.mode} mode's audio format", render.format, FORMATS[render.mode])
    _available("engine", render.engine, ENGINES)
    if render.engine == "gpurir" and render.mode != "paper":
        raise Sonic4DError(
            "not_available",
            f'The engine "gpurir" renders only the mode "paper", not "{render.mode}".',
            'Set render.mode to "paper" or render.engine to "native".',
        )
    memory_samples = shot.sample_count * max(len(CHANNELS[render.format]), len(shot.sources))
    if shot.sample_count > MAX_SAMPLES or memory_samples > MAX_MEMORY_SAMPLES:
        raise Sonic4DError(
            "too_long",
            f"The shot lasts {shot.sample_count / render.sample_rate / 3600:.1f} h with "
            f"{len(shot.sources)} sources, which is too much for one file.",
            "Render it in parts.",
        )


def _available(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        names = ", ".join(f'"{name}"' for name in known)
        raise Sonic4DError(
            "not_available", f'The {what} "{value}" is not available yet.', f"Available: {names}."
        )


def _load(shot: Shot, source: ShotSource) -> Float32:
    """A source's sound as mono (shot.sample_count,) at the shot's rate: placed at its start, with its gain."""
    rate_hz = shot.render.sample_rate
    path = checks.inside(shot.folder, source.audio, f"the sound of {source.name}")
    start = round(source.start_s * rate_hz)
    # Whole seconds, so that the cut falls on a sample at the file's rate and at the shot's.
    skipped_s = max(0, math.floor(-source.start_s) - 1)
    needed_s = shot.sample_count / rate_hz - source.start_s - skipped_s
    mono = _read_mono(path, rate_hz, skipped_s, needed_s)
    loudest = float(np.abs(mono).max(initial=0))
    gain = 10 ** (source.gain_db / 20)
    if loudest * gain > LOUDEST:
        raise Sonic4DError(
            "too_loud", f"The sound of {source.name} is far too loud.", "Lower its gain."
        )
    first = start + skipped_s * rate_hz  # where `mono` begins, in samples of the shot
    signal = np.zeros(shot.sample_count, dtype=np.float32)
    place = signal[max(0, first) :]
    heard = mono[max(0, -first) :][: len(place)]
    place[: len(heard)] = heard * np.float32(gain)
    return signal


def _read_mono(path: Path, rate_hz: int, skipped_s: int, needed_s: float) -> Float32:
    """A sound file from `skipped_s` on, mixed to one channel, at `rate_hz`; `needed_s` long or a little longer, or
    shorter where the file ends."""
    if not path.is_file():
        raise Sonic4DError("missing_file", f"There is no sound file {path}.", "Check its path.")
    try:
        with soundfile.SoundFile(path) as file:
            file_rate_hz = file.samplerate
            if file.frames == 0:
                raise _bad_sound(path, "is empty")
            if _is_cut_short(file):
                raise _bad_sound(path, "is cut short")
            skipped = min(skipped_s * file_rate_hz, file.frames)
            wanted = min(file.frames - skipped, max(0, math.ceil((needed_s + 1) * file_rate_hz)))
            if wanted * file.channels > MAX_MEMORY_SAMPLES:
                raise _bad_sound(path, "is too large")
            file.seek(skipped)
            samples = file.read(wanted, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError, ValueError, TypeError):
        raise _bad_sound(path, "is damaged or no sound file") from None
    if len(samples) < wanted:
        raise _bad_sound(path, "is cut short")
    if not np.isfinite(samples).all():
        raise _bad_sound(path, "contains samples that are not numbers")
    mono = samples.mean(axis=1)
    if file_rate_hz == rate_hz or not len(mono):
        return mono
    return soxr.resample(mono, file_rate_hz, rate_hz, quality="VHQ")


def _is_cut_short(file: soundfile.SoundFile) -> bool:
    """Whether a WAV holds less than its header says. Streamed files, whose header says "all there is", do not count."""
    sizes = re.search(r"^data : (\d+) \(should be (\d+)\)$", file.extra_info, re.MULTILINE)
    return sizes is not None and int(sizes[2]) < int(sizes[1]) < 0x7FFF0000


def _bad_sound(path: Path, what: str) -> Sonic4DError:
    return Sonic4DError(
        "bad_audio", f"The sound file {path} {what}.", "Choose another one, as WAV or FLAC."
    )


def render_to_file(shot: Shot, output: Path, monitor: Monitor) -> Path:
    """Render a shot to .wav (32-bit float) or .flac (24-bit); the file appears complete or not at all.

    WAV becomes WAVE_FORMAT_EXTENSIBLE with more than two channels and RF64 (EBU Tech 3306) beyond 4 GB.
    """
    file_type = FILE_TYPES.get(output.suffix.lower())
    if file_type is None:
        raise Sonic4DError(
            "bad_option",
            f'"{output.name}" is no sound file name.',
            f"End it with {' or '.join(FILE_TYPES)}.",
        )
    channels = len(CHANNELS.get(shot.render.format, ()))
    if file_type[0] == "FLAC" and channels > MAX_FLAC_CHANNELS:
        raise Sonic4DError(
            "bad_option",
            f"A FLAC file holds {MAX_FLAC_CHANNELS} channels; {shot.render.format} has {channels}.",
            "Choose a name that ends with .wav.",
        )
    with new_file(output) as path:
        rendered = render_shot(shot, monitor)
        if file_type[1] == "PCM_24" and rendered.levels.peak > 1:
            monitor.log("The sound is louder than a FLAC file can hold and was clipped.", "warning")
        _write(path, rendered, file_type, monitor)
    monitor.artifact("audio", output)
    return output


def _write(path: Path, rendered: Rendered, file_type: tuple[str, str], monitor: Monitor) -> None:
    """Write audio piece by piece. Raises `OSError` where it doesn't fit on the disk."""
    audio = rendered.audio
    kind, subtype = file_type
    if kind == "WAV" and audio.nbytes > MAX_WAV_BYTES:
        kind = "RF64"
    elif kind == "WAV" and len(audio) > 2:
        kind = "WAVEX"
    try:
        with soundfile.SoundFile(
            path, "w", rendered.sample_rate, len(audio), subtype, format=kind
        ) as file:
            for start in range(0, audio.shape[1], _WRITTEN_AT_ONCE):
                monitor.check()
                file.write(audio[:, start : start + _WRITTEN_AT_ONCE].T)
        written = soundfile.info(path).frames
    except (soundfile.SoundFileError, AssertionError) as error:
        raise OSError(str(error)) from error
    if written != audio.shape[1]:
        raise OSError("the disk is full")
