"""Choosing the video to generate from, and the place in its picture that sounds."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import bpy
import numpy as np
import pytest
from mathutils import Matrix
from sonic4d_extension.blender_addon.operators import generate, pick_source
from sonic4d_extension.blender_addon.scene import picture_place
from sonic4d_extension.blender_addon.sequencer import timing


def test_a_dropped_video_is_chosen(video: Path) -> None:
    settings = bpy.context.scene.sonic4d.generate
    settings.point, settings.start_s = "1,2@3", 4.0
    assert bpy.ops.sonic4d.use_video(filepath=str(video)) == {"FINISHED"}
    assert (settings.video, settings.point, settings.start_s) == (str(video), "", 0.0)
    with pytest.raises(RuntimeError, match="no file"):
        bpy.ops.sonic4d.use_video(filepath=str(video) + "x")


def test_what_takes_dropped_files() -> None:
    handler = bpy.types.SONIC4D_FH_video
    assert handler.bl_import_operator == "sonic4d.use_video"
    assert {".mp4", ".mov", ".mkv"} <= set(handler.bl_file_extensions.split(";"))
    for area, taken in (("VIEW_3D", True), ("SEQUENCE_EDITOR", True), ("TEXT_EDITOR", False)):
        assert handler.poll_drop(SimpleNamespace(area=SimpleNamespace(type=area))) == taken


def test_a_strips_part_of_the_video_is_chosen(video: Path) -> None:
    scene = bpy.context.scene
    editor = scene.sequence_editor_create()
    assert not bpy.ops.sonic4d.use_movie_strip.poll()
    strip = editor.strips.new_movie(name="m", filepath=str(video), channel=1, frame_start=5)
    if hasattr(strip, "left_handle"):
        strip.left_handle, strip.right_handle = 6, 8
    else:
        strip.frame_final_start, strip.frame_final_end = 6, 8
    editor.active_strip = strip
    with bpy.context.temp_override(scene=scene):
        assert bpy.ops.sonic4d.use_movie_strip() == {"FINISHED"}
    settings = scene.sonic4d.generate
    assert settings.video == str(video)
    assert (settings.start_s, settings.duration_s) == pytest.approx((1 / 24, 2 / 24))
    assert timing.span(strip) == (6, 8)


def test_the_settings_become_the_backends_options(tmp_path: Path) -> None:
    settings = bpy.context.scene.sonic4d.generate
    assert generate.options_of(bpy.context.scene, {}) == {}
    settings.sound_source, settings.depth, settings.height = "bird", "geometric", 480
    settings.audio = str(tmp_path / "a.wav")
    assert generate.options_of(bpy.context.scene, {"point": "3,4", "height": 240}) == {
        "sound_source": "bird",
        "depth": "geometric",
        "height": 240,
        "audio": str(tmp_path / "a.wav"),
        "point": "3,4",
    }


def test_what_does_a_part_is_chosen_by_name() -> None:
    choose = bpy.ops.sonic4d.choose_expert
    assert choose(job="depth", option="geometric") == {"FINISHED"}
    assert bpy.context.scene.sonic4d.generate.depth == "geometric"
    with pytest.raises(RuntimeError, match="no part cooking"):
        choose(job="cooking", option="x")


def test_generating_without_a_video_is_told() -> None:
    with pytest.raises(RuntimeError, match="No video is chosen"):
        bpy.ops.sonic4d.generate()


def test_a_click_becomes_pixels_of_the_video() -> None:
    scene = bpy.context.scene
    scene.sonic4d.generate.start_s = 0.5
    clip = SimpleNamespace(fps=24.0, size=(320, 180))
    pick_source._set_point(scene, clip, (0.25, 0.5), 20)
    assert scene.sonic4d.generate.point == "80.0,90.0@8"


def camera_view(size: tuple[int, int]) -> tuple[SimpleNamespace, SimpleNamespace]:
    """A region and its view that show the world as the scene's camera does, with half the frame's width around it."""
    scene = bpy.context.scene
    camera, graph = scene.camera, bpy.context.evaluated_depsgraph_get()
    frame = camera.calc_matrix_camera(
        graph, x=scene.render.resolution_x, y=scene.render.resolution_y
    )
    view = Matrix.Diagonal((0.5, 0.5, 1, 1)) @ frame @ camera.matrix_world.normalized().inverted()
    region = SimpleNamespace(width=size[0], height=size[1])
    return region, SimpleNamespace(perspective_matrix=view)


@pytest.mark.parametrize(
    ("method", "scale", "mouse", "place"),
    [
        ("STRETCH", 1.0, (160, 90), (0.0, 0.999)),
        ("STRETCH", 1.0, (320, 180), (0.5, 0.5)),
        ("STRETCH", 1.0, (400, 225), (0.75, 0.25)),
        ("FIT", 1.0, (400, 225), (0.75, 0.25)),
        ("CROP", 1.0, (400, 225), (0.75, 0.25)),
        ("FIT", 0.5, (360, 180), (0.75, 0.5)),
    ],
)
def test_a_place_behind_the_camera(
    root: bpy.types.Object,
    method: str,
    scale: float,
    mouse: tuple[int, int],
    place: tuple[float, float],
) -> None:
    """The region has 640 x 360 pixels; the camera's frame is the middle half of it."""
    scene = bpy.context.scene
    scene.render.pixel_aspect_x = scene.render.pixel_aspect_y = 1
    camera = scene.camera
    camera.matrix_world = Matrix.Translation((1, 2, 3)) @ camera.matrix_world
    camera.data.shift_x = camera.data.shift_y = 0
    background = camera.data.background_images[0]
    background.frame_method, background.scale = method, scale
    bpy.context.view_layer.update()
    region, view = camera_view((640, 360))
    space = SimpleNamespace(camera=camera, region_3d=view)
    area = SimpleNamespace(type="VIEW_3D", spaces=SimpleNamespace(active=space))
    found = picture_place.place_in_area(area, region, scene, mouse)
    assert found == pytest.approx(place, abs=2e-3)
    assert picture_place.place_in_area(area, region, scene, (5, 5)) is None


def test_a_place_in_the_clip_editor(root: bpy.types.Object) -> None:
    view = SimpleNamespace(region_to_view=lambda x, y: (x / 100, y / 50))
    area, region = SimpleNamespace(type="CLIP_EDITOR"), SimpleNamespace(view2d=view)
    scene = bpy.context.scene
    assert picture_place.place_in_area(area, region, scene, (25, 40)) == pytest.approx((0.25, 0.2))
    assert picture_place.place_in_area(area, region, scene, (125, 40)) is None
    assert np.isfinite(picture_place.place_in_area(area, region, scene, (0, 1))).all()
