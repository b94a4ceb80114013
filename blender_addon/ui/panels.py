"""The Sonic4D tab of the 3D view's sidebar: scene and camera."""

from __future__ import annotations

import bpy

from .. import compat
from ..field_names import in_fields
from ..operators.measure_scale import distance_m
from ..scene.point_cloud import LOOK_INPUTS, TIME_INPUTS, cloud_modifier
from ..translations import tr
from .text import draw_text


class Sidebar:
    """Where the panels of Sonic4D are."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Sonic4D"


def draw_presets(layout: bpy.types.UILayout, menu: str, operator: str) -> None:
    """A menu of presets, and buttons that add and remove one."""
    row = layout.row(align=True)
    row.menu(menu, text="", icon="PRESET")
    row.operator(operator, text="", icon="ADD")
    row.operator(operator, text="", icon="REMOVE").remove_active = True


class SONIC4D_PT_scene(Sidebar, bpy.types.Panel):
    bl_label = "Scene"
    bl_idname = "SONIC4D_PT_scene"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split, layout.use_property_decorate = True, False
        root = context.scene.sonic4d.bundle
        if root is None:
            layout.operator("sonic4d.import_bundle", icon="IMPORT")
            return
        row = layout.row(align=True)
        row.use_property_split = False
        row.prop(context.scene.sonic4d, "bundle", text="")
        row.operator("sonic4d.import_bundle", text="", icon="ADD")
        row.operator("sonic4d.remove_bundle", text="", icon="TRASH")
        info = root.sonic4d
        layout.prop(info, "scene_scale")
        length_m = distance_m(context.scene)
        if length_m is None:
            layout.operator("sonic4d.mark_points", icon="DRIVER_DISTANCE")
        else:
            text = tr("The marks are {length:.3f} m apart", length=length_m)
            layout.label(text=text, icon="DRIVER_DISTANCE")
            layout.operator("sonic4d.scale_by_distance")
        if info.approximate:
            layout.label(text="Approximate depth", icon="INFO")
        for source in root.children:
            if source.sonic4d.is_source:
                found = f"{source.name}: found {source.sonic4d.found_by}"
                draw_text(layout, found, "SPEAKER")
        for note in info.warnings.splitlines():
            draw_text(layout, in_fields(note), "ERROR")
        draw_text(layout, info.credits, "USER")


class SONIC4D_PT_points(Sidebar, bpy.types.Panel):
    bl_label = "Points"
    bl_idname = "SONIC4D_PT_points"
    bl_parent_id = "SONIC4D_PT_scene"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.scene.sonic4d.bundle is not None

    def draw(self, context: bpy.types.Context) -> None:
        self.layout.use_property_split = True
        for item in context.scene.sonic4d.bundle.children:
            modifier = cloud_modifier(item)
            if modifier is None:
                continue
            column = self.layout.column()
            column.label(text=item.name, icon="POINTCLOUD_DATA")
            for name in compat.modifier_input_names(modifier):
                if name in (*LOOK_INPUTS, *TIME_INPUTS):
                    owner, path = compat.modifier_input(modifier, name)
                    column.prop(owner, path, text=name)


class SONIC4D_PT_camera(Sidebar, bpy.types.Panel):
    bl_label = "Camera"
    bl_idname = "SONIC4D_PT_camera"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.scene.sonic4d.bundle is not None

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split, layout.use_property_decorate = True, False
        settings = context.scene.sonic4d
        layout.operator("sonic4d.make_shot_camera", icon="CAMERA_DATA")
        if settings.shot_camera is None:
            return
        layout.prop(settings, "shot_camera", text="Camera")
        layout.prop(settings, "move")
        parameter = MOVE_PARAMETERS.get(settings.move)
        if parameter:
            layout.prop(settings, parameter)
        limit_deg = settings.bundle.sonic4d.move_limit_deg
        if limit_deg:
            layout.label(
                text=tr("Up to {limit:g}° around the source", limit=limit_deg), icon="INFO"
            )
        layout.operator("sonic4d.apply_move", icon="KEY_HLT")


MOVE_PARAMETERS = {
    "offset": "move_offset_m",
    "orbit": "move_angle",
    "turn": "move_angle",
    "pan": "move_distance_m",
    "push-in": "move_distance_m",
    "pull-out": "move_distance_m",
    "text": "move_text",
}

register, unregister = bpy.utils.register_classes_factory(
    (SONIC4D_PT_scene, SONIC4D_PT_points, SONIC4D_PT_camera)
)
