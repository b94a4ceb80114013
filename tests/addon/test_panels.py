"""The panels draw what exists: every property and operator that they name is there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import bpy
import pytest
from evaluated import child
from sonic4d_extension.blender_addon.ui import panels


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

    def operator(self, name: str, **_: Any) -> None:
        assert getattr(bpy.types, "SONIC4D_OT_" + name.removeprefix("sonic4d.")).bl_description
        self.drawn.append(name)

    def label(self, text: str, **_: Any) -> None:
        self.drawn.append(text)

    def column(self, **_: Any) -> Layout:
        return self

    row = column


def draw(panel: type[bpy.types.Panel], region_width: int = 280) -> list[str]:
    context = SimpleNamespace(
        scene=bpy.context.scene,
        object=bpy.context.object,
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


def test_any_object_can_become_a_source() -> None:
    assert not panels.SONIC4D_PT_source.poll(bpy.context)
    bpy.ops.mesh.primitive_cube_add()
    assert draw(panels.SONIC4D_PT_source) == ["Cube is a sound source"]
    bpy.context.object.sonic4d.is_source = True
    assert draw(panels.SONIC4D_PT_source)[1:] == ["audio_path", "audio_frame", "gain_db"]


def test_an_imported_source_tells_how_sure_it_is(root: bpy.types.Object) -> None:
    bpy.context.view_layer.objects.active = child(root, "bird")
    bpy.context.scene.frame_set(4)
    assert draw(panels.SONIC4D_PT_source)[-1] == "Confidence at this frame: 100%"


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
