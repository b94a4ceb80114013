"""Bring a scene to scale by a length that is known: mark two points, say how far apart they really are."""

from __future__ import annotations

import bpy
from bpy.props import FloatProperty
from mathutils import Vector

from ..scene.units import metres_per_unit
from ..translations import told

OPTIONS = {"REGISTER", "UNDO"}
MARK = "sonic4d_mark"  # custom property of the two marks: 0 and 1
_FIRST_LENGTH = 1.0


def marks(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """The two marks of a scene, if they are there."""
    found = [item for item in scene.objects if MARK in item]
    return sorted(found, key=lambda item: item[MARK])[:2] if len(found) >= 2 else []


def distance_m(scene: bpy.types.Scene) -> float | None:
    """How far apart the marks are, in the scene's metres."""
    pair = marks(scene)
    if not pair:
        return None
    places = [item.matrix_world.translation for item in pair]
    return (places[1] - places[0]).length * metres_per_unit(scene)


class SONIC4D_OT_mark_points(bpy.types.Operator):
    bl_idname = "sonic4d.mark_points"
    bl_label = "Measure two points"
    bl_description = (
        "Put two marks at the 3D cursor; move them to two points whose distance you know"
    )
    bl_options = OPTIONS

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.scene.sonic4d.bundle is not None and not marks(context.scene)

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = context.scene
        length = _FIRST_LENGTH / metres_per_unit(scene)
        for number in range(2):
            item = bpy.data.objects.new(f"Measure {'from' if number == 0 else 'to'}", None)
            item.empty_display_type, item.empty_display_size = "PLAIN_AXES", length / 5
            item.location = scene.cursor.location + Vector((number * length, 0, 0))
            item.show_name = item.show_in_front = True
            item[MARK] = number
            scene.collection.objects.link(item)
        self.report({"INFO"}, told("Move the two marks to points whose distance you know"))
        return {"FINISHED"}


class SONIC4D_OT_scale_by_distance(bpy.types.Operator):
    bl_idname = "sonic4d.scale_by_distance"
    bl_label = "Rescale"
    bl_description = (
        "Rescale points, sources, cameras and room together, so that the marks are this far apart"
    )
    bl_options = OPTIONS

    distance_m: FloatProperty(
        name="Real distance",
        description="How far apart the two points are in reality, in metres",
        min=1e-3,
        soft_max=100,
        default=1.0,
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if context.scene.sonic4d.bundle is None or not marks(context.scene):
            cls.poll_message_set("Mark two points first")
            return False
        return True

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        self.distance_m = distance_m(context.scene) or 1.0
        return context.window_manager.invoke_props_dialog(self)

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene = context.scene
        context.view_layer.update()
        now_m = distance_m(scene)
        if not now_m:
            self.report({"ERROR"}, told("The two marks are at the same place. Move one of them."))
            return {"CANCELLED"}
        settings = scene.sonic4d.bundle.sonic4d
        settings.scene_scale *= self.distance_m / now_m
        for item in marks(scene):
            bpy.data.objects.remove(item)
        self.report({"INFO"}, told("Scale {scale:.4g}", scale=settings.scene_scale))
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory(
    (SONIC4D_OT_mark_points, SONIC4D_OT_scale_by_distance)
)
