"""From a scene bundle and a camera move to a shot, without Blender (`sonic4d shot`)."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import checks
from .bundle import Bundle, read_bundle
from .files import write_json
from .monitor import Monitor
from .moves import move_poses, parse_move
from .protocol import Sonic4DError
from .shot import MODES, RenderSettings, Shot, ShotSource, read_json
from .trajectory_files import SUFFIX, read_trajectory

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ShotSettings:
    """`move`: see `moves`, or the path of a camera file: JSON with "poses", one camera-to-world 4x4 per frame, or text in
    TrajectoryCrafter's form (see `trajectory_files`)."""

    bundle: Path
    output: Path
    move: str = "static"
    mode: str = RenderSettings().mode
    rt60_s: float | None = None

    @classmethod
    def from_json(cls, data: Any) -> ShotSettings:
        names = tuple(entry.name for entry in fields(cls))
        data = dict(checks.fields(data, "shot job", ("bundle", "output"), names))
        for key in ("bundle", "output", "move"):
            data[key] = checks.text(data.get(key, cls.move), key)
        data["mode"] = checks.text(data.get("mode", cls.mode), "mode", MODES)
        if data.get("rt60_s") is not None:
            data["rt60_s"] = checks.number(data["rt60_s"], "rt60_s", 0, 20)
        return cls(**{**data, "bundle": Path(data["bundle"]), "output": Path(data["output"])})


def make_shot(bundle: Bundle, settings: ShotSettings, monitor: Monitor) -> Shot:
    """The shot of a whole bundle. Sources sound from the start of the clip; the room is the bundle's suggestion."""
    if not bundle.sources:
        raise Sonic4DError(
            "no_source", f"{bundle.folder} has no sound source.", "Generate it again with --point."
        )
    folder = settings.output.resolve().parent
    tracks = bundle.sources
    room = bundle.room
    if settings.rt60_s is not None:
        room = replace(room, rt60_s=settings.rt60_s)
    return Shot(
        name=settings.output.stem,
        frame_rate=bundle.frame_rate,
        frame_start=1,
        frame_end=bundle.frame_count,
        listener_poses=_poses(bundle, settings.move, monitor),
        sources=tuple(
            ShotSource(track.name, _relative(bundle.path(track.audio), folder), track.positions)
            for track in tracks
        ),
        room=room,
        render=RenderSettings(mode=settings.mode),
        folder=folder,
    )


def _poses(bundle: Bundle, text: str, monitor: Monitor) -> Array:
    camera_file = Path(text)
    if camera_file.suffix.lower() == ".json":
        data = checks.fields(read_json(camera_file, "a camera file"), str(camera_file), ("poses",))
        poses = checks.array(data["poses"], "poses", (bundle.frame_count, 4, 4))
        return checks.pose(poses, "poses")
    pivot = np.median(bundle.sources[0].positions, axis=0)
    if camera_file.suffix.lower() == SUFFIX:
        start = bundle.cameras[0]
        distance_m = float(np.linalg.norm(pivot - start[:3, 3]))
        return read_trajectory(camera_file, start, distance_m, bundle.frame_count)
    move = parse_move(text)
    limit = bundle.depth_info["move_limit_deg"]
    if limit is not None and move.around_pivot_deg() > limit:
        monitor.log(
            f"The move goes {move.around_pivot_deg():g} degrees around the scene; beyond "
            f"{limit:g} degrees gaps and distortions show.",
            "warning",
        )
    return np.array(
        move_poses(move, bundle.cameras[0].tolist(), tuple(pivot.tolist()), bundle.frame_count)
    )


def _relative(path: Path, folder: Path) -> str:
    """A shot ships with its audio: files must lie in its folder or below."""
    path = path.resolve()
    if not path.is_relative_to(folder):
        raise Sonic4DError(
            "audio_elsewhere",
            f"The sound {path} does not lie below {folder}, where the shot is written.",
            "Write the shot beside the scene bundle.",
        )
    return path.relative_to(folder).as_posix()


def write_shot(settings: ShotSettings, monitor: Monitor) -> Path:
    """Write shot.json for a bundle; returns its path."""
    shot = make_shot(read_bundle(settings.bundle), settings, monitor)
    write_json(settings.output, shot.to_json())
    monitor.artifact("shot", settings.output)
    return settings.output
