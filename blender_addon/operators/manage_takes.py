"""Add, compare and remove takes; bring the settings of one back."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import bpy

from ..compat import shown_scene
from ..sequencer import take_list
from ..translations import told

OPTIONS = {"REGISTER", "UNDO"}


class SONIC4D_OT_add_take(bpy.types.Operator):
    bl_idname = "sonic4d.add_take"
    bl_label = "New take"
    bl_description = "Begin another take: the next audio is rendered beside those that are there"
    bl_options = OPTIONS

    def execute(self, context: bpy.types.Context) -> set[str]:
        take = take_list.add(shown_scene(context))
        self.report({"INFO"}, told("{name} is rendered next", name=take.name))
        return {"FINISHED"}


class _ForTakes:
    """For what needs a take."""

    bl_options = OPTIONS
    poll_message_set: ClassVar[Callable[[str], None]]

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if take_list.active(shown_scene(context)) is None:
            cls.poll_message_set("There is no take yet")
            return False
        return True


class SONIC4D_OT_compare_takes(_ForTakes, bpy.types.Operator):
    bl_idname = "sonic4d.compare_takes"
    bl_label = "Compare"
    bl_description = "Switch to the take that was heard before this one, and back"

    def execute(self, context: bpy.types.Context) -> set[str]:
        take_list.compare(shown_scene(context))
        return {"FINISHED"}


class SONIC4D_OT_remove_take(_ForTakes, bpy.types.Operator):
    bl_idname = "sonic4d.remove_take"
    bl_label = "Remove take"
    bl_description = "Remove the take and its strip; its sound file stays"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_confirm(self, event)

    def execute(self, context: bpy.types.Context) -> set[str]:
        take_list.remove(shown_scene(context))
        return {"FINISHED"}


class SONIC4D_OT_restore_take_settings(_ForTakes, bpy.types.Operator):
    bl_idname = "sonic4d.restore_take_settings"
    bl_label = "Restore settings"
    bl_description = "Set sound, room and listener as they were when this take was rendered"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not super().poll(context):
            return False
        take = take_list.active(shown_scene(context))
        if take is not None and not take.settings:
            cls.poll_message_set("This take has not been rendered yet")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = shown_scene(context)
        take_list.restore_settings(scene, take_list.active(scene))
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory(
    (
        SONIC4D_OT_add_take,
        SONIC4D_OT_compare_takes,
        SONIC4D_OT_remove_take,
        SONIC4D_OT_restore_take_settings,
    )
)
