"""From a shot to finished audio: load the sources, render them, level the sum, write the files.

from sonic4d.acoustics import render
from sonic4d.shot import read_shot

rendered = render.render_shot(read_shot(Path("shot.json")))      # audio (channels, samples), levels, warnings
render.render_to_file(read_shot(Path("shot.json")), Path("binaural.wav"))
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..files import new_file, write_json
from ..monitor import SILENT, Monitor
from ..protocol import Sonic4DError
from ..shot import Shot, ShotSource
from .adm import adm_chunks
from .ambisonics import ORDERS
from .audio_files import bits, check_name, write_audio
from .decoder import on_headphones
from .fast import render_fast
from .formats import ADM, CHANNELS, loudness_mix
from .levels import Levels, normalize
from .objects import BED, render_objects
from .paper import render_paper
from .parallel import one_blas_thread
from .rerender import render_hifi_again
from .sounds import MAX_MEMORY_SAMPLES, load_sound

Float32 = npt.NDArray[np.float32]

MODES: dict[str, Callable[[Shot, Sequence[Float32], Monitor], Float32]] = {
    "hifi": render_hifi_again,
    "fast": render_fast,
    "paper": render_paper,
}
FORMATS = {"hifi": (*CHANNELS, ADM), "fast": ("binaural",), "paper": ("binaural",)}
ENGINES = ("native", "gpurir", "auto")

MAX_SAMPLES = 500_000_000  # per channel: 2.9 h at 48 kHz, the most that a stereo WAV file holds


@dataclass(frozen=True)
class Rendered:
    """`audio` (channels, samples), whose names are `channels`; `warnings` as told to the user while rendering; `chunks` that
    belong into its file."""

    audio: Float32
    sample_rate: int
    channels: tuple[str, ...]
    levels: Levels
    warnings: tuple[str, ...]
    chunks: dict[bytes, bytes] = field(default_factory=dict)


@one_blas_thread()
def render_shot(shot: Shot, monitor: Monitor = SILENT) -> Rendered:
    """Render a shot. Raises `Sonic4DError` if its settings or its sound files can't be rendered.

    Of shots like the last ones, hifi renders only what is different (`rerender`).
    """
    check_settings(shot)
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
            signals.append(load_sound(shot, source))
        _warn_of_what_is_left_out(shot, watched)
        rendered = (_objects if shot.render.format == ADM else _channels)(shot, signals, watched)
    except MemoryError:
        raise Sonic4DError(
            "out_of_memory", "There isn't enough memory for this shot.", "Render it in parts."
        ) from None
    if rendered.levels.peak == 0:
        watched.log("The rendered sound is silent. Check the sources' sound and start.", "warning")
    return replace(rendered, warnings=tuple(warnings))


def _channels(shot: Shot, signals: Sequence[Float32], monitor: Monitor) -> Rendered:
    render = shot.render
    audio = MODES[render.mode](shot, signals, monitor)
    monitor.check()
    if render.format in ORDERS:
        heard = on_headphones(audio, ORDERS[render.format], render.sample_rate)
        levels = normalize(audio, render.sample_rate, render.normalize, heard=heard)
    else:
        mix = loudness_mix(render.format)
        levels = normalize(audio, render.sample_rate, render.normalize, mix)
    return Rendered(audio, render.sample_rate, CHANNELS[render.format], levels, ())


def _objects(shot: Shot, signals: Sequence[Float32], monitor: Monitor) -> Rendered:
    """Its loudness is that of what is heard from the loudspeakers of `BED`; neither that nor the file's own channels go beyond
    its peak."""
    render = shot.render
    objects = render_objects(shot, signals, monitor)
    monitor.check()
    both = np.concatenate((objects.audio, objects.panned))
    levels = normalize(
        both, render.sample_rate, render.normalize, loudness_mix(BED), heard=objects.panned
    )
    audio = both[: len(objects.audio)]
    names = [source.name for source in shot.sources]
    chunks = adm_chunks(
        names,
        objects.trajectories,
        objects.has_bed,
        audio.shape[1],
        render.sample_rate,
        16 if render.sample_format == "pcm16" else 24,
        shot.name,
    )
    channels = (*names, *(CHANNELS[BED] if objects.has_bed else ()))
    return Rendered(audio, render.sample_rate, channels, levels, (), chunks)


def check_settings(shot: Shot) -> None:
    """Raise a `Sonic4DError` for what can't be rendered, before anything is read."""
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
    if render.tdiff_s is not None and render.mode == "hifi":
        raise Sonic4DError(
            "not_available",
            "The hifi mode has a late field of its own and no Tdiff.",
            "Set render.tdiff_s to null.",
        )
    if render.format == ADM and (render.sample_rate != 48000 or render.stems):
        raise Sonic4DError(
            "not_available",
            "ADM has 48 kHz, and each source as an object in the one file.",
            "Set render.sample_rate to 48000 and render.stems to false.",
        )
    channels = len(CHANNELS[BED]) + len(shot.sources)
    if render.format != ADM:
        channels = max(len(CHANNELS[render.format]), len(shot.sources))
    memory_samples = shot.sample_count * channels
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


