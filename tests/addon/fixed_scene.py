"""A scene that must sound the same, bit for bit, in every Blender.

    python tests/addon/fixed_scene.py FOLDER
    blender -b --factory-startup --python tests/addon/fixed_scene.py -- FOLDER

builds it in FOLDER, renders its sound by the operator and prints the SHA-256 of what shot.json says and of the WAV.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parent))
import extension
import sound

FRAME_COUNT = 12


def build(folder: Path) -> bpy.types.Scene:
    """A camera on a curved path below a turned, scaled parent, a directive source, a Speaker with a cone, a wall between them
    and a room of materials."""
    scene = sound.make_scene(folder, sound.noise(folder / "noise.wav", 0.3))
    scene.frame_end = FRAME_COUNT
    parent = _linked(scene, "Parent", None)
    parent.rotation_euler, parent.scale = (0.1, 0.2, 0.7), (1.0, 2.0, 0.5)
    camera = scene.camera
    camera.parent = parent
    for frame in (1, 5, FRAME_COUNT):
        turn = frame / FRAME_COUNT * math.tau / 3
        camera.location = (math.cos(turn), math.sin(turn), 0.2 * frame)
        camera.rotation_euler = (1.2, 0.0, turn)
        camera.keyframe_insert("location", frame=frame)
        camera.keyframe_insert("rotation_euler", frame=frame)
    source = bpy.data.objects["Source"]
    source.location, source.rotation_euler = (1.5, 2.0, 0.4), (0.3, 0.0, 1.0)
    source.sonic4d.directivity = "cardioid"
    data = bpy.data.speakers.new("Speaker")
    data.sound = bpy.data.sounds.load(str(sound.noise(folder / "speaker.wav", 0.2)))
    data.cone_angle_inner, data.cone_angle_outer, data.pitch = 60, 120, 1.25
    _linked(scene, "Speaker", data).location = (-2.0, 1.0, 1.0)
    scene.sonic4d.occluders = bpy.data.collections.new("Obstacles")
    scene.collection.children.link(scene.sonic4d.occluders)
    mesh = bpy.data.meshes.new("Wall")
    mesh.from_pydata([(-1, 3, -1), (0, 1, -1), (0, 1, 2), (-1, 3, 2)], [], [(0, 1, 2, 3)])
    scene.sonic4d.occluders.objects.link(bpy.data.objects.new("Wall", mesh))
    scene.sonic4d.mode = "hifi"
    scene.sonic4d.room_kind, scene.sonic4d.use_materials = "shoebox", True
    scene.sonic4d.room_size = (8.0, 9.0, 5.0)
    bpy.ops.wm.save_mainfile()
    return scene


def _linked(scene: bpy.types.Scene, name: str, data: bpy.types.ID | None) -> bpy.types.Object:
    item = bpy.data.objects.new(name, data)
    scene.collection.objects.link(item)
    return item


def render(folder: Path) -> tuple[Path, Path]:
    """Its sound, by the operator: shot.json and the WAV."""
    scene = build(folder)
    bpy.ops.sonic4d.render_audio()
    wav = Path(bpy.path.abspath(scene.sonic4d.take_path))
    return wav.with_name("shot.json"), wav


def digests(shot: Path, wav: Path) -> tuple[str, str]:
    """Of what shot.json says, and of the WAV."""
    data = json.loads(shot.read_text(encoding="utf-8"))
    said = json.dumps(data, sort_keys=True).encode()
    return hashlib.sha256(said).hexdigest(), hashlib.sha256(wav.read_bytes()).hexdigest()


def main() -> None:
    extension.EXTENSION.register()
    try:
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
        print(*digests(*render(Path(sys.argv[-1]))), flush=True)
    finally:
        extension.EXTENSION.unregister()


if __name__ == "__main__":
    main()
