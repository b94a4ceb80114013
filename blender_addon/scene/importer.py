"""Scene bundle -> a collection of Blender objects."""

from __future__ import annotations

import bpy
import numpy as np

from .bundle import BACKGROUND, CLIP, CLOUD_FILES, Bundle
from .camera import new_source_camera, pixel_aspect, show_clip
from .ownership import new_owner, own, owner_of, remove, remove_leftovers
from .paths import stored
from .point_cloud import new_cloud, point_material
from .room import new_room
from .sources import new_source
from .units import frame_rate, metres_per_unit, set_frame_rate

_FAR_M = 1000.0


def import_bundle(
    scene: bpy.types.Scene, bundle: Bundle, *, match_scene: bool
) -> tuple[bpy.types.Object, list[str]]:
    """Make a bundle's objects; gives the empty that carries them all, and what the user should know.

    The clip begins at the scene's first frame. `match_scene`: picture size, frame rate and range, colours and active camera
    become those of the clip; otherwise the clip plays in its own time within the scene's rate.
    """
    remove_leftovers()
    owner = new_owner()
    if match_scene:
        _match(scene, bundle)
    first = scene.frame_start
    step = float(frame_rate(scene) / bundle.frame_rate)
    frames = [first + i * step for i in range(bundle.frame_count)]

    collection = own(bpy.data.collections.new(bundle.name), owner)
    scene.collection.children.link(collection)
    root = own(bpy.data.objects.new(bundle.name, None), owner)
    root.empty_display_size = 0.25
    root.sonic4d.scene_scale = 1 / metres_per_unit(scene)
    children = [
        *_clouds(bundle, (first, bundle.frame_count, 1 / step), owner),
        *[item for source in bundle.sources for item in new_source(source, frames, owner)],
        new_room(f"{bundle.name} room", bundle.room, owner),
        new_source_camera(
            f"{bundle.name} camera", bundle.intrinsics, bundle.cameras, frames, owner
        ),
    ]
    for item in (root, *children):
        collection.objects.link(item)
    for item in children:
        item.parent = root
    room, camera = children[-2:]

    camera.data.clip_end = _FAR_M * root.sonic4d.scene_scale

    notes = list(bundle.warnings)
    if not show_clip(camera.data, stored(bundle.folder / CLIP), first, owner):
        notes.append(f"Blender can't show the video {CLIP} behind the camera.")
    notes += [f"{name} is around the camera: hide or delete it." for name in _around(scene, camera)]
    _describe(root, bundle, camera)
    root.sonic4d.clip_start, root.sonic4d.clip_step = first, step
    settings = scene.sonic4d
    settings.bundle, settings.room = root, room
    settings.room_kind = bundle.room["kind"]
    settings.rt60_s = bundle.room["rt60_s"]
    if match_scene or scene.camera is None:
        scene.camera = camera
    return root, notes


def remove_bundle(root: bpy.types.Object) -> None:
    """Remove all that the import of a bundle made. Cameras and objects of the artist's own stay."""
    owner = owner_of(root)
    if owner is not None:
        remove(owner)
    for scene in bpy.data.scenes:
        settings = scene.sonic4d
        if settings.bundle is None:
            roots = (item for item in scene.objects if item.sonic4d.bundle_path)
            settings.bundle = next(roots, None)
        if scene.camera is None:
            scene.camera = settings.shot_camera


def _clouds(bundle: Bundle, clip: tuple[int, int, float], owner: str) -> list[bpy.types.Object]:
    material = own(point_material(f"{bundle.name} points"), owner)
    files = stored(bundle.folder / CLOUD_FILES)
    clouds = [new_cloud(f"{bundle.name} cloud", files, material, owner, clip=clip)]
    if bundle.has_background:
        file = stored(bundle.folder / BACKGROUND)
        clouds.append(new_cloud(f"{bundle.name} background", file, material, owner))
    return clouds


def _around(scene: bpy.types.Scene, camera: bpy.types.Object) -> list[str]:
    """Names of the rendered meshes whose box the camera stands in, such as the cube of a new file."""
    layer = scene.view_layers[0]
    layer.update()
    place = camera.matrix_world.translation
    found = []
    for item in layer.objects:
        if item.type != "MESH" or item.sonic4d.is_cloud or item.hide_render:
            continue
        local = np.array(item.matrix_world.inverted_safe() @ place)
        low, high = np.min(item.bound_box, axis=0), np.max(item.bound_box, axis=0)
        if (low <= local).all() and (local <= high).all():
            found.append(item.name)
    return found


def _match(scene: bpy.types.Scene, bundle: Bundle) -> None:
    set_frame_rate(scene, bundle.frame_rate)
    scene.frame_end = scene.frame_start + bundle.frame_count - 1
    render = scene.render
    render.resolution_x = int(bundle.intrinsics["width"])
    render.resolution_y = int(bundle.intrinsics["height"])
    render.resolution_percentage = 100
    render.pixel_aspect_x, render.pixel_aspect_y = pixel_aspect(bundle.intrinsics)
    # The points carry the video's own colours; a film look would change them.
    scene.view_settings.view_transform = "Standard"
    scene.frame_set(scene.frame_start)


def _describe(root: bpy.types.Object, bundle: Bundle, camera: bpy.types.Object) -> None:
    settings = root.sonic4d
    settings.bundle_path = stored(bundle.folder)
    settings.source_camera = camera
    settings.approximate = bundle.approximate
    settings.move_limit_deg = bundle.move_limit_deg or 0.0
    settings.warnings = "\n".join(bundle.warnings)
    settings.credits = bundle.credits
