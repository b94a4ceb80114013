"""The scene's shot as the backend reads it."""

from __future__ import annotations

import json
from pathlib import Path

import bpy
from sonic4d_extension.backend.sonic4d.shot import Shot, ShotSource, shot_from_json
from sonic4d_extension.blender_addon.scene.shot import shot_json


def read_shot(folder: Path) -> Shot:
    data = json.loads(json.dumps(shot_json(bpy.context.scene, folder), allow_nan=False))
    return shot_from_json(data, folder)


def sources(folder: Path) -> dict[str, ShotSource]:
    return {source.name: source for source in read_shot(folder).sources}


def add_camera(name: str = "Camera", x: float = 0.0) -> bpy.types.Object:
    camera = bpy.data.objects.new(name, bpy.data.cameras.new(name))
    camera.location.x = x
    bpy.context.scene.collection.objects.link(camera)
    return camera


def add_speaker(
    sound: Path, place: tuple[float, float, float] = (0, 0, 0), name: str = "Speaker"
) -> bpy.types.Object:
    data = bpy.data.speakers.new(name)
    data.sound = bpy.data.sounds.load(str(sound))
    item = bpy.data.objects.new(name, data)
    item.location = place
    bpy.context.scene.collection.objects.link(item)
    return item
