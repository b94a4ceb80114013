"""The source camera of a bundle, and the shot camera that moves through it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import bpy
import numpy as np
from mathutils import Matrix

from ...backend.sonic4d.moves import Move, move_keys, parse_move
from ...backend.sonic4d.protocol import Sonic4DError
from .keyframes import set_pose, set_poses
from .listener import camera_poses
from .ownership import disown, own
from .sampling import world_matrices
from .units import metres_per_unit

_SENSOR_MM = 36.0
# Custom property that marks the clips of finished pictures.
_PICTURE_KEY = "sonic4d_picture"


def new_source_camera(
    name: str,
    intrinsics: dict[str, float],
    poses: np.ndarray,
    frames: Sequence[float],
    owner: str,
) -> bpy.types.Object:
    """A camera with the lens of the video; keyed at `frames` if it moves. poses (n, 4, 4): the bundle's coordinates."""
    data = own(bpy.data.cameras.new(name), owner)
    set_lens(data, intrinsics)
    item = own(bpy.data.objects.new(name, data), owner)
    moves = np.abs(poses - poses[0]).max() > 1e-9
    if moves:
        set_poses(item, frames, [Matrix(pose) for pose in poses])
    else:
        set_pose(item, Matrix(poses[0]))
    return own(item, owner)


def pixel_aspect(intrinsics: dict[str, float]) -> tuple[float, float]:
    """Blender's pixel aspect for a camera with different focal lengths across and down."""
    aspect = intrinsics["fx"] / intrinsics["fy"]
    return (1.0, aspect) if aspect >= 1 else (1 / aspect, 1.0)


def set_lens(camera: bpy.types.Camera, k: dict[str, float]) -> None:
    """Pinhole intrinsics in pixels -> lens and shift; with `pixel_aspect` set in the scene the match is exact."""
    across, down = pixel_aspect(k)
    camera.sensor_fit = "HORIZONTAL"
    camera.sensor_width = _SENSOR_MM
    camera.lens = k["fx"] * _SENSOR_MM / k["width"]
    camera.shift_x = (k["width"] / 2 - k["cx"]) / k["width"]
    camera.shift_y = (k["cy"] - k["height"] / 2) * (down / across) / k["width"]


def show_clip(camera: bpy.types.Camera, path: str, first_frame: int, owner: str) -> bool:
    """Put the video behind the camera's view. False if Blender can't read it."""
    clip = own(bpy.data.movieclips.load(path), owner)
    if not clip.frame_duration:
        bpy.data.movieclips.remove(clip)
        return False
    clip.frame_start = first_frame
    camera.show_background_images = True
    background = camera.background_images.new()
    background.source = "MOVIE_CLIP"
    background.clip = clip
    background.alpha = 1.0
    return True


def show_picture(camera: bpy.types.Camera, path: str, first_frame: int) -> None:
    """Put a shot's finished picture behind a camera's view, in place of an earlier one. It isn't rendered."""
    clip = bpy.data.movieclips.load(path)
    clip[_PICTURE_KEY] = True
    clip.frame_start = first_frame
    backgrounds = camera.background_images
    earlier = (entry for entry in backgrounds if entry.clip and _PICTURE_KEY in entry.clip)
    background = next(earlier, None) or backgrounds.new()
    replaced = background.clip
    background.source, background.clip, background.alpha = "MOVIE_CLIP", clip, 1.0
    camera.show_background_images = True
    if replaced is not None and not replaced.users:
        bpy.data.movieclips.remove(replaced)


def new_shot_camera(scene: bpy.types.Scene, bundle: bpy.types.Object) -> bpy.types.Object:
    """A camera of the artist's own that starts where the source camera starts, with its lens, and is active."""
    source = bundle.sonic4d.source_camera
    data = source.data.copy()
    disown(data)
    data.name = "Shot camera"
    data.background_images.clear()
    data.show_background_images = False
    item = bpy.data.objects.new("Shot camera", data)
    scene.collection.objects.link(item)
    item.parent = bundle
    set_pose(item, _to_local(item, _start_pose(scene, source)))
    scene.camera = scene.sonic4d.shot_camera = item
    return item


def apply_move(scene: bpy.types.Scene, text: str) -> tuple[str, float | None]:
    """Key the scene's shot camera over the frame range by a move, in place of its transform's keyframes.

    Gives a summary, and the limit in degrees if the bundle's limit made the move smaller. Raises `Sonic4DError`.
    """
    settings = scene.sonic4d
    camera, bundle = settings.shot_camera, settings.bundle
    move, limit = _limited(parse_move(text), bundle.sonic4d.move_limit_deg)
    metres = metres_per_unit(scene)
    start = _start_pose(scene, bundle.sonic4d.source_camera)
    start.translation *= metres
    pivot = _pivot(scene, bundle) * metres
    count = scene.frame_end - scene.frame_start + 1
    keys = move_keys(move, [list(row) for row in start], tuple(pivot.tolist()), count)
    poses = []
    for _, rows in keys:
        pose = Matrix(rows)
        pose.translation /= metres
        poses.append(_to_local(camera, pose))
    set_poses(camera, [scene.frame_start + frame for frame, _ in keys], poses, "BEZIER")
    return f"{camera.name}: {text}, {len(keys)} keyframes", limit


def move_text(settings: bpy.types.PropertyGroup) -> str:
    """The chosen preset as the text of a move."""
    move = settings.move
    if move == "text":
        return settings.move_text
    if move == "static":
        return "static"
    if move == "offset":
        steps = zip("xyz", settings.move_offset_m, strict=True)
        return "offset: " + " & ".join(f"{axis}{step:+.4f}" for axis, step in steps)
    if move in ("orbit", "turn"):
        return f"{move}:{math.degrees(settings.move_angle):.4f}"
    return f"{move}:{settings.move_distance_m:.4f}"


def _limited(move: Move, limit_deg: float) -> tuple[Move, float | None]:
    """A move that goes no farther around the pivot than the scene allows (0: no limit known)."""
    farthest = move.around_pivot_deg()
    if not limit_deg or farthest <= limit_deg:
        return move, None
    share = limit_deg / farthest
    terms = tuple(
        (name, value * share if name in ("phi", "theta", "orbit") else value)
        for name, value in move.terms
    )
    return replace(move, terms=terms), limit_deg


def _start_pose(scene: bpy.types.Scene, camera: bpy.types.Object) -> Matrix:
    return Matrix(camera_poses(world_matrices(scene, [scene.frame_start], [camera]))[0, 0])


def _pivot(scene: bpy.types.Scene, bundle: bpy.types.Object) -> np.ndarray:
    """What a move turns about: the middle of the way of the bundle's first source over the frame range."""
    sources = [item for item in bundle.children if item.sonic4d.is_source] or [
        item for item in scene.objects if item.sonic4d.is_source
    ]
    if not sources:
        raise Sonic4DError(
            "no_sources",
            "The scene has no sound source that the camera could move around.",
            "Mark an object as a sound source.",
        )
    frames = range(scene.frame_start, scene.frame_end + 1)
    return world_matrices(scene, frames, sources[:1])[0, :, :3, 3].mean(axis=0)


def _to_local(item: bpy.types.Object, world: Matrix) -> Matrix:
    """A world pose in the coordinates that an object's own location and rotation have."""
    if item.parent is None:
        return world
    bpy.context.view_layer.update()  # a parent that was just made has no world matrix yet
    return (item.parent.matrix_world @ item.matrix_parent_inverse).inverted() @ world
