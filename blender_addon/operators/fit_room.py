"""Fit the room to the points or to meshes, and choose what all of its walls are made of."""

from __future__ import annotations

import bpy
from bpy.props import EnumProperty

from ...backend.sonic4d.materials import WALLS
from ...backend.sonic4d.protocol import Sonic4DError
from ..scene.point_cloud import cloud_modifier
from ..scene.room_fit import cloud_box, fit_room, mesh_box
from ..wall_settings import ITEMS

OPTIONS = {"REGISTER", "UNDO"}
SURFACES = {"MESH", "CURVE", "SURFACE", "FONT", "META"}


class SONIC4D_OT_fit_room(bpy.types.Operator):
    bl_idname = "sonic4d.fit_room"
    bl_label = "Fit room"
    bl_description = "Make the room a box around the points of the scene, or around selected meshes"
    bl_options = OPTIONS

    to: EnumProperty(
        name="Around",
        description="What the room encloses",
        items=(
            ("CLOUD", "Points", "The bulk of the points that are shown now"),
            ("SELECTED", "Selected", "The selected meshes"),
        ),
    )

    @classmethod
    def description(
        cls, _context: bpy.types.Context, properties: bpy.types.OperatorProperties
    ) -> str:
        what = "the points" if properties.to == "CLOUD" else "the selected meshes"
        return f"Make the room a box around {what}"

    def execute(self, context: bpy.types.Context) -> set[str]:
        scene, layer = context.scene, context.view_layer
        layer.update()
        try:
            if self.to == "CLOUD":
                clouds = [item for item in layer.objects if cloud_modifier(item)]
                low, high = cloud_box(layer, clouds)
            else:
                chosen = [i for i in layer.objects if i.select_get() and i.type in SURFACES]
                low, high = mesh_box(layer, chosen)
        except Sonic4DError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        item = fit_room(scene, low, high)
        self.report({"INFO"}, f"{item.name}: " + " x ".join(f"{side:.2f}" for side in high - low))
        return {"FINISHED"}


class SONIC4D_OT_set_walls(bpy.types.Operator):
    bl_idname = "sonic4d.set_walls"
    bl_label = "All walls"
    bl_description = "Make all walls, floor and ceiling of one material"
    bl_options = OPTIONS
    bl_property = "material"

    material: EnumProperty(
        name="Material", description="What they are made of", items=ITEMS, default="plastered_brick"
    )

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        context.window_manager.invoke_search_popup(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.sonic4d
        settings.use_materials = True
        for wall in WALLS:
            setattr(settings.walls, wall, self.material)
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory(
    (SONIC4D_OT_fit_room, SONIC4D_OT_set_walls)
)
