"""The finished shot: Blender's picture with the sequencer's sound, as one movie file."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from ..backend.sonic4d.files import new_file
from ..backend.sonic4d.protocol import Sonic4DError
from . import compat, tasks
from .sequencer import strips

MAX_SIDE = 16384


@dataclass(frozen=True)
class Format:
    """A movie file. Blender writes PCM with 16 bits, whatever the take has."""

    suffix: str
    container: str
    audio_codec: str
    quality: str


# AAC below 384 kbit/s replaces noise by other noise, which ruins what the ears compare.
STANDARD = Format(".mp4", "MPEG4", "AAC", "HIGH")
LOSSLESS = Format(".mov", "QUICKTIME", "PCM", "PERC_LOSSLESS")
AUDIO_KBIT_S = 384
INTERRUPTED = 130  # exit status


@dataclass(frozen=True)
class Picture:
    """What differs from the scene's own render settings. `samples`: render with Cycles, this many samples a pixel."""

    resolution: tuple[int, int] | None = None
    samples: int | None = None


def export_shot(
    scene: bpy.types.Scene,
    activity: tasks.Activity,
    output: Path,
    *,
    lossless: bool = False,
    overwrite: bool = False,
    picture: Picture | None = None,
) -> tasks.Steps[Path]:
    """The task: render the scene's frames to `output`, muxed with the sequencer's sound. Returns the file.

    The sound is what Blender mixes: the take, and the user's own strips as they are. The scene's settings are as before at
    the end, and nothing half-written is left. Raises `Sonic4DError` where the scene can't be rendered or the file can't be
    written.
    """
    target = _checked_target(scene, output, lossless, overwrite)
    total, written, stopped = scene.frame_end - scene.frame_start + 1, 0, False

    def on_write(*_: Any) -> None:
        nonlocal written
        written += 1
        activity.tell("picture", written / total, f"Frame {written} of {total}")

    def on_cancel(*_: Any) -> None:
        nonlocal stopped
        stopped = True

    handlers = bpy.app.handlers
    with new_file(target) as path, _kept_settings(scene), ExitStack() as stack:
        for listeners, listener in (
            (handlers.render_write, on_write),
            (handlers.render_cancel, on_cancel),
        ):
            listeners.append(listener)
            stack.callback(listeners.remove, listener)
        # In the file's name # would stand for the frame number.
        rendered = path.with_name("shot" + target.suffix)
        _apply(scene, rendered, LOSSLESS if lossless else STANDARD, picture or Picture())
        try:
            # Beside the UI Blender renders in a job of its own, which Esc and the status bar stop.
            activity.stoppable = False
            start = "EXEC_DEFAULT" if bpy.app.background else "INVOKE_DEFAULT"
            with _interruptible(path.parent):
                bpy.ops.render.render(start, animation=True, scene=scene.name)
        except RuntimeError as error:
            raise _failed(str(error)) from None
        while bpy.app.is_job_running("RENDER"):
            yield
        if stopped:
            raise tasks.cancelled()
        if written < total or not rendered.is_file():
            raise _failed("the movie is incomplete")
        rendered.replace(path)
    return target


def _checked_target(scene: bpy.types.Scene, output: Path, lossless: bool, overwrite: bool) -> Path:
    """Where the movie goes. Raises `Sonic4DError` if it can't be made."""
    target = target_file(output, lossless)
    if scene.camera is None:
        raise Sonic4DError("no_camera", "The scene has no camera.", "Set the scene's camera.")
    if not strips.take_strips(scene):
        raise Sonic4DError("no_take", "The shot has no sound yet.", "Render the audio first.")
    if target.exists() and not overwrite:
        raise Sonic4DError(
            "exists", f"{target} exists already.", "Choose another name, or allow to overwrite it."
        )
    return target


def target_file(output: Path, lossless: bool) -> Path:
    """`output` with the suffix of its format. Raises `Sonic4DError` for any other suffix."""
    suffix = (LOSSLESS if lossless else STANDARD).suffix
    if not output.suffix:
        return output.with_name(output.name + suffix)
    if output.suffix.lower() != suffix:
        kind = "A shot with lossless sound" if lossless else "A shot"
        raise Sonic4DError(
            "bad_suffix",
            f"{kind} can't be written to {output.name}.",
            f"Use a name ending in {suffix}.",
        )
    return output


