"""Blender scene -> the contents of shot.json: where the listener and the sources are at every frame, room and settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from ...backend.sonic4d.files import write_json
from . import sounding
from .listener import head_poses, listeners
from .obstacles import Obstacle, obstacles
from .room import room_json
from .sampling import Samples, finish, sample, scene_of
from .sound_files import stage_audio
from .units import frame_rate, metres_per_unit

SHOT_VERSION = 1
SAMPLE_RATE = 48000
# Blender's 32-bit matrices differ in their last digits from one build to another; these are the same everywhere.
_DIGITS = 6  # of metres and of turns


@dataclass(frozen=True)
class Reading:
    """All that a scene sounds by: shot.json, except that sounds and obstacles still lie where they are."""

    data: dict[str, Any]
    obstacles: tuple[Obstacle, ...]

    def fingerprint(self) -> str:
        """Equal for shots that sound alike. Of sound files, place, size and time of change count."""
        files = {source["audio"] for source in self.data["sources"]}
        states = [(file, *_state(Path(file))) for file in sorted(files)]
        solid = [obstacle.fingerprint() for obstacle in self.obstacles]
        text = json.dumps([{**self.data, "name": ""}, states, solid], sort_keys=True)
        return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def draft(self) -> Reading | None:
        """The same without single reflections, which is rendered in a third of the time; None where that saves nothing.

        The reverberation begins the sooner, so the level stays.
        """
        render, room = self.data["render"], self.data["room"]
        if render["mode"] != "hifi" or room["kind"] != "shoebox":
            return None
        return replace(self, data={**self.data, "render": {**render, "reflection_order": 0}})

    def in_folder(self, folder: Path) -> dict[str, Any]:
        """shot.json for `folder`, into which sounds that aren't in it are put. Raises `Sonic4DError`."""
        sources = [
            {**source, "audio": stage_audio(Path(source["audio"]), folder)}
            for source in self.data["sources"]
        ]
        solid = [obstacle.in_folder(folder) for obstacle in self.obstacles]
        return {**self.data, "sources": sources, "occluders": solid}

    def write(self, shot: Path) -> Path:
        """Write it as a shot.json of this name. Raises `Sonic4DError`."""
        write_json(shot, self.in_folder(shot.parent))
        return shot


def _state(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_size, state.st_mtime_ns


def shot_json(scene: bpy.types.Scene, folder: Path) -> dict[str, Any]:
    """The shot of a scene, complete, as it would be written into `folder`. Raises `Sonic4DError`."""
    return finish(read_shot(scene.session_uid)).in_folder(folder)


def read_shot(scene_uid: int, slice_s: float = float("inf")) -> Generator[None, None, Reading]:
    """Read the shot of a scene, in metres and world axes; yields whenever `slice_s` seconds have gone by.

    Raises `Sonic4DError` where the scene lacks something or changes meanwhile.
    """
    scene = scene_of(scene_uid)
    frames = range(scene.frame_start, scene.frame_end + 1)
    heads = [(item.session_uid, item.type == "CAMERA") for item in listeners(scene, frames)]
    sounds = sounding.sounding(scene)
    uids = list(dict.fromkeys([uid for uid, _ in heads] + [sound.uid for sound in sounds]))
    speakers = {item.session_uid for item in scene.objects if item.type == "SPEAKER"}
    samples = yield from sample(scene_uid, uids, frames, slice_s)
    solid = yield from obstacles(scene_uid, slice_s)

    scene = scene_of(scene_uid)
    metres = metres_per_unit(scene)
    poses = head_poses(heads, samples, metres, scene.sonic4d.head_offset_m).round(_DIGITS)
    sources = [
        _source(sound, samples[sound.uid], sound.uid in speakers, poses, metres) for sound in sounds
    ]
    heard = np.concatenate([poses[:, :3, 3], *(np.array(s["positions"]) for s in sources)])
    return Reading(
        {
            "sonic4d_shot": SHOT_VERSION,
            "name": scene.name,
            "frame_rate": str(frame_rate(scene)),
            "frame_start": scene.frame_start,
            "frame_end": scene.frame_end,
            "listener": {"poses": poses.tolist()},
            "sources": sources,
            "room": room_json(scene, heard),
            "render": _render(scene.sonic4d),
        },
        tuple(solid),
    )


def _source(
    sound: sounding.Sounding, samples: Samples, is_speaker: bool, poses: np.ndarray, metres: float
) -> dict[str, Any]:
    positions = (samples.matrices[:, :3, 3] * metres).round(_DIGITS)
    distance_m = np.linalg.norm(positions - poses[:, :3, 3], axis=1)
    gain_db, envelope = sounding.gains(sound, samples.levels, is_speaker, distance_m)
    directive = sound.directivity != sounding.OMNI
    return {
        "name": sound.name,
        "audio": str(sound.audio),
        "positions": positions.tolist(),
        "orientations": _quaternions(samples.matrices) if directive else None,
        "gain_db": gain_db,
        "start_s": sound.start_s,
        "loop": sound.loop,
        "directivity": sound.directivity,
        "pitch": sound.pitch,
        "envelope": envelope,
        "heard_s": sound.heard_s,
    }


def _quaternions(matrices: np.ndarray) -> list[list[float]]:
    """Turns (w, x, y, z) of world matrices (n, 4, 4), without their scale."""
    turns = []
    for matrix in matrices:
        turn = Matrix(matrix).to_quaternion()
        turns.append([round(value, _DIGITS) for value in turn])
    return turns


def _render(settings: bpy.types.PropertyGroup) -> dict[str, Any]:
    return {
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
        "stems": settings.stems,
    }
