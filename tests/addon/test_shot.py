"""The scene as shot.json: the camera of each frame, the sources, the room, exact times."""

from __future__ import annotations

import math
from pathlib import Path

import bpy
import make_bundle
import numpy as np
import pytest
from evaluated import child, world_matrix
from shots import add_camera, read_shot
from sonic4d_extension.backend.sonic4d.protocol import Sonic4DError


def add_marker(frame: int, camera: bpy.types.Object) -> None:
    bpy.context.scene.timeline_markers.new(camera.name, frame=frame).camera = camera


def heard_from(folder: Path) -> list[float]:
    """Where the listener is along x, frame by frame."""
    return [round(float(x), 4) for x in read_shot(folder).listener_poses[:, 0, 3]]


@pytest.mark.parametrize("first_frame", [0, 1, 101])
@pytest.mark.parametrize("rate", ["24", "25", "24000/1001", "30000/1001"])
def test_backend_reads_it(tmp_path: Path, video: Path, first_frame: int, rate: str) -> None:
    folder = make_bundle.write_bundle(tmp_path / "a.sonic4d", video, frame_rate=rate)
    scene = bpy.context.scene
    scene.frame_start = first_frame
    bpy.ops.sonic4d.import_bundle(filepath=str(folder))
    shot = read_shot(tmp_path)
    assert (str(shot.frame_rate), shot.frame_start, shot.frame_end) == (
        rate,
        first_frame,
        first_frame + 3,
    )
    np.testing.assert_allclose(
        shot.listener_poses, np.tile(make_bundle.NORTH, (4, 1, 1)), atol=1e-6
    )
    source = shot.sources[0]
    np.testing.assert_allclose(source.positions, make_bundle.source_positions(4), atol=1e-6)
    assert (source.name, source.audio, source.start_s) == ("bird", "a.sonic4d/audio/bird.wav", 0.0)
    assert shot.room.kind == "shoebox"
    np.testing.assert_allclose(shot.room.center, [0, 3, 1.2], atol=1e-5)
    np.testing.assert_allclose(shot.room.size, [8, 10, 3], rtol=1e-6)
    assert shot.room.yaw_deg == pytest.approx(30)
    assert shot.room.rt60_s == 0.5


def test_part_of_the_clip(root: bpy.types.Object, tmp_path: Path) -> None:
    scene = bpy.context.scene
    scene.frame_start, scene.frame_end = 3, 4
    shot = read_shot(tmp_path)
    np.testing.assert_allclose(
        shot.sources[0].positions, make_bundle.source_positions(4)[2:], atol=1e-6
    )
    assert shot.sources[0].start_s == pytest.approx(-2 / 24)


def test_settings_arrive(root: bpy.types.Object, tmp_path: Path) -> None:
    settings = bpy.context.scene.sonic4d
    settings.mode, settings.segments, settings.segment_count = "paper", "number", 7
    settings.mic_spacing_m, settings.rt60_s, settings.tail = 0.25, 1.5, True
    settings.normalize, settings.lufs, settings.true_peak_dbtp = "loudness", -20, -2
    child(root, "bird").sonic4d.gain_db = 3
    shot = read_shot(tmp_path)
    render = shot.render
    assert (render.mode, render.segments, render.tail) == ("paper", 7, True)
    assert (render.mic_spacing_m, shot.room.rt60_s) == (0.25, 1.5)
    assert (render.normalize.kind, render.normalize.lufs) == ("loudness", -20)
    assert render.normalize.true_peak_dbtp == -2
    assert shot.sources[0].gain_db == 3


def test_camera_markers_cut(root: bpy.types.Object, tmp_path: Path) -> None:
    left, right = add_camera("Left", -1), add_camera("Right", 2)
    add_marker(2, left)
    add_marker(4, right)
    assert heard_from(tmp_path) == [-1, -1, -1, 2]  # before its frame the first marker counts too
    right.hide_render = True
    assert heard_from(tmp_path) == [-1, -1, -1, -1]


def test_markers_agree_with_blender(root: bpy.types.Object, tmp_path: Path) -> None:
    scene = bpy.context.scene
    for frame, x in ((3, 5), (-4, 1), (1, 3), (4, 9)):
        add_marker(frame, add_camera(f"At {frame}", x))
    expected = []
    for frame in range(1, 5):
        scene.frame_set(frame)
        expected.append(scene.camera.location.x)
    assert heard_from(tmp_path) == expected


def test_parents_constraints_and_drivers_count(root: bpy.types.Object, tmp_path: Path) -> None:
    scene = bpy.context.scene
    dolly = bpy.data.objects.new("Dolly", None)
    scene.collection.objects.link(dolly)
    for frame, x in ((1, -2.0), (4, 2.0)):
        dolly.location.x = x
        dolly.keyframe_insert("location", frame=frame)
    dolly.scale = (1.5, 1.5, 1.5)
    camera = add_camera("Crane", 0.5)
    camera.parent = dolly
    track = camera.constraints.new("TRACK_TO")
    track.target = child(root, "bird")
    track.track_axis, track.up_axis = "TRACK_NEGATIVE_Z", "UP_Y"
    driver = camera.driver_add("location", 2).driver
    driver.expression = "frame / 2"
    scene.camera = camera
    shot = read_shot(tmp_path)
    for i, pose in enumerate(shot.listener_poses):
        want = world_matrix(camera, 1 + i)
        np.testing.assert_allclose(pose[:3, 3], want[:3, 3], atol=1e-5)
        np.testing.assert_allclose(pose[:3, :3], want[:3, :3] / 1.5, atol=1e-5)
        to_bird = shot.sources[0].positions[i] - pose[:3, 3]
        np.testing.assert_allclose(-pose[:3, 2], to_bird / np.linalg.norm(to_bird), atol=1e-5)


