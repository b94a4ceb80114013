"""Blender's own render of a shot's frames, as a movie without sound."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import bpy

from ...backend.sonic4d.protocol import Sonic4DError
from .. import compat, tasks
from ..scene.sampling import scene_of
from .settings import MAX_SIDE_PX, Options

INTERRUPTED = 130  # exit status


def render_picture(
    scene: bpy.types.Scene, activity: tasks.Activity, options: Options, movie: Path
) -> tasks.Steps[None]:
    """The task: render the scene's frames to `movie` (.mp4 or .mov), without sound.

    The scene's settings are as before at the end. Raises `Sonic4DError` where the scene can't be rendered.
    """
    total, written, stopped = scene.frame_end - scene.frame_start + 1, 0, False

    def on_write(*_: Any) -> None:
        nonlocal written
        written += 1
        activity.tell("picture", written / total, f"Frame {written} of {total}")

    def on_cancel(*_: Any) -> None:
        nonlocal stopped
        stopped = True

    handlers = bpy.app.handlers
    with _kept_settings(scene), ExitStack() as stack:
        for listeners, listener in (
            (handlers.render_write, on_write),
            (handlers.render_cancel, on_cancel),
        ):
            listeners.append(listener)
            stack.callback(_remove, listeners, listener)
        _apply(scene, movie, options)
        try:
            # Beside the UI Blender renders in a job of its own, which Esc and the status bar stop.
            activity.stoppable = False
            start = "EXEC_DEFAULT" if bpy.app.background else "INVOKE_DEFAULT"
            with _interruptible(movie.parent):
                bpy.ops.render.render(start, animation=True, scene=scene.name)
        except RuntimeError as error:
            raise _failed(str(error)) from None
        while bpy.app.is_job_running("RENDER"):
            yield
        activity.stoppable = True
        if stopped:
            raise tasks.cancelled()
        if written < total or not movie.is_file():
            raise _failed("the movie is incomplete")


def _remove(listeners: list[Callable[..., None]], listener: Callable[..., None]) -> None:
    """Loading a file has removed it already."""
    if listener in listeners:
        listeners.remove(listener)


def _apply(scene: bpy.types.Scene, movie: Path, options: Options) -> None:
    render, ffmpeg = scene.render, scene.render.ffmpeg
    compat.set_video_output(render.image_settings)
    render.image_settings.color_mode = "RGB"
    ffmpeg.format = "MPEG4" if movie.suffix == ".mp4" else "QUICKTIME"
    ffmpeg.codec = "H264"
    ffmpeg.constant_rate_factor = "HIGH" if options.codec == "AAC" else "PERC_LOSSLESS"
    ffmpeg.use_autosplit = False
    ffmpeg.audio_codec = "NONE"
    # Braces would be taken for variables.
    render.filepath = str(movie).replace("{", "{{").replace("}", "}}")
    render.use_file_extension = render.use_overwrite = True
    render.use_placeholder = False
    scene.frame_step = 1
    if options.camera:
        scene.camera = options.camera
        for marker in scene.timeline_markers:
            marker.camera = None
    if options.engine != "SCENE":
        render.engine = compat.EEVEE if options.engine == "EEVEE" else "CYCLES"
    if options.samples and render.engine == "CYCLES":
        scene.cycles.samples = options.samples
        scene.cycles.use_adaptive_sampling = scene.cycles.use_denoising = False
    elif options.samples:
        scene.eevee.taa_render_samples = options.samples
    # H.264 halves the colour's resolution: both sides must be even.
    width, height = options.size or (render.resolution_x, render.resolution_y)
    share = 1 if options.size else render.resolution_percentage / 100
    sides = [max(2, int(side * share) // 2 * 2) for side in (width, height)]
    if max(sides) > MAX_SIDE_PX:
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
    """Put all that `_apply` changes back at the end: of what is still there then."""
    uid, kept = scene.session_uid, [_values(owner) for owner in _owners(scene)]
    frame_step, camera = scene.frame_step, _uid(scene.camera)
    bound = {marker.as_pointer(): _uid(marker.camera) for marker in scene.timeline_markers}
    try:
        yield
    finally:
        with suppress(Sonic4DError):  # the scene was removed
            scene = scene_of(uid)
            objects = {item.session_uid: item for item in bpy.data.objects}
            scene.frame_step, scene.camera = frame_step, objects.get(camera)
            for marker in scene.timeline_markers:
                if marker.as_pointer() in bound:
                    marker.camera = objects.get(bound[marker.as_pointer()])
            for owner, values in zip(_owners(scene), kept, strict=True):
                _restore(owner, values)


def _uid(item: bpy.types.Object | None) -> int:
    return item.session_uid if item else 0


def _owners(scene: bpy.types.Scene) -> list[bpy.types.bpy_struct]:
    owners = [scene.render, scene.render.image_settings, scene.render.ffmpeg, scene.eevee]
    return [*owners, scene.cycles] if hasattr(scene, "cycles") else owners


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
