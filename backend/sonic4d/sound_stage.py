"""Stage I's sound of `generate`: the video's own track, a file, or a model that makes it from the pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr

from .bundle import Expert, SourceTrack
from .experts.choose import load
from .experts.machine import Machine, this_machine
from .experts.mmaudio.choice import choose_mmaudio, options
from .experts.protocols import AudioModel, SilentVideo
from .experts.store import Ready, parse_overrides
from .kept_stages import Contents, kept_stage
from .media.audio import Mono, read_mono
from .media.video import Clip, read_pictures
from .monitor import Monitor
from .protocol import Sonic4DError
from .settings import GenerateSettings
from .sources.view import source_view

SOUND_RATE_HZ = 48000
PICTURE_HEIGHT_PX = 1080  # a model sees pictures of this height at most

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class SoundMaker:
    """The model that makes the sound, and why this one. each: a sound for each source, of what is seen around it."""

    ready: Ready
    machine: Machine
    reason: str
    each: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Sound:
    """mono: (samples,) at 48 kHz, as long as the shot to the sample. of_sources: by their files, where each has its own."""

    mono: Mono
    provenance: tuple[Expert, ...] = ()
    warnings: tuple[str, ...] = ()
    of_sources: Mapping[str, Mono] = field(default_factory=dict)


def choose_sound(settings: GenerateSettings, monitor: Monitor) -> SoundMaker | None:
    """Decide before the long work; None where the sound is there already. Raises `Sonic4DError` where the model that is asked for isn't here or doesn't fit."""
    if settings.audio not in options():
        for_models = {
            "--audio-prompt": settings.audio_prompt,
            "--audio-negative-prompt": settings.audio_negative_prompt,
            "--audio-view source": settings.audio_view == "source",
        }
        for option, value in for_models.items():
            if value:
                raise Sonic4DError(
                    "bad_option",
                    f"{option} is for sounds that a model makes.",
                    "Give --audio mmaudio with it.",
                )
        return None
    monitor.progress("loading", 0, 1)
    machine = this_machine()
    choice = choose_mmaudio(settings.audio, parse_overrides(settings.model), machine)
    monitor.progress("loading", 1, 1)
    assert choice.ready is not None
    model = choice.ready.model
    monitor.log(f"Sound by {model.name}. {choice.reason}")
    licence = (
        f"The sound was made by {model.name}, whose licence ({model.licence_text}) "
        "does not allow commercial use."
    )
    warnings = (*choice.warnings, *[licence] * (not model.commercial))
    each = settings.audio_view == "source"
    return SoundMaker(choice.ready, machine, choice.reason, each, warnings)


def sound_of_shot(
    maker: SoundMaker | None, shot: Clip, settings: GenerateSettings, kept: Path, monitor: Monitor
) -> Sound:
    """The sound of the whole picture; silence where each source is to get its own. Raises `Sonic4DError`."""
    if maker is None:
        return _read(shot, settings, monitor)
    if maker.each:
        return Sound(np.zeros(_sample_count(shot), np.float32))
    words = settings.audio_prompt or (settings.sound_source or "").replace(";", ",")
    mono = _Making(maker, shot, settings, kept, monitor).sound(None, words)
    return Sound(mono, _provenance(maker, words, settings, "the whole picture"), maker.warnings)


def sounds_of_sources(
    maker: SoundMaker,
    shot: Clip,
    tracks: Sequence[SourceTrack],
    settings: GenerateSettings,
    kept: Path,
    monitor: Monitor,
) -> Sound:
    """A sound of each source, of what is seen around it; `mono` is their mix. Raises `Sonic4DError`."""
    making = _Making(maker, shot, settings, kept, monitor)
    made: dict[str, Mono] = {}
    provenance: list[Expert] = []
    for track in tracks:
        named = track.name if track.found_by == "words" else ""
        words = settings.audio_prompt or named or settings.sound_source or ""
        made[track.audio] = making.sound(track, words)
        what = f'what is seen around "{track.name}"'
        provenance += _provenance(maker, words, settings, what)
    mix = np.sum([*made.values()], axis=0, dtype=np.float32)
    mix /= max(1.0, float(np.abs(mix).max(initial=0)))
    return Sound(mix, tuple(provenance), maker.warnings, made)


@dataclass(frozen=True)
class _Making:
    """Making the sounds of a shot; what an interrupted generation had made lies in the folder `kept`."""

    maker: SoundMaker
    shot: Clip
    settings: GenerateSettings
    kept: Path
    monitor: Monitor

    @cached_property
    def model(self) -> AudioModel:
        return load(self.maker.ready, self.maker.machine)

    def sound(self, track: SourceTrack | None, words: str) -> Mono:
        """Of what is seen around a source, or in the whole picture."""
        shot, settings, ready = self.shot, self.settings, self.maker.ready
        seen = (shot.frames, shot.start_s, shot.frame_rate, track.boxes if track else None)
        asked = (words, settings.audio_negative_prompt, settings.seed)
        key = (ready.model.name, ready.commits, ready.folders, *seen, *asked)

        def make() -> Contents:
            video = _silent_video(shot, settings.video, track, self.monitor)
            return {"mono": _made(self.model, video, words, settings, self.monitor)}, {}

        arrays, _ = kept_stage(self.kept, "sound", key, make, self.monitor)
        return arrays["mono"]


def _made(
    model: AudioModel, video: SilentVideo, words: str, settings: GenerateSettings, monitor: Monitor
) -> Mono:
    sound = model(video, words, settings.audio_negative_prompt or "", settings.seed, monitor)
    resampled = soxr.resample(sound.samples, sound.rate_hz, SOUND_RATE_HZ, quality="VHQ")
    mono = np.zeros(round(video.duration_s * SOUND_RATE_HZ), np.float32)
    count = min(len(mono), len(resampled))
    mono[:count] = resampled[:count]
    return mono / max(1.0, float(np.abs(mono).max(initial=0)))


def _silent_video(
    shot: Clip, path: Path, track: SourceTrack | None, monitor: Monitor
) -> SilentVideo:
    """The shot's pictures as large as the file has them, or what is around a source in them."""

    def pictures(numbers: Sequence[int]) -> Iterator[tuple[int, Picture]]:
        views = None
        for number, picture in read_pictures(
            path, shot.start_s, numbers, PICTURE_HEIGHT_PX, monitor
        ):
            if track is not None and views is None:
                size = (picture.shape[1], picture.shape[0])
                views = source_view(track.boxes, float(shot.frame_rate), size)
            if views is not None:
                x0, y0, x1, y1 = views[number]
                picture = picture[y0:y1, x0:x1]
            yield number, picture

    return SilentVideo(pictures, shot.frame_rate, len(shot.frames))


