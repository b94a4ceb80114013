"""Blender scene -> the contents of shot.json: where the camera and the sources are at every frame."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ...backend.sonic4d.protocol import Sonic4DError
from .paths import absolute
from .room import box_of

SHOT_VERSION = 1
SAMPLE_RATE = 48000


def shot_json(scene: bpy.types.Scene, folder: Path) -> dict[str, Any]:
    """The shot of a scene, complete, in metres and world axes.

    `folder` is where shot.json will be written: sounds that are not in it are put into `folder`/audio, as hard links
    where that works and as copies elsewhere. Raises `Sonic4DError` where the scene lacks something.
    """
    frames = range(scene.frame_start, scene.frame_end + 1)
    cameras = [camera_at(scene, frame) for frame in frames]
    sources = [item for item in scene.objects if item.sonic4d.is_source]
    if not sources:
        raise Sonic4DError(
            "no_sources",
            "The scene has no sound source.",
            "Import a scene bundle, or mark an object as a sound source and choose its sound.",
        )
    audio = [stage_audio(item, folder) for item in sources]
    rate = frame_rate(scene)
    metres = metres_per_unit(scene)
    seen = list(dict.fromkeys(cameras))
    matrices = world_matrices(scene, frames, [*seen, *sources])
    matrices[..., :3, 3] *= metres
    listener = camera_poses(
        np.array([matrices[seen.index(camera), i] for i, camera in enumerate(cameras)])
    )
    positions = matrices[len(seen) :, :, :3, 3]
    settings = scene.sonic4d
    return {
        "sonic4d_shot": SHOT_VERSION,
        "name": scene.name,
        "frame_rate": str(rate),
        "frame_start": scene.frame_start,
        "frame_end": scene.frame_end,
        "listener": {"poses": listener.tolist()},
        "sources": [
            {
                "name": item.name,
                "audio": path,
                "positions": track.tolist(),
                "orientations": None,
                "gain_db": item.sonic4d.gain_db,
                "start_s": float((Fraction(item.sonic4d.audio_frame) - scene.frame_start) / rate),
                "directivity": "omni",
            }
            for item, path, track in zip(sources, audio, positions, strict=True)
        ],
        "room": _room(scene, np.concatenate([listener[:, :3, 3], *positions])),
        "render": {
            "mode": settings.mode,
            "format": "binaural",
            "sample_rate": SAMPLE_RATE,
            "mic_spacing_m": settings.mic_spacing_m,
            "segments": "per_frame" if settings.segments == "per_frame" else settings.segment_count,
            "normalize": {
                "kind": settings.normalize,
                "lufs": settings.lufs,
                "true_peak_dbtp": settings.true_peak_dbtp,
            },
            "tail": settings.tail,
        },
    }


def frame_rate(scene: bpy.types.Scene) -> Fraction:
    """The exact frame rate: 24 / 1.001 is 24000/1001, though Blender keeps the divisor as a 32-bit float."""
    return scene.render.fps / _simplest(scene.render.fps_base)


def set_frame_rate(scene: bpy.types.Scene, rate: Fraction) -> None:
    """Set a rate so that `frame_rate` gives it back."""
    fps = max(1, round(rate))
    scene.render.fps = fps
    scene.render.fps_base = float(fps / rate)


def _simplest(value: float) -> Fraction:
    """The fraction with the smallest denominator that is `value` as a 32-bit float."""
    exact = Fraction(value)
    target = np.float32(value)
    for denominator in range(1, 10_000):
        fraction = exact.limit_denominator(denominator)
        if np.float32(float(fraction)) == target:
            return fraction
    return exact


def metres_per_unit(scene: bpy.types.Scene) -> float:
    """Length of a Blender unit, as set in the scene's units."""
    units = scene.unit_settings
    return 1.0 if units.system == "NONE" else units.scale_length


def camera_at(scene: bpy.types.Scene, frame: int) -> bpy.types.Object:
    """The camera that renders a frame: the one bound to the last marker up to it, else the scene's.

    Before the first marker the first one counts already, as in Blender. Raises `Sonic4DError` if there is none.
    """
    bound = [
        marker
        for marker in scene.timeline_markers
        if marker.camera is not None and not marker.camera.hide_render
    ]
    past = [marker for marker in bound if marker.frame <= frame]
    if past:
        return max(past, key=_marker_frame).camera
    if bound:
        return min(bound, key=_marker_frame).camera
    if scene.camera is None:
        raise Sonic4DError(
            "no_camera",
            "The scene has no active camera, so nobody listens.",
            "Make a shot camera, or set a camera active.",
        )
    return scene.camera


