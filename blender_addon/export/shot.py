"""The task of exporting: the sound, what goes beside it, the picture, and both as one movie."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import bpy

from ...backend.sonic4d.files import check_new_file, new_file
from ...backend.sonic4d.protocol import Sonic4DError
from .. import tasks
from ..scene.sampling import objects_of, scene_of
from ..scene.units import frame_rate
from .picture import render_picture
from .settings import Options
from .sound import SIDECAR_FORMATS, Placed, mix_of, shot_of, take_of

SUFFIXES = {"AAC": ".mp4", "FLAC": ".mp4", "PCM": ".mov"}


def export_shot(
    scene: bpy.types.Scene, activity: tasks.Activity, options: Options
) -> tasks.Steps[Path]:
    """The task: write the movie and what was asked for beside it. Returns the movie.

    The sound is put to the picture by the backend, sample for sample. Nothing half-written is left; a picture that was
    rendered is kept where only the rest failed. Raises `Sonic4DError`.
    """
    target = target_file(options.output, options.codec)
    _check(scene, target, options)
    rate, uid = str(frame_rate(scene)), scene.session_uid
    camera_uid = options.camera.session_uid if options.camera else None
    with _work_folder(target) as work:
        take = sound = mix_of(scene, work) if options.sound == "MIX" else take_of(scene, activity)
        if options.lufs is not None and options.sound == "TAKE":
            levelled = work / "levelled.wav"
            yield from _render(take, levelled, activity, _level(options))
            sound = Placed(levelled, take.start, take.heard)
        yield from _sidecars(take, sound, target, options, activity)
        picture = options.picture
        if picture is None:
            scene = scene_of(uid)
            if camera_uid is not None:
                options = replace(options, camera=objects_of([camera_uid])[0])
            picture = work / f"picture{target.suffix}"
            yield from render_picture(scene, activity, options, picture)
        try:
            job = {
                "kind": "mux",
                "picture": str(picture),
                "audio": str(sound.path),
                "output": str(target),
                "codec": options.codec.lower(),
                "frame_rate": rate,
                "audio_start": sound.start,
                "heard": sound.heard and list(sound.heard),
            }
            yield from tasks.job(job, activity)
        except Sonic4DError as error:
            if options.picture is None and error.code != "cancelled":
                raise _keeping(picture, target, error) from None
            raise
    return target


def target_file(output: Path, codec: str) -> Path:
    """`output` with the suffix of its format. Raises `Sonic4DError` for any other suffix."""
    suffix = SUFFIXES[codec]
    if output.suffix.lower() in SUFFIXES.values() and output.suffix.lower() != suffix:
        raise Sonic4DError(
            "bad_suffix",
            f"A shot with {codec} sound can't be written to {output.name}.",
            f"Use a name ending in {suffix}.",
        )
    return output if output.suffix.lower() == suffix else output.with_name(output.name + suffix)


def sidecar_files(target: Path, sidecars: frozenset[str]) -> dict[str, Path]:
    """Where the files beside the movie go; stems' names follow from that of the whole."""
    endings = {name: ending for name, (_, ending) in SIDECAR_FORMATS.items()}
    endings["WAV"] = endings["STEMS"] = ".wav"
    return {name: target.with_name(target.stem + endings[name]) for name in sorted(sidecars)}


def _check(scene: bpy.types.Scene, target: Path, options: Options) -> None:
    """Raises `Sonic4DError` for what would fail after a long time."""
    if options.picture is None and not (options.camera or scene.camera):
        raise Sonic4DError("no_camera", "The scene has no camera.", "Set the scene's camera.")
    if options.picture is not None and not options.picture.exists():
        raise Sonic4DError(
            "missing_file",
            f"There is no picture {options.picture}.",
            "Choose the rendered picture.",
        )
    if options.sound == "MIX" and (options.sidecars or options.lufs is not None):
        raise Sonic4DError(
            "bad_option",
            "Blender's mix can't be levelled, or given in other formats.",
            "Choose the take as sound, or nothing beside the movie.",
        )
    for file in {target, *sidecar_files(target, options.sidecars).values()}:
        check_new_file(file)
        if file.exists() and not options.overwrite:
            raise Sonic4DError(
                "exists",
                f"{file} exists already.",
                "Choose another name, or allow to overwrite it.",
            )


@contextmanager
def _work_folder(target: Path) -> Iterator[Path]:
    """A folder beside the movie, on the same disk; it goes at the end."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise Sonic4DError(
            "not_written",
            f"{target} can't be written: {error.strerror}.",
            "Make room on the disk or choose another folder.",
        ) from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sidecars(
    take: Placed, sound: Placed, target: Path, options: Options, activity: tasks.Activity
) -> tasks.Steps[None]:
    """What was asked for beside the movie, of the `take`; a WAV file is that of its `sound`."""
    files = sidecar_files(target, options.sidecars)
    if "STEMS" in files:
        settings = [*_level(options), "render.stems=true"]
        yield from _render(take, files["STEMS"], activity, settings)
    elif "WAV" in files:
        with new_file(files["WAV"]) as path:
            shutil.copyfile(sound.path, path)
    for name, (audio_format, _) in SIDECAR_FORMATS.items():
        if name in files:
            settings = [*_level(options), "render.mode=hifi", f'render.format="{audio_format}"']
            yield from _render(take, files[name], activity, settings)


def _level(options: Options) -> list[str]:
    if options.lufs is None:
        return []
    return [
        "render.normalize.kind=loudness",
        f"render.normalize.lufs={options.lufs:g}",
        f"render.normalize.true_peak_dbtp={options.true_peak_dbtp:g}",
    ]


def _render(
    take: Placed, output: Path, activity: tasks.Activity, settings: list[str]
) -> tasks.Steps[None]:
    """Render the take's shot once more, with other settings."""
    job = {"kind": "render", "shot": str(shot_of(take)), "output": str(output), "set": settings}
    yield from tasks.job(job, activity)


def _keeping(picture: Path, target: Path, error: Sonic4DError) -> Sonic4DError:
    """Save the rendered picture from going with the work folder."""
    kept = target.with_name(f"{target.stem}_picture{target.suffix}")
    number = 1
    while kept.exists():
        number += 1
        kept = target.with_name(f"{target.stem}_picture_{number}{target.suffix}")
    picture.rename(kept)
    hint = (
        f"{error.hint} The picture was kept as {kept.name}: export again with it as picture file."
    )
    return Sonic4DError(error.code, error.message, hint.strip())
