"""What an operator changes is undone in one step and redone in one: every operator that says it can be undone is called."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import make_bundle
import pytest
import sound
from evaluated import child
from shots import add_speaker
from sonic4d_extension.blender_addon import tasks
from sonic4d_extension.blender_addon.client.jobs import Job

PACKAGE = "sonic4d_extension.blender_addon"
CLICKED = {"pick_source"}  # needs a window and a mouse
NO_VALUES = {"rna_type", "name"}
SONIC4D = bpy.ops.sonic4d

Prepare = Callable[[Path], dict[str, Any]]


def sources(folder: Path) -> dict[str, Any]:
    bpy.context.view_layer.objects.active = child(bpy.context.scene.sonic4d.bundle, "bird")
    return {}


def moved_source(folder: Path) -> dict[str, Any]:
    sources(folder)
    bpy.context.object.location.x += 2
    return {}


def shot_camera(folder: Path) -> dict[str, Any]:
    SONIC4D.make_shot_camera()
    bpy.context.scene.sonic4d.move = "orbit"
    return {}


def marks(folder: Path) -> dict[str, Any]:
    SONIC4D.mark_points()
    bpy.context.view_layer.update()
    return {"distance_m": 7.0}


def take(folder: Path) -> dict[str, Any]:
    SONIC4D.add_take()
    return {}


def two_takes(folder: Path) -> dict[str, Any]:
    take(folder)
    return take(folder)


def rendered(folder: Path) -> dict[str, Any]:
    SONIC4D.render_audio()
    bpy.context.scene.sonic4d.room_kind = "half_space"
    return {}


def speaker(folder: Path) -> dict[str, Any]:
    item = add_speaker(sound.noise(folder / "s.wav", 0.1))
    bpy.context.scene.sonic4d.active_source = bpy.context.scene.objects.find(item.name)
    return {}


def sound_strip(folder: Path) -> dict[str, Any]:
    editor = bpy.context.scene.sequence_editor_create()
    path = str(sound.noise(folder / "m.wav", 0.1))
    editor.strips.new_sound(name="m", filepath=path, channel=1, frame_start=1).select = True
    return {"source": "bird"}


def bound_strip(folder: Path) -> dict[str, Any]:
    SONIC4D.bind_strips(**sound_strip(folder))
    return {}


def movie_strip(folder: Path) -> dict[str, Any]:
    editor = bpy.context.scene.sequence_editor_create()
    strip = editor.strips.new_movie(
        name="v", filepath=str(folder / "clip.mp4"), channel=1, frame_start=1
    )
    editor.active_strip = strip
    return {}


OPERATORS: dict[str, Prepare] = {
    "add_source": lambda folder: {"filepath": str(sound.noise(folder / "a.wav", 0.1))},
    "add_take": lambda folder: {},
    "apply_move": shot_camera,
    "bind_strips": sound_strip,
    "choose_expert": lambda folder: {"job": "depth", "option": "geometric"},
    "compare_takes": two_takes,
    "enhance_shot": shot_camera,
    "fit_room": lambda folder: {"to": "CLOUD"},
    "generate": lambda folder: {"filepath": str(folder / "clip.mp4")},
    "import_bundle": lambda folder: {"filepath": str(folder / "a.sonic4d")},
    "key_source": moved_source,
    "make_shot_camera": lambda folder: {},
    "mark_points": lambda folder: {},
    "mark_wrong": sources,
    "release_strips": bound_strip,
    "remove_bundle": lambda folder: {},
    "remove_source": speaker,
    "remove_take": rendered,
    "render_audio": lambda folder: {},
    "restore_take_settings": rendered,
    "retrack": sources,
    "scale_by_distance": marks,
    "set_walls": lambda folder: {"material": "wood_panelling"},
    "use_movie_strip": movie_strip,
    "use_video": lambda folder: {"filepath": str(folder / "clip.mp4")},
}


@pytest.fixture
def folder(tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A saved file with an imported scene; what a worker takes long for is at hand already."""
    bundle = make_bundle.write_bundle(tmp_path / "a.sonic4d", video)
    sound.noise(bundle / "audio/bird.wav", 0.1)
    shutil.copy(video, tmp_path / "clip.mp4")
    work = tasks.job

    def job(request: dict[str, Any], activity: tasks.Activity) -> tasks.Steps[Job]:
        if request["kind"] == "render":
            return (yield from work(request, activity))
        output = Path(request["output"])
        match request["kind"]:
            case "generate":
                shutil.copytree(bundle, output)
            case "enhance":
                shutil.copy(video, output)
            case "retrack":
                track = {"first": 0, "positions": [[1, 2, 3]] * 4, "confidence": [1.0] * 4}
                output.write_text(json.dumps(track))
        yield
        return Job(1, request, "done", results=[output])

    monkeypatch.setattr(tasks, "job", job)
    SONIC4D.import_bundle(filepath=str(bundle))
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    return tmp_path


