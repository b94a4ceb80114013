"""The only file that knows which Blender version this is (4.5 LTS to 5.2 LTS), and what the add-on is called in it."""

from __future__ import annotations

from typing import Any

import bpy

# The name under which Blender knows the add-on, for preferences and user folders.
ADDON = __package__.rpartition(".")[0]


def set_video_output(settings: bpy.types.ImageFormatSettings) -> None:
    """Choose a movie file as render output. From 5.0 on the media type has to be set first."""
    if hasattr(settings, "media_type"):
        settings.media_type = "VIDEO"
    settings.file_format = "FFMPEG"


def modifier_input(modifier: bpy.types.NodesModifier, name: str) -> tuple[Any, str]:
    """Where the value of a node group input lives: an owner and a property path for `UILayout.prop`.

    Up to 5.1 the modifier carries it as a custom property, from 5.2 on it is a property of `modifier.properties`.
    """
    identifier = next(
        item.identifier
        for item in modifier.node_group.interface.items_tree
        if item.item_type == "SOCKET" and item.in_out == "INPUT" and item.name == name
    )
    if hasattr(modifier, "properties"):
        return getattr(modifier.properties.inputs, identifier), "value"
    return modifier, f'["{identifier}"]'


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


def new_channelbag(owner: bpy.types.ID, name: str) -> bpy.types.ActionChannelbag:
    """Give a datablock an action of its own, replacing the one it has, and return the bag for its curves."""
    animation = owner.animation_data or owner.animation_data_create()
    action = bpy.data.actions.new(name)
    slot = action.slots.new(id_type=owner.id_type, name=owner.name)
    animation.action = action
    animation.action_slot = slot
    return action.layers.new("Layer").strips.new(type="KEYFRAME").channelbag(slot, ensure=True)
