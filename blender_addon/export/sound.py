"""The sound of a finished shot: which file, and where it lies on the shot's time line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import bpy

from ...backend.sonic4d.protocol import Sonic4DError
from .. import tasks
from ..scene.paths import absolute
from ..sequencer import strips, timing

SHOT_JSON = "shot.json"
SIDECAR_FORMATS = {  # format of the backend, ending of the file's name
    "AMBIX": ("ambix3", ".ambix3.wav"),
    "SURROUND": ("5.1", ".5.1.wav"),
    "IMMERSIVE": ("7.1.4", ".7.1.4.wav"),
    "ADM": ("adm", ".adm.wav"),
}


@dataclass(frozen=True)
class Placed:
    """A sound file that begins `start` frames after the shot and is heard from frame `heard[0]` up to `heard[1]` of it."""

    path: Path
    start: int = 0
    heard: tuple[int, int] | None = None


def take_of(scene: bpy.types.Scene, activity: tasks.Activity) -> Placed:
    """The take that is heard in the scene. Notes where it differs from what the sequencer plays.

    Raises `Sonic4DError` where there is none.
    """
    audible = [strip for strip in strips.take_strips(scene) if not strip.mute]
    if not audible:
        raise Sonic4DError("no_take", "The shot has no sound yet.", "Render the audio first.")
    strip = audible[0]
    path = absolute(strip.sound.filepath, strip.sound.library)
    if not path.is_file():
        raise Sonic4DError(
            "no_take",
            f"The take {path} is missing.",
            "Render the audio again, or restore the file.",
        )
    others = [
        other
        for other in scene.sequence_editor.strips
        if other.type == "SOUND" and not other.mute and other != strip
    ]
    if others:
        activity.warnings.append(
            f"{len(others)} more sound strips are left out; choose the sequencer mix to hear them."
        )
    if strip.volume != 1 or strip.pan != 0:
        activity.warnings.append("The strip's volume and pan are left out; the take is exact.")
    first, end = timing.span(strip)
    start = timing.content_start(strip)
    return Placed(
        path, start - scene.frame_start, (first - scene.frame_start, end - scene.frame_start)
    )


def mix_of(scene: bpy.types.Scene, folder: Path) -> Placed:
    """All that the sequencer plays, mixed by Blender. Raises `Sonic4DError` where that fails."""
    path = folder / "mix.wav"
    if scene.sequence_editor is None:
        raise Sonic4DError("no_take", "The sequencer has no sound.", "Render the audio first.")
    try:
        with bpy.context.temp_override(scene=scene):
            bpy.ops.sound.mixdown(
                filepath=str(path),
                check_existing=False,
                container="WAV",
                codec="PCM",
                format="F32",
                mixrate=strips.SAMPLE_RATE_HZ,
                channels="STEREO",
            )
    except RuntimeError as error:
        raise Sonic4DError(
            "no_mix", f"Blender can't mix the sequencer's sound: {error}", "Check its strips."
        ) from None
    return Placed(path)


def shot_of(take: Placed) -> Path:
    """The shot.json that a take was rendered from. Raises `Sonic4DError` if it is gone."""
    shot = take.path.with_suffix(".json")  # of a live update
    if not shot.is_file():
        shot = take.path.with_name(SHOT_JSON)
    if not shot.is_file():
        raise Sonic4DError(
            "no_shot",
            f"{take.path.name} has no {SHOT_JSON} beside it, so nothing more can be made of it.",
            "Render the audio again.",
        )
    return shot
