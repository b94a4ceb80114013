"""The panels draw what exists: every property and operator that they name is there."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import pytest
import sound
from evaluated import child
from shots import add_camera, add_speaker
from sonic4d_extension.backend.sonic4d import unfinished
from sonic4d_extension.blender_addon.operators import generate
from sonic4d_extension.blender_addon.ui import (
    generate_panel,
    panels,
    source_panels,
    take_panels,
)

LIST_OF_SOURCES = ["objects", "sonic4d.add_source", "sonic4d.remove_source"]


class Layout(SimpleNamespace):
    """Notes what is drawn, and insists that it exists."""

    def __init__(self, drawn: list[str]) -> None:
        self.drawn = drawn

    def prop(self, owner: Any, path: str, text: str | None = None, **_: Any) -> None:
        if path.startswith('["'):
            assert path[2:-2] in owner
        else:
            assert path in owner.bl_rna.properties
        self.drawn.append(text or path)

    def operator(self, name: str, **_: Any) -> SimpleNamespace:
        assert getattr(bpy.types, "SONIC4D_OT_" + name.removeprefix("sonic4d.")).bl_description
        self.drawn.append(name)
        return SimpleNamespace()

    def label(self, text: str, **_: Any) -> None:
        self.drawn.append(text)

    def template_list(
        self, kind: str, _id: str, owner: Any, path: str, chosen: Any, index: str, **_: Any
    ) -> None:
        assert hasattr(bpy.types, kind)
        assert path in owner.bl_rna.properties
        assert index in chosen.bl_rna.properties
        self.drawn.append(path)

    def column(self, **_: Any) -> Layout:
        return self

    row = column


def draw(panel: type[bpy.types.Panel], region_width: int = 280) -> list[str]:
    context = SimpleNamespace(
        scene=bpy.context.scene,
        object=bpy.context.object,
        area=None,
        preferences=SimpleNamespace(system=SimpleNamespace(ui_scale=1.0)),  # 0 without a window
        region=SimpleNamespace(width=region_width),
    )
    drawn: list[str] = []
    panel.draw(SimpleNamespace(layout=Layout(drawn)), context)
    return drawn


def test_an_empty_scene_offers_the_import() -> None:
    assert draw(panels.SONIC4D_PT_scene) == ["sonic4d.import_bundle"]
    assert not panels.SONIC4D_PT_camera.poll(bpy.context)


def test_an_imported_scene_is_described(root: bpy.types.Object) -> None:
    drawn = draw(panels.SONIC4D_PT_scene)
    assert {"Approximate depth", "scene_scale", "sonic4d.remove_bundle"} <= set(drawn)
    assert "bird: found by motion, not by" in drawn  # wrapped to the sidebar
    assert "The depth is a guess." in drawn


def test_points_show_the_artists_inputs(root: bpy.types.Object) -> None:
    drawn = draw(panels.SONIC4D_PT_points)
    for name, count in (("Point size", 2), ("Hide synthetic", 2), ("Speed", 1), ("Files", 0)):
        assert drawn.count(name) == count


def test_sources_show_what_can_be_set_of_them(tmp_path: Path) -> None:
    scene = bpy.context.scene
    assert draw(source_panels.SONIC4D_PT_sources) == LIST_OF_SOURCES
    bpy.ops.mesh.primitive_cube_add()
    assert bpy.ops.sonic4d.add_source() == {"FINISHED"}
    assert bpy.context.object.sonic4d.is_source
    shown = ["audio_path", "audio_frame", "gain_db", "loop", "directivity"]
    assert draw(source_panels.SONIC4D_PT_sources) == [*LIST_OF_SOURCES, *shown]
    speaker = add_speaker(sound.impulse(tmp_path / "i.wav"))
    bpy.context.view_layer.update()
    scene.sonic4d.active_source = scene.objects.find(speaker.name)
    assert bpy.context.object == speaker  # the list selects
    drawn = draw(source_panels.SONIC4D_PT_sources)
    assert {"volume", "pitch", "attenuation"} <= set(drawn)


def test_the_list_has_the_sources_only(tmp_path: Path) -> None:
    bpy.ops.mesh.primitive_cube_add()
    add_speaker(sound.impulse(tmp_path / "i.wav"))
    rows = SimpleNamespace(filter_name="", bitflag_filter_item=1)
    scene = bpy.context.scene
    flags, _ = source_panels.SONIC4D_UL_sources.filter_items(rows, bpy.context, scene, "objects")
    assert [item.name for item, on in zip(scene.objects, flags, strict=True) if on] == ["Speaker"]


def test_an_imported_source_tells_how_sure_it_is(root: bpy.types.Object) -> None:
    scene = bpy.context.scene
    scene.sonic4d.active_source = scene.objects.find(child(root, "bird").name)
    scene.frame_set(4)
    assert draw(source_panels.SONIC4D_PT_sources)[-1] == "Confidence at this frame: 100%"


def test_the_listener_is_named() -> None:
    assert "The scene has no camera" in draw(source_panels.SONIC4D_PT_listener)
    bpy.context.scene.camera = add_camera("Eye")
    assert "Hearing from Eye" in draw(source_panels.SONIC4D_PT_listener)


def test_takes_are_listed_once_there_are_any() -> None:
    drawn = draw(take_panels.SONIC4D_PT_sequencer)
    assert drawn == ["sonic4d.render_audio", "live_update"]
    bpy.ops.sonic4d.add_take()
    drawn = draw(take_panels.SONIC4D_PT_sequencer)
    assert "sonic4d.remove_take" in drawn
    assert "sonic4d.compare_takes" not in drawn
    bpy.ops.sonic4d.add_take()
    assert "sonic4d.compare_takes" in draw(take_panels.SONIC4D_PT_sequencer)


@pytest.mark.parametrize(
    ("move", "parameter"), [("static", None), ("orbit", "move_angle"), ("text", "move_text")]
)
def test_a_move_shows_its_own_parameter(
    root: bpy.types.Object, move: str, parameter: str | None
) -> None:
    assert draw(panels.SONIC4D_PT_camera) == ["sonic4d.make_shot_camera"]
    bpy.ops.sonic4d.make_shot_camera()
    bpy.context.scene.sonic4d.move = move
    drawn = draw(panels.SONIC4D_PT_camera)
    assert [name for name in drawn if name in panels.MOVE_PARAMETERS.values()] == [parameter][
        : parameter is not None
    ]
    assert "sonic4d.apply_move" in drawn


def test_an_interrupted_generation_can_be_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(generate_panel, "draw_task", lambda *_, text="Generate": asked.append(text))
    monkeypatch.setattr(unfinished, "user_folder", lambda kind: tmp_path / kind)
    video = sound.noise(tmp_path / "clip.mp4", 0.1)
    for chosen in ("", str(tmp_path / "none.mp4"), str(video)):
        bpy.context.scene.sonic4d.generate.video = chosen
        draw(generate_panel.SONIC4D_PT_generate)
        generate.look_up()
    kept = unfinished.folder_of(video)
    kept.mkdir(parents=True)
    (kept / "depth_1.npz").touch()
    with pytest.raises(RuntimeError):  # no video at all: it ends, and the panel looks again
        bpy.ops.sonic4d.generate()
    for _ in range(2):
        draw(generate_panel.SONIC4D_PT_generate)
        generate.look_up()  # as the timer does
    assert asked == ["Generate", "Generate", "Generate", "Generate", "Continue"]
