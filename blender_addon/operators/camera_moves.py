"""Make the shot camera and let it move."""

from __future__ import annotations

import bpy

from ...backend.sonic4d.protocol import Sonic4DError
from ..scene.camera import apply_move, move_text, new_shot_camera
from ..scene.keyframes import has_animation
from ..translations import told, tr


class SONIC4D_OT_make_shot_camera(bpy.types.Operator):
    bl_idname = "sonic4d.make_shot_camera"
    bl_label = "Make shot camera"
    bl_description = "Make a camera that starts where the video was filmed, and look through it"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        bundle = context.scene.sonic4d.bundle
        camera = bundle.sonic4d.source_camera if bundle else None
        return camera is not None and camera.type == "CAMERA"

    def execute(self, context: bpy.types.Context) -> set[str]:
        camera = new_shot_camera(context.scene, context.scene.sonic4d.bundle)
        self.report({"INFO"}, told("{name} is the active camera", name=camera.name))
        return {"FINISHED"}


class SONIC4D_OT_apply_move(bpy.types.Operator):
    bl_idname = "sonic4d.apply_move"
    bl_label = "Apply move"
    bl_description = "Key the shot camera over the frame range; its earlier move is replaced"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not SONIC4D_OT_make_shot_camera.poll(context):
            return False
        if context.scene.sonic4d.shot_camera is None:
            cls.poll_message_set("Make a shot camera first")
            return False
        return True

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        camera = context.scene.sonic4d.shot_camera
        if not has_animation(camera):
            return self.execute(context)
        return context.window_manager.invoke_confirm(
            self,
            event,
            title="Replace the move?",
            message=tr("The keyframes of {name} are replaced.", name=camera.name),
            confirm_text="Replace",
        )

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            summary, limit_deg = apply_move(context.scene, move_text(context.scene.sonic4d))
        except Sonic4DError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if limit_deg is not None:
            self.report(
                {"WARNING"},
                told(
                    "The move was reduced to {limit:g} degrees around the source: "
                    "farther out the picture of this scene falls apart",
                    limit=limit_deg,
                ),
            )
        self.report({"INFO"}, summary)
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory(
    (SONIC4D_OT_make_shot_camera, SONIC4D_OT_apply_move)
)
