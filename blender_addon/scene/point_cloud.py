"""The point cloud: a geometry node group that reads the point files of a bundle, and its material.

No Python runs while frames change, so viewport, background render and render farm show the same, also where the
add-on isn't installed.
"""

from __future__ import annotations

from typing import Any

import bpy

from .. import compat
from .ownership import own

# Inputs of the node group.
POINT_SIZE = "Point size"
DENSITY = "Density"
CONFIDENCE_CUT = "Confidence cut"
HIDE_SYNTHETIC = "Hide synthetic"
TIME_OFFSET = "Time offset"
SPEED = "Speed"
FIRST_FRAME = "First frame"
CLIP_FRAMES = "Clip frames"
CLIP_RATE = "Clip rate"
FILES = "Files"
MATERIAL = "Material"

LOOK_INPUTS = (POINT_SIZE, DENSITY, CONFIDENCE_CUT, HIDE_SYNTHETIC)
TIME_INPUTS = (TIME_OFFSET, SPEED)

_MODIFIER = "Sonic4D points"
# A point's radius is half the side of the square it stands for; discs cover the corners from the square root of 2 on.
_COVERING = 1.5


def cloud_modifier(item: bpy.types.Object) -> bpy.types.NodesModifier | None:
    """The modifier that reads an imported point cloud."""
    modifier = item.modifiers.get(_MODIFIER) if item.sonic4d.is_cloud else None
    return modifier if modifier is not None and modifier.node_group is not None else None


def point_material(name: str) -> bpy.types.Material:
    """Shows the colours of the points as they are in the video, unlit."""
    material = bpy.data.materials.new(name)
    if material.node_tree is None:  # before 5.0
        material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    colour = nodes.new("ShaderNodeAttribute")
    colour.attribute_type, colour.attribute_name = "GEOMETRY", "Col"
    emission = nodes.new("ShaderNodeEmission")
    output = nodes.new("ShaderNodeOutputMaterial")
    links.new(colour.outputs["Color"], emission.inputs["Color"])
    links.new(emission.outputs["Emission"], output.inputs["Surface"])
    for node, x in ((colour, 0), (emission, 200), (output, 400)):
        node.location.x = x
    # Hundreds of thousands of points as lamps would slow Cycles down, and light nothing that matters.
    if hasattr(material, "cycles"):
        material.cycles.emission_sampling = "NONE"
    return material


def new_cloud(
    name: str,
    files: str,
    material: bpy.types.Material,
    owner: str,
    *,
    clip: tuple[int, int, float] | None = None,
) -> bpy.types.Object:
    """An object that shows point files. `clip`, for a file per frame ("####" in `files`): the scene frame of the first
    one, how many there are, and how many of them pass per scene frame.
    """
    group = own(_node_group(name, animated=clip is not None), owner)
    item = own(bpy.data.objects.new(name, own(bpy.data.meshes.new(name), owner)), owner)
    item.sonic4d.is_cloud = True
    modifier = item.modifiers.new(_MODIFIER, "NODES")
    modifier.node_group = group
    values: dict[str, Any] = {FILES: files, MATERIAL: material}
    if clip is not None:
        values |= dict(zip((FIRST_FRAME, CLIP_FRAMES, CLIP_RATE), clip, strict=True))
    for key, value in values.items():
        compat.set_modifier_input(modifier, key, value)
    return item


def _node_group(name: str, *, animated: bool) -> bpy.types.NodeTree:
    """Point files -> points with a radius, a material and the artist's selection."""
    tree = bpy.data.node_groups.new(name, "GeometryNodeTree")
    tree.is_modifier = True
    inputs = _interface(tree, animated=animated)
    files = inputs[FILES]
    if animated:
        files = _add(
            tree, "FunctionNodeReplaceString", files, "####", _clip_frame_text(tree, inputs)
        )
    mesh = _add(tree, "GeometryNodeImportPLY", files)
    radius = _radius(tree, inputs)
    every, chosen = (
        _add(tree, "GeometryNodeMeshToPoints", mesh, selection, None, radius)
        for selection in (None, _selection(tree, inputs))
    )
    # To choose among all points takes longer than all the rest, where the artist usually shows every one.
    points = _add(
        tree, "GeometryNodeSwitch", _is_choosy(tree, inputs), every, chosen, input_type="GEOMETRY"
    )
    shown = _add(tree, "GeometryNodeSetMaterial", points, None, inputs[MATERIAL])
    _add(tree, "NodeGroupOutput", shown)
    return tree


def _interface(tree: bpy.types.NodeTree, *, animated: bool) -> dict[str, bpy.types.NodeSocket]:
    """The inputs of the group; gives the sockets that carry them inside."""
    face = tree.interface
    face.new_socket("Geometry", in_out="OUTPUT", socket_type="NodeSocketGeometry")
    look = face.new_panel("Look")
    _number_input(face, look, POINT_SIZE, _COVERING, 0.0, 100.0, "Factor on the size of the points")
    _number_input(face, look, DENSITY, 1.0, 0.0, 1.0, "Share of the points to show")
    _number_input(
        face, look, CONFIDENCE_CUT, 0.0, 0.0, 1.0, "Hide points whose depth is less sure than this"
    )
    hide = _input(face, look, HIDE_SYNTHETIC, "NodeSocketBool")
    hide.description = "Hide points made up to close gaps, not seen in the video"
    _input(face, look, MATERIAL, "NodeSocketMaterial")
    if animated:
        time = face.new_panel("Time")
        _number_input(
            face, time, TIME_OFFSET, 0.0, -1e6, 1e6, "Show the points this many frames later"
        )
        _number_input(face, time, SPEED, 1.0, -100.0, 100.0, "Speed of the points")
    clip = face.new_panel("Clip", default_closed=True)
    if animated:
        _number_input(face, clip, FIRST_FRAME, 1.0, -1e6, 1e6, "Frame at which the clip begins")
        _number_input(
            face, clip, CLIP_FRAMES, 1.0, 1.0, 1e6, "Length of the clip in its own frames"
        )
        _number_input(
            face, clip, CLIP_RATE, 1.0, 1e-3, 1e3, "Frames of the clip per frame of the scene"
        )
    files = _input(face, clip, FILES, "NodeSocketString")
    files.subtype = "FILE_PATH"
    files.description = (
        "The point files; #### stands for the number of the frame" if animated else "The point file"
    )
    node = tree.nodes.new("NodeGroupInput")
    return {socket.name: socket for socket in node.outputs}


