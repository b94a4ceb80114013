"""A script for Blender, not a part of the add-on: renders one scene of the ground-truth set, described in a JSON file.

    blender -b --factory-startup --python ground_truth.py -- SCENE.json        or        python ground_truth.py SCENE.json

It writes OUTPUT/f_0001.exr ... with the picture and the depth, and prints "frame N" after each.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import bpy
from mathutils import Matrix

Scene = dict[str, Any]


def main(path: Path) -> None:
    scene = json.loads(path.read_text(encoding="utf-8"))
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    _settings(scene)
    _surroundings(scene)
    for prop in scene["props"]:
        _box(prop)
    bodies = [_body(i, scene) for i in range(len(scene["sources"]))]
    camera = _camera(scene)
    render = bpy.context.scene.render
    for frame in range(scene["first"], scene["end"]):
        camera.matrix_world = Matrix(scene["cameras"][frame])
        for body, source in zip(bodies, scene["sources"], strict=True):
            body.location = source["positions"][frame]
        render.filepath = str(Path(scene["output"]) / f"f_{frame + 1:04}.exr")
        bpy.context.scene.cycles.seed = frame
        bpy.ops.render.render(write_still=True)
        print(f"frame {frame + 1}", flush=True)


def _settings(scene: Scene) -> None:
    blender_scene = bpy.context.scene
    blender_scene.render.engine = "CYCLES"
    blender_scene.cycles.samples = scene["samples"]
    blender_scene.cycles.use_denoising = False
    blender_scene.cycles.use_adaptive_sampling = False
    blender_scene.cycles.max_bounces = 0  # nothing that has to be averaged: no noise
    blender_scene.render.use_persistent_data = True
    blender_scene.render.resolution_x = scene["width"]
    blender_scene.render.resolution_y = scene["height"]
    blender_scene.render.resolution_percentage = 100
    blender_scene.render.film_transparent = False
    blender_scene.view_layers[0].use_pass_z = True
    images = blender_scene.render.image_settings
    if hasattr(images, "media_type"):  # Blender 5
        images.media_type = "MULTI_LAYER_IMAGE"
    images.file_format = "OPEN_EXR_MULTILAYER"
    images.color_depth = "32"
    images.exr_codec = "ZIP"


def _surroundings(scene: Scene) -> None:
    world = bpy.data.worlds.new("sky")
    bpy.context.scene.world = world
    world.use_nodes = True
    background = world.node_tree.nodes["Background"]
    background.inputs["Color"].default_value = (0.35, 0.55, 0.9, 1)
    world.cycles_visibility.diffuse = False  # seen, but no light that would have to be sampled
    low, high = scene["low"], scene["high"]
    middle = [(a + b) / 2 for a, b in zip(low, high, strict=True)]
    size = [b - a for a, b in zip(low, high, strict=True)]
    ground = _material("ground", (0.42, 0.36, 0.28), 1.2, 0.9)
    bpy.ops.mesh.primitive_plane_add(location=(middle[0], middle[1], low[2]))
    floor = bpy.context.object
    floor.scale = (size[0] / 2, size[1] / 2, 1) if scene["indoors"] else (60, 60, 1)
    _dress(floor, ground)
    if not scene["indoors"]:
        bpy.ops.object.light_add(type="SUN", rotation=(math.radians(40), math.radians(-25), 0))
        bpy.context.object.data.energy = 3.0
        bpy.context.object.data.angle = 0.0
        return
    wall = _material("wall", (0.62, 0.6, 0.55), 0.8, 0.8)
    walls = (
        ((low[0], middle[1], middle[2]), (0, 90, 0), (size[2], size[1])),
        ((high[0], middle[1], middle[2]), (0, -90, 0), (size[2], size[1])),
        ((middle[0], high[1], middle[2]), (90, 0, 0), (size[0], size[2])),
        ((middle[0], low[1], middle[2]), (-90, 0, 0), (size[0], size[2])),
        ((middle[0], middle[1], high[2]), (180, 0, 0), (size[0], size[1])),
    )
    for place, angles_deg, sides in walls:
        bpy.ops.mesh.primitive_plane_add(
            location=place, rotation=[math.radians(a) for a in angles_deg]
        )
        bpy.context.object.scale = (sides[0] / 2, sides[1] / 2, 1)
        _dress(bpy.context.object, wall)
    bpy.ops.object.light_add(type="POINT", location=(-1.2, 1.5, high[2] - 0.6))
    bpy.context.object.data.energy = 350
    bpy.context.object.data.shadow_soft_size = 0.0


def _box(prop: dict[str, Any]) -> None:
    bpy.ops.mesh.primitive_cube_add(size=1, location=prop["center"])
    bpy.context.object.scale = prop["size"]
    _dress(bpy.context.object, _material("box", (prop["grey"],) * 3, 1.5, 0.7))


def _body(index: int, scene: Scene) -> bpy.types.Object:
    """A standing figure whose origin is its middle."""
    height, radius = scene["body_height"], scene["body_radius"]
    colours = ((0.8, 0.12, 0.1), (0.1, 0.3, 0.85), (0.9, 0.7, 0.1))
    material = _material("body", colours[index % len(colours)], 7.0, 1.0)
    bpy.ops.mesh.primitive_cylinder_add(vertices=48, radius=radius, depth=height * 0.8)
    body = bpy.context.object
    body.location = (0, 0, -height * 0.1)
    bpy.ops.mesh.primitive_uv_sphere_add(radius=height * 0.13, location=(0, 0, height * 0.37))
    head = bpy.context.object
    for part in (body, head):
        _dress(part, material)
    bpy.ops.object.select_all(action="DESELECT")
    body.select_set(True)
    head.select_set(True)
    bpy.context.view_layer.objects.active = body
    bpy.ops.object.join()
    bpy.ops.object.transform_apply(location=True, rotation=True, scale=True)
    return body


def _camera(scene: Scene) -> bpy.types.Object:
    data = bpy.data.cameras.new("camera")
    data.sensor_fit = "HORIZONTAL"
    data.angle_x = math.radians(scene["fov_deg"])
    data.clip_start, data.clip_end = 0.05, 500
    camera = bpy.data.objects.new("camera", data)
    bpy.context.scene.collection.objects.link(camera)
    bpy.context.scene.camera = camera
    return camera


def _material(
    name: str, colour: tuple[float, ...], detail: float, contrast: float
) -> bpy.types.Material:
    """A matt surface with enough texture to be tracked, fixed to the object; `detail`: features a metre."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    place = nodes.new("ShaderNodeTexCoord")
    mapping = nodes.new("ShaderNodeVectorMath")
    noise = nodes.new("ShaderNodeTexNoise")
    cells = nodes.new("ShaderNodeTexVoronoi")
    mix = nodes.new("ShaderNodeMath")
    ramp = nodes.new("ShaderNodeValToRGB")
    matt = nodes.new("ShaderNodeBsdfDiffuse")
    ambient = nodes.new("ShaderNodeEmission")
    shader = nodes.new("ShaderNodeAddShader")
    output = nodes.new("ShaderNodeOutputMaterial")
    mapping.operation = "SCALE"
    mapping.inputs["Scale"].default_value = detail
    noise.inputs["Scale"].default_value = 3.0
    noise.inputs["Detail"].default_value = 4.0
    cells.inputs["Scale"].default_value = 1.7
    mix.operation = "MULTIPLY_ADD"
    mix.inputs[1].default_value = 0.6
    dark = tuple(c * (1 - 0.85 * contrast) for c in colour)
    light = tuple(min(c * (1 + 0.6 * contrast), 1.0) for c in colour)
    ramp.color_ramp.elements[0].position, ramp.color_ramp.elements[1].position = 0.35, 0.95
    ramp.color_ramp.elements[0].color = (*dark, 1)
    ramp.color_ramp.elements[1].color = (*light, 1)
    links.new(place.outputs["Object"], mapping.inputs[0])
    for texture in (noise, cells):
        links.new(mapping.outputs[0], texture.inputs["Vector"])
    links.new(cells.outputs["Distance"], mix.inputs[0])
    links.new(noise.outputs[0], mix.inputs[2])
    links.new(mix.outputs[0], ramp.inputs[0])
    ambient.inputs["Strength"].default_value = 0.3
    for index, part in enumerate((matt, ambient)):
        links.new(ramp.outputs["Color"], part.inputs["Color"])
        links.new(part.outputs[0], shader.inputs[index])
    links.new(shader.outputs[0], output.inputs["Surface"])
    return material


def _dress(thing: bpy.types.Object, material: bpy.types.Material) -> None:
    """Apply the object's size to its mesh, so that textures are in metres, and give it the material."""
    bpy.ops.object.select_all(action="DESELECT")
    thing.select_set(True)
    bpy.context.view_layer.objects.active = thing
    bpy.ops.object.transform_apply(location=False, rotation=False, scale=True)
    thing.data.materials.append(material)


if __name__ == "__main__":
    main(Path(sys.argv[-1]))