def _apply(scene: bpy.types.Scene, path: Path, form: Format, picture: Picture) -> None:
    render, ffmpeg = scene.render, scene.render.ffmpeg
    compat.set_video_output(render.image_settings)
    render.image_settings.color_mode = "RGB"
    ffmpeg.format, ffmpeg.codec = form.container, "H264"
    ffmpeg.constant_rate_factor = form.quality
    ffmpeg.use_autosplit = False
    ffmpeg.audio_codec, ffmpeg.audio_bitrate = form.audio_codec, AUDIO_KBIT_S
    ffmpeg.audio_mixrate, ffmpeg.audio_channels = strips.SAMPLE_RATE_HZ, "STEREO"
    ffmpeg.audio_volume = 1.0
    # Braces would be taken for variables.
    render.filepath = str(path).replace("{", "{{").replace("}", "}}")
    render.use_file_extension = render.use_overwrite = True
    render.use_placeholder = False
    scene.frame_step = 1
    if not render.use_sequencer:
        # Blender leaves the sound out as well, so hide only the pictures in the sequencer.
        render.use_sequencer = True
        for strip in scene.sequence_editor.strips:
            if strip.type != "SOUND":
                strip.mute = True
    if picture.samples:
        render.engine = "CYCLES"
        scene.cycles.samples = picture.samples
        scene.cycles.use_adaptive_sampling = scene.cycles.use_denoising = False
    # H.264 halves the colour's resolution: both sides must be even.
    width, height = picture.resolution or (render.resolution_x, render.resolution_y)
    share = 1 if picture.resolution else render.resolution_percentage / 100
    sides = [max(2, int(side * share) // 2 * 2) for side in (width, height)]
    if max(sides) > MAX_SIDE:
        raise Sonic4DError(
            "too_large",
            f"A picture of {sides[0]} x {sides[1]} is too large.",
            "Lower the resolution.",
        )
    render.resolution_x, render.resolution_y = sides
    render.resolution_percentage = 100


@contextmanager
def _interruptible(work: Path) -> Iterator[None]:
    """In background mode nothing stops Blender's render but the end of the process: on Ctrl-C, leave cleanly at once."""

    def leave(*_: Any) -> None:
        shutil.rmtree(work, ignore_errors=True)
        tasks.stop_worker()
        os._exit(INTERRUPTED)

    if not bpy.app.background:
        yield
        return
    previous = signal.signal(signal.SIGINT, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous or signal.SIG_DFL)


@contextmanager
def _kept_settings(scene: bpy.types.Scene) -> Iterator[None]:
    """Put all that `_apply` changes back at the end."""
    owners = [scene.render, scene.render.image_settings, scene.render.ffmpeg]
    if hasattr(scene, "cycles"):
        owners.append(scene.cycles)
    kept = [(owner, _values(owner)) for owner in owners]
    frame_step = scene.frame_step
    audible = {strip.name: strip.mute for strip in scene.sequence_editor.strips}
    try:
        yield
    finally:
        scene.frame_step = frame_step
        for strip in scene.sequence_editor.strips:
            strip.mute = audible.get(strip.name, strip.mute)
        for owner, values in kept:
            _restore(owner, values)


def _values(owner: bpy.types.bpy_struct) -> dict[str, Any]:
    return {
        prop.identifier: getattr(owner, prop.identifier)
        for prop in owner.bl_rna.properties
        if not prop.is_readonly
        and prop.type in {"BOOLEAN", "INT", "FLOAT", "STRING", "ENUM"}
        # Views of memory, not values
        and not getattr(prop, "is_array", False)
    }


def _restore(owner: bpy.types.bpy_struct, values: dict[str, Any]) -> None:
    """Set what differs. Some choices exist only once another is made, hence the second round."""
    for _ in range(2):
        for name, value in values.items():
            if getattr(owner, name) != value:
                try:
                    setattr(owner, name, value)
                except TypeError:
                    continue


def _failed(why: str) -> Sonic4DError:
    lines = [line.strip() for line in why.splitlines() if line.strip()]
    reason = (lines[0] if lines else "unknown").removeprefix("Error: ").rstrip(".")
    return Sonic4DError(
        "render_failed", f"Blender could not render the shot: {reason}.", "See Blender's log."
    )
