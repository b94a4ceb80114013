"""A shot's picture without holes: a novel-view expert turns the render of the scene into a video (`sonic4d enhance`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import __version__, checks
from .bundle import BACKGROUND, SOURCE_VIDEO, Bundle, Expert, cloud_file, read_bundle
from .experts.choose import choose, load
from .experts.machine import this_machine
from .experts.model import Model
from .experts.protocols import Sampling
from .experts.registry import of_job
from .experts.store import is_cached, parse_overrides
from .files import check_new_file, write_json
from .geometry.cameras import Intrinsics
from .geometry.ply import read_ply
from .media.video import read_clip, write_video
from .monitor import Monitor
from .protocol import Sonic4DError
from .scene.depth import Frames, Points
from .scene.fill import fill_holes
from .scene.novel_view import Frame, View
from .shot import Shot, read_shot

AUTO, FILL = "auto", "fill"
LICENCE = "GPL-3.0-or-later"
MAX_SIDE_PX = 7680
MAX_STEPS = 1000
MIN_WORKING_PX, MAX_WORKING_PX = 32, 2048
CLOUDS_KEPT = 4
STAGE = "enhance"


@dataclass(frozen=True)
class EnhanceSettings:
    """What `enhance` makes of which shot.

    expert: "auto", "fill" or a model's option. prompt: what the scene shows, for experts that read; None: a caption of
    it if a captioner is installed. steps: of the expert's sampler; working_size: "WIDTHxHEIGHT" that it paints, multiples of
    16; None for its own. memory: "auto" or one of `experts.novel_view.memory.PRESETS`. model: "NAME=PATH" for folders to
    take models from. width_px: of the picture; None takes the bundle's. audio: a finished sound file for the movie.
    lens: the camera's, if it isn't the source camera's. shown: which of the bundle's frames each frame of the shot
    shows, counted from 0; None: the same.
    """

    bundle: Path
    shot: Path
    output: Path
    expert: str = AUTO
    prompt: str | None = None
    seed: int = 0
    steps: int | None = None
    working_size: str | None = None
    memory: str = AUTO
    model: tuple[str, ...] = ()
    width_px: int | None = None
    audio: Path | None = None
    lens: Intrinsics | None = None
    shown: tuple[int, ...] | None = None

    @classmethod
    def from_json(cls, data: Any) -> EnhanceSettings:
        """Raises `Sonic4DError` that names the key. Null stands for the default."""
        names = tuple(entry.name for entry in fields(cls))
        data = checks.fields(data, "enhance job", ("bundle", "shot", "output"), names)
        data = {key: value for key, value in data.items() if value is not None}
        integers = {
            "seed": (0, 2**31 - 1),
            "steps": (1, MAX_STEPS),
            "width_px": (32, MAX_SIDE_PX),
        }
        for key, value in data.items():
            if key in integers:
                data[key] = checks.integer(value, key, *integers[key])
            elif key == "lens":
                data[key] = Intrinsics.from_json(value, key)
                for side in ("width", "height"):
                    checks.integer(value[side], f"lens.{side}", 2, MAX_SIDE_PX)
            elif key == "shown":
                data[key] = _frame_list(value)
            elif key == "model":
                data[key] = checks.texts(value, key)
            elif key in ("bundle", "shot", "output", "audio"):
                data[key] = Path(checks.text(value, key))
            else:
                data[key] = checks.text(value, key)
        settings = cls(**data)
        settings.sampling()
        return settings

    def sampling(self) -> Sampling:
        size = None
        if self.working_size is not None:
            match = re.fullmatch(r"(\d{1,4})x(\d{1,4})", self.working_size)
            size = (int(match[1]), int(match[2])) if match else (0, 0)
            fits = all(MIN_WORKING_PX <= s <= MAX_WORKING_PX and s % 16 == 0 for s in size)
            if not fits:
                raise checks.fail(
                    "working_size",
                    f"WIDTHxHEIGHT in multiples of 16, {MIN_WORKING_PX} to {MAX_WORKING_PX}, is expected",
                )
        models = parse_overrides(self.model)
        return Sampling(self.prompt, self.seed, self.steps, size, self.memory, models)


def _frame_list(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise checks.fail("shown", "a list of frames is expected")
    return tuple(checks.integer(frame, "shown", 0, 10**9) for frame in value)


def enhance(settings: EnhanceSettings, monitor: Monitor) -> Path:
    """Write an MP4 with one picture per frame of the shot, and NAME.report.json beside it; returns the MP4's path.

    Raises `Sonic4DError`, `Cancelled`; then nothing is left behind.
    """
    if settings.output.suffix.lower() != ".mp4":
        raise Sonic4DError(
            "bad_option", f'"{settings.output.name}" is no MP4 file name.', "End it with .mp4."
        )
    check_new_file(settings.output)
    bundle, shot = read_bundle(settings.bundle), read_shot(settings.shot)
    view = _view(bundle, shot, settings, monitor)
    pictures, told = _expert(settings, view, monitor)
    monitor.log(f"The picture is by {told.name}. {told.reason}")
    write_video(
        settings.output,
        pictures,
        shot.frame_rate,
        settings.audio,
        monitor,
        view.frame_count,
        STAGE,
    )
    report = settings.output.with_name(f"{settings.output.stem}.report.json")
    write_json(report, {"sonic4d_report": 1, "picture": {**vars(told), "seed": settings.seed}})
    monitor.artifact("report", report)
    monitor.artifact("video", settings.output)
    return settings.output


def _expert(
    settings: EnhanceSettings, view: View, monitor: Monitor
) -> tuple[Iterator[Frame], Expert]:
    """The pictures, not yet painted, by the expert that was asked for or the best there is; and who that is."""
    reason = "Asked for."
    if settings.expert != FILL:
        sampling = settings.sampling()
        here = [model.name for model in of_job("novel_view") if is_cached(model)]
        if settings.expert == AUTO and not here and not sampling.models:
            reason = (
                "No novel-view model is on this machine; filling needs none. It invents nothing."
            )
        else:
            monitor.progress("loading", 0, 1)
            machine = this_machine()
            choice = choose("novel_view", settings.expert, sampling.models, machine)
            for warning in choice.warnings:
                monitor.log(warning, "warning")
            if choice.ready is not None:
                model = choice.ready.model
                _tell_licence(model, monitor)
                paint = load(choice.ready, machine)
                expert = Expert(
                    "picture", model.name, choice.ready.commit, model.licence_text, choice.reason
                )
                return paint(view, sampling, monitor), expert
            reason = f"{choice.reason} Filling needs no model. It invents nothing."
            monitor.log(reason, "warning")
    return fill_holes(view, monitor), Expert("picture", FILL, __version__, LICENCE, reason)


def _tell_licence(model: Model, monitor: Monitor) -> None:
    if model.commercial:
        monitor.log(f"{model.name} is under the licence {model.licence_text}.")
    else:
        monitor.log(
            f"{model.name} is not for commercial use: {model.licence_text}.",
            "warning",
        )


def _view(bundle: Bundle, shot: Shot, settings: EnhanceSettings, monitor: Monitor) -> View:
    lens = settings.lens or bundle.intrinsics
    width = settings.width_px or lens.width
    background = made_up = None
    if bundle.has_background:
        points = read_ply(bundle.path(BACKGROUND))
        background = _select(points, ~points.synthetic)
        made_up = _select(points, points.synthetic)
    cloud = lru_cache(CLOUDS_KEPT)(lambda frame: read_ply(bundle.path(cloud_file(frame))))
    return View(
        lens=lens.scaled(_even(width), _even(width * lens.height / lens.width)),
        poses=shot.listener_poses,
        shown=_shown(bundle, shot, settings.shown),
        cloud=cloud,
        background=background,
        made_up=made_up,
        video=_Video(bundle, monitor).pictures,
    )


def _even(size: float) -> int:
    """H.264 halves the colour's resolution: both sides must be even."""
    return max(round(size / 2), 1) * 2