def _warn_of_what_is_left_out(shot: Shot, monitor: Monitor) -> None:
    if shot.render.mode == "hifi":
        return
    if shot.occluders:
        monitor.log(f"The {shot.render.mode} mode knows no obstacles.", "warning")
    directive = [source.name for source in shot.sources if source.directivity.pattern != "omni"]
    if directive:
        monitor.log(
            f"The {shot.render.mode} mode takes every source as omnidirectional, also {', '.join(directive)}.",
            "warning",
        )


def render_to_file(shot: Shot, output: Path, monitor: Monitor = SILENT) -> Path:
    """Render a shot to .wav or .flac in `shot.render.sample_format`; the file appears complete or not at all.

    Beside NAME.wav a report NAME.report.json tells levels, channels and warnings. With `shot.render.stems` there is a
    NAME.stem-SOURCE.wav for each source: what it adds to the whole.
    """
    render = shot.render
    check_settings(shot)
    check_name(output, render.format, len(CHANNELS.get(render.format, ())))
    with new_file(output) as path:
        rendered = render_shot(shot, monitor)
        if (
            bits(output, render.sample_format) or render.format == ADM
        ) and rendered.levels.peak > 1:
            monitor.log("The sound is louder than the file can hold and was clipped.", "warning")
        _write(path, rendered, shot, monitor)
    monitor.artifact("audio", output)
    if render.stems:
        _write_stems(shot, rendered, output, monitor)
    report = output.with_name(f"{output.stem}.report.json")
    write_json(report, _report(shot, rendered))
    monitor.artifact("report", report)
    return output


def _write(path: Path, rendered: Rendered, shot: Shot, monitor: Monitor) -> None:
    render = shot.render
    sample_format = render.sample_format
    if render.format == ADM and sample_format == "float":
        sample_format = "pcm24"  # which its players read
    write_audio(
        path,
        rendered.audio,
        rendered.sample_rate,
        sample_format,
        render.seed,
        monitor,
        rendered.chunks,
    )


def _write_stems(shot: Shot, whole: Rendered, output: Path, monitor: Monitor) -> None:
    """A file for each source, with the gain of the whole: their sum is the whole."""
    unlevelled = replace(shot.render, normalize=replace(shot.render.normalize, kind="none"))
    gain = np.float32(10 ** (whole.levels.gain_db / 20))
    taken: set[str] = set()
    for number, source in enumerate(shot.sources, 1):
        monitor.check()
        name = re.sub(r"[^\w.-]+", "_", source.name)[:60].strip("._") or f"source{number}"
        if name.lower() in taken:
            name = f"{name}-{number}"
        taken.add(name.lower())
        path = output.with_name(f"{output.stem}.stem-{name}{output.suffix}")
        others = [_muted(s) for s in shot.sources]
        others[number - 1] = source
        alone = replace(shot, sources=tuple(others), render=unlevelled)
        with new_file(path) as work:
            stem = render_shot(alone, replace(monitor, report=lambda event: None))
            _write(work, replace(stem, audio=stem.audio * gain), shot, monitor)
        monitor.artifact("stem", path)


def _muted(source: ShotSource) -> ShotSource:
    """Silent, but where it was: the room must stay the same."""
    return replace(source, gain_db=-math.inf)


def _report(shot: Shot, rendered: Rendered) -> dict[str, Any]:
    levels = rendered.levels
    return {
        "sonic4d_report": 1,
        "mode": shot.render.mode,
        "format": shot.render.format,
        "channels": list(rendered.channels),
        "sample_rate": rendered.sample_rate,
        "samples": rendered.audio.shape[1],
        "gain_db": round(levels.gain_db, 3),
        "loudness_lufs": _rounded(levels.loudness_lufs),
        "loudness_range_lu": _rounded(levels.loudness_range_lu),
        "true_peak_dbtp": _decibels(levels.true_peak),
        "sample_peak_dbfs": _decibels(levels.peak),
        "warnings": list(rendered.warnings),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _decibels(linear: float) -> float | None:
    """None for silence."""
    return round(20 * math.log10(linear), 2) if linear else None
