"""Import a scene bundle, and remove it again."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, StringProperty

from ...backend.sonic4d.protocol import Sonic4DError
from ..scene.bundle import BUNDLE_JSON, read_bundle
from ..scene.importer import import_bundle, remove_bundle
from ..translations import told


class SONIC4D_OT_import_bundle(bpy.types.Operator):
    bl_idname = "sonic4d.import_bundle"
    bl_label = "Import Sonic4D scene"
    bl_description = "Import a 4D scene: its points, sound sources, camera and room"
    bl_options = {"REGISTER", "UNDO"}

    directory: StringProperty(
        name="Scene bundle",
        description="A folder that ends in .sonic4d",
        subtype="DIR_PATH",
        options={"SKIP_SAVE", "HIDDEN"},
    )
    filepath: StringProperty(
        name="File",
        description="A scene bundle, or the bundle.json in it",
        subtype="FILE_PATH",
        options={"SKIP_SAVE", "HIDDEN"},
    )
    filter_glob: StringProperty(default="*.json", options={"HIDDEN"})
    match_scene: BoolProperty(
        name="Match the scene to the clip",
        description="Take over picture size, frame rate, frame range, colours and camera of the clip",
        default=True,
    )

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            bundle = read_bundle(self._folder())
            root, notes = import_bundle(context.scene, bundle, match_scene=self.match_scene)
        except Sonic4DError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        for note in notes:
            self.report({"WARNING"}, note)
        for layer_object in context.view_layer.objects:
            layer_object.select_set(layer_object == root)
        context.view_layer.objects.active = root
        _show_colours()
        self.report(
            {"INFO"},
            told("Imported {name}: {count} frames", name=bundle.name, count=bundle.frame_count),
        )
        return {"FINISHED"}

    def _folder(self) -> Path:
        """The file browser gives the file that was clicked, or the folder; a script may give either."""
        path = Path(bpy.path.abspath(self.filepath or self.directory)).absolute()
        return path.parent if path.name == BUNDLE_JSON else path


class SONIC4D_OT_remove_bundle(bpy.types.Operator):
    bl_idname = "sonic4d.remove_bundle"
    bl_label = "Remove scene"
    bl_description = "Remove the imported scene from this file; the bundle on disk stays"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.scene.sonic4d.bundle is not None

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_confirm(self, event)

    def execute(self, context: bpy.types.Context) -> set[str]:
        root = context.scene.sonic4d.bundle
        name = root.name
        remove_bundle(root)
        self.report({"INFO"}, told("Removed {name}", name=name))
        return {"FINISHED"}


def _show_colours() -> None:
    """Solid shading draws points grey; switch such viewports to the material preview."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D" and area.spaces.active.shading.type in {"SOLID", "WIREFRAME"}:
                area.spaces.active.shading.type = "MATERIAL"


def _menu(self: bpy.types.Menu, _context: bpy.types.Context) -> None:
    self.layout.operator(SONIC4D_OT_import_bundle.bl_idname, text="Sonic4D scene (.sonic4d)")


_register_classes, _unregister_classes = bpy.utils.register_classes_factory(
    (SONIC4D_OT_import_bundle, SONIC4D_OT_remove_bundle)
)


def register() -> None:
    _register_classes()
    bpy.types.TOPBAR_MT_file_import.append(_menu)


def unregister() -> None:
    bpy.types.TOPBAR_MT_file_import.remove(_menu)
    _unregister_classes()