def _shown(bundle: Bundle, shot: Shot, frames: tuple[int, ...] | None) -> npt.NDArray[np.intp]:
    if frames is None and shot.frame_rate != bundle.frame_rate:
        raise Sonic4DError(
            "bad_shot",
            f"The shot has {shot.frame_rate} fps, the scene bundle {bundle.frame_rate} fps.",
            "Make the shot from this bundle.",
        )
    shown = np.arange(shot.frame_count) if frames is None else np.array(frames, dtype=np.intp)
    if len(shown) != shot.frame_count or shown.max(initial=0) >= bundle.frame_count:
        raise Sonic4DError(
            "bad_shot",
            f"The shot has {shot.frame_count} frames, the scene bundle {bundle.frame_count}, and "
            f"{len(shown)} up to number {shown.max(initial=0)} are to be shown.",
            "Make the shot from this bundle.",
        )
    return shown


def _select(points: Points, mask: npt.NDArray[np.bool_]) -> Points:
    return replace(points, **{name: values[mask] for name, values in vars(points).items()})


@dataclass
class _Video:
    """The source video of a bundle, read when it is first asked for."""

    bundle: Bundle
    monitor: Monitor

    @cached_property
    def frames(self) -> Frames:
        bundle, lens = self.bundle, self.bundle.intrinsics
        path = bundle.path(SOURCE_VIDEO)
        clip = read_clip(path, 0.0, None, bundle.frame_count, lens.height, self.monitor)
        if len(clip.frames) != bundle.frame_count:
            raise Sonic4DError(
                "bad_bundle",
                f"The video of the scene bundle has {len(clip.frames)} frames, not {bundle.frame_count}.",
                "Generate the scene again, or copy the whole folder.",
            )
        return clip.frames

    def pictures(self, indices: Sequence[int]) -> Frames:
        return self.frames[list(indices)]
