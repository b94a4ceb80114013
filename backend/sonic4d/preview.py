"""A shot's picture and sound without Blender: point splats along the listener's path, muxed with the rendered audio."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import checks
from .acoustics.render import render_to_file
from .bundle import BACKGROUND, Bundle, cloud_file, read_bundle
from .files import check_new_file
from .geometry.ply import read_ply
from .geometry.splat import splat
from .media.video import write_video
from .monitor import Monitor
from .protocol import Sonic4DError
from .shot import Shot, read_shot

MAX_SIDE_PX = 7680


@dataclass(frozen=True)
class PreviewSettings:
    """`audio`: a finished sound file; None renders the shot's own. `width_px`: of the picture; None takes the bundle's."""

    bundle: Path
    shot: Path
    output: Path
    audio: Path | None = None
    width_px: int | None = None

    @classmethod
    def from_json(cls, data: Any) -> PreviewSettings:
        names = tuple(entry.name for entry in fields(cls))
        data = dict(checks.fields(data, "preview job", ("bundle", "shot", "output"), names))
        for key in ("bundle", "shot", "output", "audio"):
            if data.get(key) is not None:
                data[key] = Path(checks.text(data[key], key))
        if data.get("width_px") is not None:
            data["width_px"] = checks.integer(data["width_px"], "width_px", 16, MAX_SIDE_PX)
        return cls(**data)


def write_preview(settings: PreviewSettings, monitor: Monitor) -> Path:
    """Write an MP4 of the shot; returns its path. Pixels that no point covers stay black."""
    if settings.output.suffix.lower() != ".mp4":
        raise Sonic4DError(
            "bad_option", f'"{settings.output.name}" is no MP4 file name.', "End it with .mp4."
        )
    check_new_file(settings.output)
    bundle, shot = read_bundle(settings.bundle), read_shot(settings.shot)
    if shot.frame_count != bundle.frame_count or shot.frame_rate != bundle.frame_rate:
        raise Sonic4DError(
            "bad_shot",
            f"The shot has {shot.frame_count} frames at {shot.frame_rate} fps, the scene bundle "
            f"{bundle.frame_count} at {bundle.frame_rate} fps.",
            "Make the shot from this bundle.",
        )
    with tempfile.TemporaryDirectory() as folder:
        audio = settings.audio
        if audio is None:
            audio = render_to_file(shot, Path(folder) / "audio.wav", monitor)
        write_video(
            settings.output,
            _pictures(bundle, shot, settings.width_px or bundle.intrinsics.width),
            shot.frame_rate,
            audio,
            monitor,
            shot.frame_count,
            "preview",
        )
    monitor.artifact("video", settings.output)
    return settings.output


def _pictures(bundle: Bundle, shot: Shot, width_px: int) -> Iterator[npt.NDArray[np.uint8]]:
    """The frames (H, W, 3) uint8 RGB, of even size, with the source camera's lens."""
    lens = bundle.intrinsics
    width = max(width_px // 2, 1) * 2
    height = max(round(width * lens.height / lens.width / 2), 1) * 2
    k = lens.scaled(width, height)
    still = [read_ply(bundle.path(BACKGROUND))] if bundle.has_background else []
    for frame, pose in enumerate(shot.listener_poses):
        yield splat([read_ply(bundle.path(cloud_file(frame))), *still], k, pose).image