def _input(
    face: bpy.types.NodeTreeInterface,
    panel: bpy.types.NodeTreeInterfacePanel,
    name: str,
    kind: str,
) -> bpy.types.NodeTreeInterfaceSocket:
    return face.new_socket(name, in_out="INPUT", socket_type=kind, parent=panel)


def _number_input(
    face: bpy.types.NodeTreeInterface,
    panel: bpy.types.NodeTreeInterfacePanel,
    name: str,
    default: float,
    low: float,
    high: float,
    description: str,
) -> None:
    socket = _input(face, panel, name, "NodeSocketFloat")
    socket.default_value, socket.min_value, socket.max_value = default, low, high
    socket.description = description
    if (low, high) == (0.0, 1.0):
        socket.subtype = "FACTOR"


def _clip_frame_text(
    tree: bpy.types.NodeTree, inputs: dict[str, bpy.types.NodeSocket]
) -> bpy.types.NodeSocket:
    """The number of the clip's frame at the scene's frame, with four digits: it stays at the first and last one."""
    time = tree.nodes.new("GeometryNodeInputSceneTime").outputs["Frame"]
    for operation, by in (
        ("SUBTRACT", inputs[FIRST_FRAME]),
        ("SUBTRACT", inputs[TIME_OFFSET]),
        ("MULTIPLY", inputs[SPEED]),
        ("MULTIPLY", inputs[CLIP_RATE]),
        ("ADD", 1.001),  # counted from 1; rounding errors of a rate don't hold a frame back
    ):
        time = _add(tree, "ShaderNodeMath", time, by, operation=operation)
    time = _add(tree, "ShaderNodeClamp", time, 1.0, inputs[CLIP_FRAMES])
    number = _add(tree, "FunctionNodeFloatToInt", time, rounding_mode="FLOOR")
    text = tree.nodes.new("FunctionNodeFormatString")
    text.format_items.new("INT", "frame")
    text.inputs["Format"].default_value = "{frame:04}"
    tree.links.new(number, text.inputs["frame"])
    return text.outputs["String"]


def _selection(
    tree: bpy.types.NodeTree, inputs: dict[str, bpy.types.NodeSocket]
) -> bpy.types.NodeSocket:
    """Points sure enough, of the chosen share, and not synthetic where those are hidden."""
    too_unsure = _add(
        tree,
        "ShaderNodeMath",
        _attribute(tree, "confidence"),
        inputs[CONFIDENCE_CUT],
        operation="LESS_THAN",
    )
    hidden = _add(
        tree,
        "FunctionNodeBooleanMath",
        _attribute(tree, "synthetic"),
        inputs[HIDE_SYNTHETIC],
        operation="AND",
    )
    drop = _add(tree, "FunctionNodeBooleanMath", too_unsure, hidden, operation="OR")
    chosen = _add(tree, "FunctionNodeRandomValue", inputs[DENSITY], data_type="BOOLEAN")
    return _add(tree, "FunctionNodeBooleanMath", chosen, drop, operation="NIMPLY")


def _is_choosy(
    tree: bpy.types.NodeTree, inputs: dict[str, bpy.types.NodeSocket]
) -> bpy.types.NodeSocket:
    """Whether the artist's selection can leave points out."""
    fewer = _add(tree, "ShaderNodeMath", inputs[DENSITY], 1.0, operation="LESS_THAN")
    surer = _add(tree, "ShaderNodeMath", inputs[CONFIDENCE_CUT], 0.0, operation="GREATER_THAN")
    either = _add(tree, "FunctionNodeBooleanMath", fewer, surer, operation="OR")
    return _add(tree, "FunctionNodeBooleanMath", either, inputs[HIDE_SYNTHETIC], operation="OR")


def _radius(
    tree: bpy.types.NodeTree, inputs: dict[str, bpy.types.NodeSocket]
) -> bpy.types.NodeSocket:
    return _add(
        tree, "ShaderNodeMath", _attribute(tree, "radius"), inputs[POINT_SIZE], operation="MULTIPLY"
    )


def _attribute(tree: bpy.types.NodeTree, name: str) -> bpy.types.NodeSocket:
    return _add(tree, "GeometryNodeInputNamedAttribute", name, data_type="FLOAT")


def _add(
    tree: bpy.types.NodeTree, kind: str, *inputs: Any, **settings: Any
) -> bpy.types.NodeSocket | None:
    """Add a node, right of the others. `inputs`: sockets, values or None, in the order of its inputs in use."""
    node = tree.nodes.new(kind)
    node.location.x = 180 * len(tree.nodes)
    for key, value in settings.items():
        setattr(node, key, value)
    in_use = [socket for socket in node.inputs if socket.enabled]
    for socket, value in zip(in_use, inputs, strict=False):
        if isinstance(value, bpy.types.NodeSocket):
            tree.links.new(value, socket)
        elif value is not None:
            socket.default_value = value
    return next((socket for socket in node.outputs if socket.enabled), None)