def values(group: Any) -> Any:
    """The settings in a property group, and in the groups in it."""
    return {
        prop.identifier: value(prop, getattr(group, prop.identifier))
        for prop in group.bl_rna.properties
        if prop.identifier not in NO_VALUES
    }


def value(prop: bpy.types.Property, found: Any) -> Any:
    if isinstance(found, bpy.types.PropertyGroup):
        return values(found)
    if prop.type == "COLLECTION":
        return [values(item) for item in found]
    if isinstance(found, bpy.types.ID):
        return found.name
    return list(found) if getattr(prop, "is_array", False) else found


def keys(item: bpy.types.Object) -> list[Any]:
    """The keyframes of an object."""
    animation = item.animation_data
    if animation is None or animation.action is None:
        return []
    return [
        (curve.data_path, [tuple(point.co) for point in curve.keyframe_points])
        for layer in animation.action.layers
        for strip in layer.strips
        for bag in strip.channelbags
        for curve in bag.fcurves
    ]


def state() -> dict[str, Any]:
    """All that the add-on's operators may change in the file."""
    scene = bpy.context.scene
    editor = scene.sequence_editor
    return {
        "settings": values(scene.sonic4d),
        "camera": scene.camera and scene.camera.name,
        "render": (scene.frame_start, scene.frame_end, scene.render.fps, scene.sync_mode),
        "objects": {
            item.name: (
                keys(item) or [list(row) for row in item.matrix_basis],
                item.parent and item.parent.name,
                values(item.sonic4d),
            )
            for item in scene.objects
        },
        "strips": [
            (strip.name, strip.channel, strip.mute, strip.get("sonic4d_take"), bound(strip))
            for strip in (editor.strips if editor else ())
        ],
        "sounds": sorted(item.filepath for item in bpy.data.sounds),
        "actions": sorted(item.name for item in bpy.data.actions),
    }


def bound(strip: bpy.types.Strip) -> str:
    source = strip.sonic4d_source
    return source.name if source else ""


def undoable() -> set[str]:
    """The add-on's operators that change the file, by their own account."""
    found, waiting = set(), [bpy.types.Operator]
    while waiting:
        cls = waiting.pop()
        waiting += cls.__subclasses__()
        if cls.__module__.startswith(PACKAGE) and cls.is_registered and "UNDO" in cls.bl_options:
            found.add(cls.bl_idname.partition(".")[2])
    return found


def test_no_operator_is_left_out() -> None:
    assert undoable() - CLICKED == set(OPERATORS)


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_one_step_back_and_one_forth(name: str, folder: Path) -> None:
    given = OPERATORS[name](folder)
    bpy.ops.ed.undo_push(message="Before")
    before = state()
    assert getattr(SONIC4D, name)("EXEC_DEFAULT", True, **given) == {"FINISHED"}
    after = state()
    assert after != before
    bpy.ops.ed.undo()
    assert state() == before
    bpy.ops.ed.redo()
    assert state() == after