def test_the_scene_is_left_as_it_was(root: bpy.types.Object, tmp_path: Path) -> None:
    scene = bpy.context.scene
    scene.frame_set(3)
    before = (len(bpy.data.scenes), scene.camera, [item.name for item in scene.objects])
    read_shot(tmp_path)
    assert (len(bpy.data.scenes), scene.camera, [item.name for item in scene.objects]) == before
    assert scene.frame_current == 3


def test_rescaled_scene_and_centimetres(root: bpy.types.Object, tmp_path: Path) -> None:
    root.sonic4d.scene_scale = 3.0
    bpy.context.scene.unit_settings.scale_length = 0.5
    shot = read_shot(tmp_path)
    np.testing.assert_allclose(
        shot.sources[0].positions, 1.5 * make_bundle.source_positions(4), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        shot.listener_poses[:, :3, :3], np.tile(make_bundle.NORTH[:3, :3], (4, 1, 1)), atol=1e-6
    )
    np.testing.assert_allclose(shot.room.size, [12, 15, 4.5], rtol=1e-5)
    np.testing.assert_allclose(shot.room.center, [0, 4.5, 1.8], atol=1e-5)


def test_a_mesh_can_be_the_room(root: bpy.types.Object, tmp_path: Path) -> None:
    bpy.ops.mesh.primitive_cube_add(size=2, location=(1, 2, 3), rotation=(0, 0, math.radians(20)))
    box = bpy.context.object
    box.scale = (2, 3, 1)
    bpy.context.scene.sonic4d.room = box
    room = read_shot(tmp_path).room
    np.testing.assert_allclose(room.center, [1, 2, 3], atol=1e-5)
    np.testing.assert_allclose(room.size, [4, 6, 2], rtol=1e-5)
    assert room.yaw_deg == pytest.approx(20, abs=1e-3)


def test_without_a_room_object_the_size_counts(root: bpy.types.Object, tmp_path: Path) -> None:
    settings = bpy.context.scene.sonic4d
    settings.room, settings.room_kind, settings.room_size = None, "half_space", (5, 6, 4)
    room = read_shot(tmp_path).room
    assert (room.kind, room.size) == ("half_space", (5, 6, 4))
    np.testing.assert_allclose(room.center, [0, 3, 0.25], atol=1e-6)


def test_any_object_can_be_a_source(root: bpy.types.Object, bundle: Path, tmp_path: Path) -> None:
    bpy.ops.mesh.primitive_cube_add(location=(4, 5, 6))
    cube = bpy.context.object
    cube.sonic4d.is_source = True
    cube.sonic4d.audio_path = str(bundle / "audio/bird.wav")
    cube.sonic4d.audio_frame = 3
    sources = {source.name: source for source in read_shot(tmp_path).sources}
    assert set(sources) == {"bird", "Cube"}
    np.testing.assert_allclose(sources["Cube"].positions, [[4, 5, 6]] * 4)
    assert sources["Cube"].start_s == pytest.approx(2 / 24)


def test_sound_from_elsewhere_is_put_beside_the_shot(
    root: bpy.types.Object, bundle: Path, tmp_path: Path
) -> None:
    take = tmp_path / "takes" / "1"
    other = tmp_path / "other" / "bird.wav"
    other.parent.mkdir()
    other.write_bytes(b"another sound")
    bpy.ops.object.empty_add()
    bpy.context.object.sonic4d.is_source = True
    bpy.context.object.sonic4d.audio_path = str(other)
    audio = [take / source.audio for source in read_shot(take).sources]
    assert {path.read_bytes() for path in audio} == {
        b"another sound",
        (bundle / "audio/bird.wav").read_bytes(),
    }
    assert [path.parent for path in audio] == [take / "audio"] * 2
    assert [take / source.audio for source in read_shot(take).sources] == audio  # not once more


def test_what_is_missing_is_said(root: bpy.types.Object, bundle: Path, tmp_path: Path) -> None:
    scene, source = bpy.context.scene, child(root, "bird")
    camera, scene.camera = scene.camera, None
    with pytest.raises(Sonic4DError, match="no active camera"):
        read_shot(tmp_path)
    scene.camera = camera
    source.sonic4d.audio_path = str(bundle / "gone.wav")
    with pytest.raises(Sonic4DError, match=r"sound of bird is missing.*gone\.wav"):
        read_shot(tmp_path)
    source.sonic4d.audio_path = ""
    with pytest.raises(Sonic4DError, match="bird has no sound"):
        read_shot(tmp_path)
    source.sonic4d.is_source = False
    with pytest.raises(Sonic4DError, match="no sound source"):
        read_shot(tmp_path)


def test_listener_of_a_mirrored_camera_faces_where_it_looks(
    root: bpy.types.Object, tmp_path: Path
) -> None:
    camera = add_camera("Mirrored", 0)
    camera.rotation_euler.x = math.radians(90)
    camera.scale = (1, 1, -2)
    bpy.context.scene.camera = camera
    pose = read_shot(tmp_path).listener_poses[0]  # refused if it weren't a rotation
    np.testing.assert_allclose(pose[:3, :3].T, [[-1, 0, 0], [0, 0, 1], [0, 1, 0]], atol=1e-6)