def _provenance(
    maker: SoundMaker, words: str, settings: GenerateSettings, what: str
) -> tuple[Expert, ...]:
    ready = maker.ready
    asked = f'prompt "{words}"' if words else "no prompt"
    if settings.audio_negative_prompt:
        asked += f', not "{settings.audio_negative_prompt}"'
    reason = f"{maker.reason} Made from {what}; {asked}; seed {settings.seed}."
    return (Expert("audio", ready.model.name, ready.commit, ready.model.licence_text, reason),)


def _read(shot: Clip, settings: GenerateSettings, monitor: Monitor) -> Sound:
    """From the video or a file."""
    own = settings.audio == "track"
    path = settings.video if own else Path(settings.audio)
    duration_s = len(shot.frames) / shot.frame_rate
    monitor.progress("audio", 0, 1)
    mono = read_mono(path, shot.start_s, duration_s, SOUND_RATE_HZ, monitor)
    monitor.progress("audio", 1, 1)
    last = np.flatnonzero(mono)
    heard_s = (last[-1] + 1) / SOUND_RATE_HZ if len(last) else 0.0
    span = f"{shot.start_s:.2f}-{shot.start_s + float(duration_s):.2f} s of the video"
    warnings = []
    if not len(last):
        warnings.append(f"The sound of {path.name} is silent in {span}.")
    elif heard_s < duration_s - 0.5:
        warnings.append(
            f"The sound of {path.name} ends {heard_s:.2f} s after the start of {span}; the rest is silent."
        )
    if own:
        expert = Expert("audio", "sound track", "", "see the credits", "The video's own sound.")
    else:
        expert = Expert("audio", path.name, "", "as given", "The sound file that was given.")
    return Sound(mono, (expert,), tuple(warnings))


def _sample_count(shot: Clip) -> int:
    return round(len(shot.frames) / shot.frame_rate * SOUND_RATE_HZ)
