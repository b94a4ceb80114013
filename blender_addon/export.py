"""The finished shot: Blender's picture with the sequencer's sound, as one movie file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from ..backend.sonic4d.files import new_file
from ..backend.sonic4d.protocol import Sonic4DError
from . import compat
from .sequencer import strips

MAX_RESOLUTION = 16384


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


@dataclass(frozen=True)
class Picture:
    """What differs from the scene's own render settings. `samples`: render with Cycles, this many samples a pixel."""

    resolution: tuple[int, int] | None = None
    percentage: int | None = None
    samples: int | None = None


def export_shot(
    scene: bpy.types.Scene,
    output: Path,
    *,
    lossless: bool = False,
    overwrite: bool = False,
    picture: Picture | None = None,
    on_frame: Callable[[int, int], None] | None = None,
) -> Path:
    """Render the scene's frames to `output`, muxed with the sequencer's sound. Returns the file.

    Waits until it is done; `on_frame(done, total)` is called after every frame. The sound is what Blender mixes: the
    take, and the user's own strips as they are. The scene's settings are as before when this returns. Raises
    `Sonic4DError` where the scene can't be rendered or the file can't be written.
    """
    with (
        movie(scene, output, lossless, overwrite, picture or Picture()) as target,
        frames(scene, on_frame),
    ):
        try:
            result = bpy.ops.render.render(animation=True, scene=scene.name)
        except RuntimeError as error:
            raise _failed(str(error)) from None
        if "FINISHED" not in result:
            raise _failed("it was stopped")
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


@contextmanager
def movie(
    scene: bpy.types.Scene, output: Path, lossless: bool, overwrite: bool, picture: Picture
) -> Iterator[Path]:
    """Set the scene up to be rendered; when the block ends well the movie is in its place.

    In any case the settings are as before afterwards, and nothing half-written is left.
    """
    target = target_file(output, lossless)
    if scene.camera is None:
        raise Sonic4DError("no_camera", "The scene has no camera.", "Set the scene's camera.")
    if not strips.take_strips(scene):
        raise Sonic4DError("no_take", "The shot has no sound yet.", "Render the audio first.")
    if target.exists() and not overwrite:
        raise Sonic4DError(
            "exists", f"{target} exists already.", "Choose another name, or allow to overwrite it."
        )
    with new_file(target) as path, _kept_settings(scene):
        # In the file's name # would stand for the frame number.
        rendered = path.with_name("shot" + target.suffix)
        _apply(scene, rendered, LOSSLESS if lossless else STANDARD, picture)
        yield target
        if not rendered.is_file() or not rendered.stat().st_size:
            raise _failed("no movie was written")
        rendered.replace(path)


@contextmanager
def frames(scene: bpy.types.Scene, on_frame: Callable[[int, int], None] | None) -> Iterator[None]:
    """Call `on_frame(done, total)` whenever a frame of the movie has been written."""
    total = scene.frame_end - scene.frame_start + 1
    done = 0

    def written(*_: Any) -> None:
        nonlocal done
        done += 1
        if on_frame:
            on_frame(done, total)

    bpy.app.handlers.render_write.append(written)
    try:
        yield
    finally:
        bpy.app.handlers.render_write.remove(written)


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
    share = (
        picture.percentage or (100 if picture.resolution else render.resolution_percentage)
    ) / 100
    sides = [max(2, int(side * share) // 2 * 2) for side in (width, height)]
    if max(sides) > MAX_RESOLUTION:
        raise Sonic4DError(
            "too_large",
            f"A picture of {sides[0]} x {sides[1]} is too large.",
            "Lower the resolution.",
        )
    render.resolution_x, render.resolution_y = sides
    render.resolution_percentage = 100


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
