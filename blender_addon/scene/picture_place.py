"""From the mouse to a place in a video's picture: fractions (x, y) from its upper left corner."""

from __future__ import annotations

import bpy
import numpy as np
from bpy_extras.view3d_utils import location_3d_to_region_2d
from mathutils import Vector

Place = tuple[float, float]


def clip_of(area: bpy.types.Area, scene: bpy.types.Scene) -> bpy.types.MovieClip | None:
    """The video that an area shows: a movie clip editor's, or the one behind the camera that a 3D view looks through."""
    space = area.spaces.active
    if area.type == "CLIP_EDITOR":
        return space.clip
    if area.type == "VIEW_3D" and space.region_3d.view_perspective == "CAMERA":
        background = _background(space.camera or scene.camera)
        return background.clip if background else None
    return None


def place_in_area(
    area: bpy.types.Area,
    region: bpy.types.Region,
    scene: bpy.types.Scene,
    mouse: tuple[float, float],
) -> Place | None:
    """Where the mouse (pixels of the region) is in the video that the area shows; None beside it."""
    if area.type == "CLIP_EDITOR":
        x, y = region.view2d.region_to_view(*mouse)
        return _inside(x, 1 - y)
    camera = area.spaces.active.camera or scene.camera
    corners = frame_in_region(camera, scene, region, area.spaces.active.region_3d)
    if corners is None:
        return None
    low, high = corners
    inside = (np.array(mouse) - low) / (high - low)
    x, y = _on_background(inside, high - low, _background(camera))
    return _inside(x, 1 - y)


def frame_in_region(
    camera: bpy.types.Object,
    scene: bpy.types.Scene,
    region: bpy.types.Region,
    view: bpy.types.RegionView3D,
) -> tuple[np.ndarray, np.ndarray] | None:
    """The camera's frame in pixels of the region: lower left and upper right corner."""
    corners = [
        location_3d_to_region_2d(region, view, camera.matrix_world.normalized() @ Vector(corner))
        for corner in camera.data.view_frame(scene=scene)
    ]
    if None in corners:
        return None
    return np.min(corners, axis=0), np.max(corners, axis=0)


def _background(camera: bpy.types.Object | None) -> bpy.types.CameraBackgroundImage | None:
    if camera is None or camera.type != "CAMERA" or not camera.data.show_background_images:
        return None
    shown = (image for image in camera.data.background_images if image.source == "MOVIE_CLIP")
    return next((image for image in shown if image.clip), None)


def _on_background(
    place: np.ndarray, frame_px: np.ndarray, background: bpy.types.CameraBackgroundImage
) -> np.ndarray:
    """From fractions of the camera's frame to fractions of the picture that lies in it, both from the lower left."""
    size = np.array(background.clip.size, dtype=float)
    share = np.ones(2)  # of the frame that the picture covers
    if background.frame_method != "STRETCH" and size.min() > 0:
        fit = size / size[0] * frame_px[0]
        by_height = (
            fit[1] < frame_px[1] if background.frame_method == "CROP" else fit[1] > frame_px[1]
        )
        if by_height:
            fit = size / size[1] * frame_px[1]
        share = fit / frame_px
    share = share * background.scale
    return (place - 0.5 - np.array(background.offset)) / share + 0.5


def _inside(x: float, y: float) -> Place | None:
    return (float(x), float(y)) if 0 <= x < 1 and 0 <= y < 1 else None
