"""From a video to a scene bundle: Stages I and II in order (`sonic4d generate`)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from . import unfinished
from .bundle import (
    BACKGROUND,
    DEPTH,
    SOURCE_VIDEO,
    SUFFIX,
    Bundle,
    Expert,
    cloud_file,
    write_bundle_json,
)
from .depth_source import choose_depth, find_depth
from .files import new_file, new_folder
from .geometry.cameras import Intrinsics
from .geometry.ply import write_ply
from .geometry.pointcloud import lift, thinned
from .media.audio import write_wav
from .media.video import Clip, read_clip, write_video
from .monitor import Monitor
from .motion_stage import motion_of_shot
from .protocol import Sonic4DError
from .room import MARGIN_M, Room, fit_room
from .scene.depth import DepthResult
from .scene.shots import continuous_shots
from .settings import GenerateSettings, Mark
from .sound_stage import SOUND_RATE_HZ, choose_sound, sound_of_shot, sounds_of_sources
from .source_stage import choose_source_experts, source_settings_of, sources_of_shot
from .sources.find import check_source

Array = npt.NDArray[np.float64]

DEFAULT_FOV_DEG = 60.0
CRAFTER_FOCAL_SHARE = 500 / 1024  # of the width: the camera that TrajectoryCrafter assumes
DIAGONAL_35MM_MM = math.hypot(36, 24)
BACKGROUND_SHARE = (
    3  # the static background, stored once, may have this many times the points of a frame
)
ROOM_REACH = 3.0  # what is farther from the camera than this many times the source doesn't belong to its room
MIN_ROOM_REACH_M = 10.0
ROOM_POINTS_A_FRAME = 2000
MAX_HALF_M = 60000.0  # float16 ends at 65504


def generate(settings: GenerateSettings, monitor: Monitor) -> Path:
    """Make the scene bundle of a video; returns its folder.

    The longest shot without a cut is used, or the one that the point or box lies in. Raises `Sonic4DError`, `Cancelled`;
    then nothing is left behind but the finished motion, depth, sources and sound, from which the next generation of the video goes on.
    """
    target = settings.output
    if target.name and target.suffix != SUFFIX:
        target = target.with_name(target.name + SUFFIX)
    with new_folder(target) as folder:
        bundle = _fill(folder, settings, monitor)
        bundle = replace(bundle, name=settings.name or target.name.removesuffix(SUFFIX))
        write_bundle_json(bundle)
    unfinished.forget(settings.video)
    for warning in bundle.warnings:
        monitor.log(warning, "warning")
    monitor.artifact("bundle", target)
    return target


def _fill(folder: Path, settings: GenerateSettings, monitor: Monitor) -> Bundle:
    """Write everything but bundle.json into `folder`."""
    experts = choose_source_experts(settings)
    maker = choose_sound(settings, monitor)
    own_sounds = maker is not None and maker.each
    clip = read_clip(
        settings.video,
        settings.start_s,
        settings.duration_s,
        settings.max_frames,
        settings.height,
        monitor,
    )
    _check_mark(clip, settings.point or settings.box)
    first, end, warnings = _continuous_part(clip, settings.point or settings.box)
    shot = replace(
        clip,
        frames=clip.frames[first:end],
        start_s=clip.start_s + float(first / clip.frame_rate),
        warnings=(*clip.warnings, *warnings),
    )
    source_settings = source_settings_of(clip, first, settings)
    check_source(source_settings, shot.frames)
    k, fov_reason = _intrinsics(shot, settings)
    depth_source = choose_depth(clip, first, end, settings, monitor)
    kept = unfinished.folder_of(settings.video)
    sound = sound_of_shot(maker, shot, settings, kept, monitor)
    motion = motion_of_shot(shot.frames, kept, monitor)
    depth, depth_experts = find_depth(depth_source, shot, motion, k, settings, kept, monitor)
    sources = sources_of_shot(
        shot,
        sound.mono,
        motion,
        depth,
        k,
        source_settings,
        experts,
        own_sounds,
        settings,
        kept,
        monitor,
    )
    room = _room(shot, depth, k, sources.positions, settings)
    tracks = sources.tracks
    if maker is not None and own_sounds:
        sound = sounds_of_sources(maker, shot, tracks, settings, kept, monitor)
    shared = sound.mono / np.float32(math.sqrt(len(tracks)))
    sounds = sound.of_sources or {tracks[0].audio: shared}
    _write_scene(folder, shot, depth, k, sound.mono, sounds, settings.max_points, monitor)
    picture = Expert(
        "picture",
        settings.video.name,
        "",
        "see the credits",
        f"{shot.start_s:.3f} s to {shot.start_s + len(shot.frames) / shot.frame_rate:.3f} s of the video.",
    )
    return Bundle(
        folder=folder,
        name="",
        frame_rate=shot.frame_rate,
        intrinsics=k,
        cameras=depth.camera_to_world,
        metric=depth.metric,
        metres_per_unit=settings.metres_per_unit or 1.0,
        depth_info={
            "approximate": depth.approximate,
            "move_limit_deg": depth.move_limit_deg,
            "assumptions": {**depth.assumptions, "field_of_view": fov_reason},
        },
        has_background=depth.background is not None,
        sources=tracks,
        room=room,
        provenance=(picture, *sound.provenance, *depth_experts, *sources.provenance),
        warnings=(
            *shot.warnings,
            *sound.warnings,
            *depth.warnings,
            *sources.warnings,
        ),
        credits=settings.credits,
    )


def _check_mark(clip: Clip, mark: Mark | None) -> None:
    if mark is None:
        return
    if mark.frame >= len(clip.frames):
        raise Sonic4DError(
            "bad_frame",
            f"The source was marked on frame {mark.frame}, but the clip ends with frame {len(clip.frames) - 1}.",
            "Frames count from 0 at --start. Mark another, or use more of the clip.",
        )
    width, height = clip.source_size
    x, y = np.mean(mark.pixels[::2]), np.mean(mark.pixels[1::2])
    if not (0 <= x < width and 0 <= y < height):
        raise Sonic4DError(
            "outside_picture",
            f"The source was marked at {', '.join(f'{p:g}' for p in mark.pixels)}; that is outside the picture, "
            f"which has {width}x{height} pixels.",
            "Give pixels of the original clip, counted from its upper left corner.",
        )


def _continuous_part(clip: Clip, mark: Mark | None) -> tuple[int, int, list[str]]:
    """The longest shot without a cut, or the one that is marked: first frame, end, warnings."""
    shots = continuous_shots(clip.frames)
    if mark is not None:
        shots_left = [(a, b) for a, b in shots if a <= mark.frame < b]
    else:
        shots_left = [max(shots, key=lambda shot: shot[1] - shot[0])]
    first, end = shots_left[0]
    if len(shots) == 1:
        return first, end, []

    def times(shot: tuple[int, int]) -> str:
        a, b = (clip.start_s + float(frame / clip.frame_rate) for frame in shot)
        return f"{a:.2f}-{b:.2f} s"

    others = ", ".join(times(shot) for shot in shots if shot != (first, end))
    which = "the longest" if mark is None else "the one that was marked"
    warning = (
        f"The clip has cuts; only the shot {times((first, end))} is used, {which}. "
        f"For another ({others}) give --start and --duration."
    )
    return first, end, [warning]


def _intrinsics(clip: Clip, settings: GenerateSettings) -> tuple[Intrinsics, str]:
    """The camera of the clip's pictures and where its field of view comes from."""
    height, width = clip.frames.shape[1:3]
    if settings.fov_deg is not None:
        return Intrinsics.from_horizontal_fov(width, height, settings.fov_deg), "as given"
    if settings.depth_units == "trajectorycrafter":
        focal = CRAFTER_FOCAL_SHARE * width
        k = Intrinsics(width, height, focal, focal, width / 2, height / 2)
        return k, "TrajectoryCrafter's: 500 pixels of 1024"
    if clip.focal_35mm_mm is not None:
        # CIPA DCG-001: the equivalent focal length keeps the diagonal angle of view.
        focal = clip.focal_35mm_mm / DIAGONAL_35MM_MM * math.hypot(width, height)
        k = Intrinsics(width, height, focal, focal, width / 2, height / 2)
        return k, f"metadata: {clip.focal_35mm_mm:g} mm (35 mm-equivalent)"
    k = Intrinsics.from_horizontal_fov(width, height, DEFAULT_FOV_DEG)
    return k, f"assumed: {DEFAULT_FOV_DEG:g} degrees across"


