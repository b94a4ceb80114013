"""The only file that knows which Blender version this is (4.5 LTS to 5.2 LTS), and what the add-on is called in it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

# The name under which Blender knows the add-on, for preferences and user folders.
ADDON = __package__.rpartition(".")[0]
EEVEE = "BLENDER_EEVEE" if bpy.app.version >= (5, 0, 0) else "BLENDER_EEVEE_NEXT"


def shown_scene(context: bpy.types.Context) -> bpy.types.Scene:
    """The scene that an editor is about: from 5.0 on a sequencer may show another one than the window."""
    area = context.area
    if area is not None and area.type == "SEQUENCE_EDITOR":
        return getattr(context, "sequencer_scene", None) or context.scene
    return context.scene


def set_video_output(settings: bpy.types.ImageFormatSettings) -> None:
    """Choose a movie file as render output. From 5.0 on the media type has to be set first."""
    if hasattr(settings, "media_type"):
        settings.media_type = "VIDEO"
    settings.file_format = "FFMPEG"


def as_array(matrices: Sequence[Matrix]) -> np.ndarray:
    """4 x 4 matrices as (n, 4, 4). From 5.0 on NumPy takes them as they are; before, it asks for each number, slowly."""
    if bpy.app.version >= (5, 0, 0):
        return np.array(matrices, np.float64).reshape(-1, 4, 4)
    numbers = chain.from_iterable(chain.from_iterable(matrices))
    return np.fromiter(numbers, np.float64).reshape(-1, 4, 4)


def modifier_input(modifier: bpy.types.NodesModifier, name: str) -> tuple[Any, str]:
    """Where the value of a node group input lives: an owner and a property path for `UILayout.prop`.

    Up to 5.1 the modifier carries it as a custom property, from 5.2 on it is a property of `modifier.properties`.
    """
    identifier = _inputs(modifier)[name]
    if hasattr(modifier, "properties"):
        return getattr(modifier.properties.inputs, identifier), "value"
    return modifier, f'["{identifier}"]'


def modifier_input_names(modifier: bpy.types.NodesModifier) -> list[str]:
    return list(_inputs(modifier))


def _inputs(modifier: bpy.types.NodesModifier) -> dict[str, str]:
    """Identifiers of the inputs by their names."""
    return {
        item.name: item.identifier
        for item in modifier.node_group.interface.items_tree
        if item.item_type == "SOCKET" and item.in_out == "INPUT"
    }


def get_modifier_input(modifier: bpy.types.NodesModifier, name: str) -> Any:
    owner, path = modifier_input(modifier, name)
    return owner.value if path == "value" else owner[path[2:-2]]


def set_modifier_input(modifier: bpy.types.NodesModifier, name: str, value: Any) -> None:
    owner, path = modifier_input(modifier, name)
    if path == "value":
        owner.value = value
    else:
        owner[path[2:-2]] = value
    modifier.id_data.update_tag()


def channelbag(owner: bpy.types.ID) -> bpy.types.ActionChannelbag:
    """Where the animation curves of a datablock live; its action is made if it has none.

    4.5 has no `bpy_extras.anim_utils.action_ensure_channelbag_for_slot` yet, and 5.0 dropped `Action.fcurves`.
    """
    animation = owner.animation_data or owner.animation_data_create()
    if animation.action is None:
        animation.action = bpy.data.actions.new(owner.name)
    action = animation.action
    if animation.action_slot is None:
        animation.action_slot = action.slots.new(id_type=owner.id_type, name=owner.name)
    layer = action.layers[0] if action.layers else action.layers.new("Layer")
    strip = layer.strips[0] if layer.strips else layer.strips.new(type="KEYFRAME")
    return strip.channelbag(animation.action_slot, ensure=True)


def find_curve(owner: bpy.types.ID, path: str, index: int = 0) -> bpy.types.FCurve | None:
    """The animation curve of a property, if it has one."""
    animation = owner.animation_data
    if animation is None or animation.action is None or animation.action_slot is None:
        return None
    bags = (
        strip.channelbag(animation.action_slot)
        for layer in animation.action.layers
        for strip in layer.strips
    )
    return next((bag.fcurves.find(path, index=index) for bag in bags if bag is not None), None)
