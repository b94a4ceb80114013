"""What the scene's camera sees of an imported bundle, as the backend is told: poses and lens in the bundle's coordinates."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ...backend.sonic4d.protocol import Sonic4DError
from .. import compat
from .listener import camera_at, camera_poses
from .paths import absolute
from .point_cloud import CLIP_FRAMES, CLIP_RATE, FIRST_FRAME, SPEED, TIME_OFFSET, cloud_modifier
from .sampling import bare_scene, world_matrices
from .shot import shot_json

_ROUNDING = 1e-3  # as in the node group: rounding errors of a rate don't hold a frame back


def view_of(scene: bpy.types.Scene, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The contents of shot.json, as it will lie in `folder`, with the camera in the bundle's coordinates; and the job's
    bundle, lens and shown frames.

    Raises `Sonic4DError` where there is no bundle, or its points can't be seen as the backend draws them.
    """
    root = scene.sonic4d.bundle
    if root is None:
        raise Sonic4DError(
            "no_bundle", "The scene shows no scene bundle.", "Import one, or generate it."
        )
    frames = range(scene.frame_start, scene.frame_end + 1)
    cameras = [camera_at(scene, frame) for frame in frames]
    seen = list(dict.fromkeys(cameras))
    for camera in seen:
        if camera.data.type != "PERSP":
            raise Sonic4DError(
                "no_lens", f"{camera.name} is no perspective camera.", "Use one for this shot."
            )
    shot = shot_json(scene, folder)
    matrices = world_matrices(scene, frames, [root, *seen])
    worlds = np.array([matrices[1 + seen.index(camera), i] for i, camera in enumerate(cameras)])
    shot["listener"]["poses"] = camera_poses(np.linalg.inv(matrices[0]) @ worlds).tolist()
    return shot, {
        "bundle": str(absolute(root.sonic4d.bundle_path)),
        "lens": lens_of(scene, cameras[0]),
        "shown": _shown(root, frames),
    }


def lens_of(scene: bpy.types.Scene, camera: bpy.types.Object) -> dict[str, float]:
    """Pinhole intrinsics in pixels of the rendered picture, whose sides are even as H.264 needs them."""
    render = scene.render
    share = render.resolution_percentage / 100
    width, height = (
        max(2, int(side * share) // 2 * 2) for side in (render.resolution_x, render.resolution_y)
    )
    with bare_scene(scene, [camera]) as temporary:
        temporary.frame_set(scene.frame_start)
        graph = temporary.view_layers[0].depsgraph
        matrix = camera.evaluated_get(graph).calc_matrix_camera(
            graph,
            x=width,
            y=height,
            scale_x=render.pixel_aspect_x,
            scale_y=render.pixel_aspect_y,
        )
    return {
        "width": width,
        "height": height,
        "fx": matrix[0][0] * width / 2,
        "fy": matrix[1][1] * height / 2,
        "cx": (1 - matrix[0][2]) * width / 2,
        "cy": (1 + matrix[1][2]) * height / 2,
    }


def _shown(root: bpy.types.Object, frames: range) -> list[int]:
    """The bundle's frame, counted from 0, that its cloud shows at each frame of the scene (see `point_cloud`)."""
    modifiers = [cloud_modifier(item) for item in root.children]
    clips = [m for m in modifiers if m and FIRST_FRAME in compat.modifier_input_names(m)]
    if not clips:
        raise Sonic4DError(
            "no_cloud", f"{root.name} has lost its point cloud.", "Import the bundle again."
        )
    first, count, rate, offset, speed = (
        compat.get_modifier_input(clips[0], name)
        for name in (FIRST_FRAME, CLIP_FRAMES, CLIP_RATE, TIME_OFFSET, SPEED)
    )
    steps = [(frame - first - offset) * speed * rate + _ROUNDING for frame in frames]
    return [min(max(math.floor(step), 0), int(count) - 1) for step in steps]