def _room(
    shot: Clip,
    depth: DepthResult,
    k: Intrinsics,
    positions: Array,
    settings: GenerateSettings,
) -> Room:
    """A box around what is near enough to matter, the sources' positions (s, n, 3), and the camera at eye height over its floor.

    Under an open sky only its floor sounds back.
    """
    cameras = depth.camera_to_world[:, :3, 3]
    step = math.ceil(len(shot.frames) / 20)
    cloud = np.concatenate(
        [
            lift(frame, depth_m, k, pose, max_points=ROOM_POINTS_A_FRAME).xyz
            for frame, depth_m, pose in zip(
                shot.frames[::step],
                depth.depth_m[::step],
                depth.camera_to_world[::step],
                strict=True,
            )
        ]
    ).astype(np.float64)
    source_m = float(np.linalg.norm(positions - cameras, axis=-1).max())
    reach_m = max(ROOM_REACH * source_m, MIN_ROOM_REACH_M)
    near = cloud[np.linalg.norm(cloud - cameras[0], axis=1) < reach_m]
    inside = np.concatenate([*positions, cameras])
    feet = cameras - [0, 0, max(settings.eye_height_m - MARGIN_M, 0)]
    room = fit_room(near if len(near) else inside, np.concatenate([inside, feet]), settings.rt60_s)
    if max(room.size) > 2000:
        raise Sonic4DError(
            "scene_too_large",
            f"The scene would be {max(room.size):.0f} m large.",
            "Give a smaller --metres-per-unit, or check the depth maps.",
        )
    kind = settings.room
    if kind == "auto":
        open_air = depth.assumptions.get("horizon_found_by") == "sky"
        kind = "half_space" if open_air else "shoebox"
    return replace(room, kind=kind)