def _marker_frame(marker: bpy.types.TimelineMarker) -> int:
    return marker.frame


@contextmanager
def bare_scene(
    scene: bpy.types.Scene, objects: Sequence[bpy.types.Object]
) -> Iterator[bpy.types.Scene]:
    """A temporary scene with only these objects, to step through frames without evaluating point clouds.

    Parents, constraint targets and drivers are evaluated with them; the user's scene stays at its frame.
    """
    temporary = bpy.data.scenes.new("Sonic4D")
    try:
        for name in ("fps", "fps_base", "frame_map_old", "frame_map_new"):
            setattr(temporary.render, name, getattr(scene.render, name))
        for item in {item.name_full: item for item in objects}.values():
            temporary.collection.objects.link(item)
        yield temporary
    finally:
        bpy.data.scenes.remove(temporary)


def world_matrices(
    scene: bpy.types.Scene, frames: Sequence[int], objects: Sequence[bpy.types.Object]
) -> np.ndarray:
    """World matrices at each frame, (n_objects, n_frames, 4, 4), in Blender units."""
    matrices = np.empty((len(objects), len(frames), 4, 4))
    with bare_scene(scene, objects) as temporary:
        for j, frame in enumerate(frames):
            temporary.frame_set(frame)
            graph = temporary.view_layers[0].depsgraph
            for i, item in enumerate(objects):
                matrices[i, j] = item.evaluated_get(graph).matrix_world
    return matrices


def camera_poses(matrices: np.ndarray) -> np.ndarray:
    """World matrices of cameras (..., 4, 4) without scale, shear and mirroring: view and up stay what they are."""
    back, up = matrices[..., :3, 2], matrices[..., :3, 1]
    right = np.cross(up, back)
    poses = np.zeros_like(matrices)
    for column, axis in enumerate((right, np.cross(back, right), back)):
        poses[..., :3, column] = axis / np.linalg.norm(axis, axis=-1, keepdims=True)
    poses[..., 3] = matrices[..., 3]
    return poses


def stage_audio(source: bpy.types.Object, folder: Path) -> str:
    """Make a source's sound reachable from `folder`; its path relative to that folder, with forward slashes."""
    stored = source.sonic4d.audio_path
    path = absolute(stored, source.library)
    if not stored or not path.is_file():
        what = (
            f"The sound of {source.name} is missing: {path}."
            if stored
            else f"{source.name} has no sound."
        )
        raise Sonic4DError(
            "no_audio", what, "Choose its sound in the Source panel, or make it no source."
        )
    if path.resolve().is_relative_to(folder.resolve()):
        return path.resolve().relative_to(folder.resolve()).as_posix()
    target = folder / "audio" / path.name
    number = 1
    while target.exists() and not target.samefile(path):
        number += 1
        target = target.with_name(f"{path.stem}_{number}{path.suffix}")
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, target)
        except OSError:
            shutil.copyfile(path, target)
    return target.relative_to(folder).as_posix()


def _room(scene: bpy.types.Scene, heard: np.ndarray) -> dict[str, Any]:
    """The room object's box, or one of the set size about the middle of everything heard (n, 3); the backend grows it."""
    settings = scene.sonic4d
    if settings.room is None:
        low, high = heard.min(axis=0), heard.max(axis=0)
        size = np.array(settings.room_size)
        center = (low + high) / 2
        yaw = 0.0
    else:
        with bare_scene(scene, [settings.room]) as temporary:
            temporary.frame_set(scene.frame_start)
            graph = temporary.view_layers[0].depsgraph
            center, size, yaw = box_of(settings.room.evaluated_get(graph))
        center, size = center * metres_per_unit(scene), size * metres_per_unit(scene)
    return {
        "kind": settings.room_kind,
        "center": center.tolist(),
        "size": size.tolist(),
        "yaw_deg": math.degrees(yaw),
        "rt60_s": settings.rt60_s,
        "materials": None,
    }