def _write_scene(
    folder: Path,
    shot: Clip,
    depth: DepthResult,
    k: Intrinsics,
    mix: npt.NDArray[np.float32],
    sounds: Mapping[str, npt.NDArray[np.float32]],
    max_points: int,
    monitor: Monitor,
) -> None:
    count = len(shot.frames)
    confidence = depth.confidence if depth.confidence is not None else [None] * count
    split = depth.background is not None and depth.foreground is not None
    (folder / cloud_file(0)).parent.mkdir()
    for i in range(count):
        mask = depth.foreground[i] if split else None
        pose = depth.camera_to_world[i]
        points = lift(shot.frames[i], depth.depth_m[i], k, pose, confidence[i], mask, max_points)
        write_ply(folder / cloud_file(i), points)
        monitor.progress("points", i + 1, count)
    if depth.background is not None:
        pose = depth.camera_to_world[0]
        points = thinned(depth.background, k, pose, BACKGROUND_SHARE * max_points)
        write_ply(folder / BACKGROUND, points)
    (first, *_) = audio = [folder / name for name in sounds]
    first.parent.mkdir()
    write_wav(first, mix, SOUND_RATE_HZ)  # what the video gets
    write_video(folder / SOURCE_VIDEO, shot.frames, shot.frame_rate, first, monitor, count)
    for path, samples in zip(audio, sounds.values(), strict=True):
        write_wav(path, samples, SOUND_RATE_HZ)
    with new_file(folder / DEPTH) as work:
        half = np.minimum(depth.depth_m, MAX_HALF_M).astype(np.float16)
        np.savez_compressed(work, depth_m=half)
