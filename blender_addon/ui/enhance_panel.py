"""The panel for making a shot's picture without holes."""

from __future__ import annotations

import bpy

from ..client.models import Expert
from ..enhance_settings import BUILT_IN
from ..experts import experts_of, known
from .generate_panel import draw_expert
from .panels import Sidebar
from .task import draw_task

SETTING = "scene.sonic4d.enhance.expert"


class SONIC4D_PT_enhance(Sidebar, bpy.types.Panel):
    bl_label = "Enhance"
    bl_idname = "SONIC4D_PT_enhance"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.sonic4d.enhance
        column = layout.column()
        column.use_property_split, column.use_property_decorate = True, False
        row = column.row(align=True)
        row.prop(settings, "expert")
        row.menu(SONIC4D_MT_novel_view.__name__, text="", icon="DOWNARROW_HLT")
        expert = next((e for e in experts_of("novel_view") if e.option == settings.expert), None)
        if expert or settings.is_property_set("folder"):
            column.prop(settings, "folder")
        if expert:
            draw_expert(column, expert, settings.folder)
        if settings.expert != "fill":
            column.prop(settings, "prompt")
            column.prop(settings, "seed")
        draw_task(layout, "sonic4d.enhance_shot", "SHADERFX")


class SONIC4D_MT_novel_view(bpy.types.Menu):
    bl_label = "Enhance by"
    bl_description = "What can close the holes"

    def draw(self, _context: bpy.types.Context) -> None:
        for option, label, _about in BUILT_IN:
            self._choice(option, label, "NONE")
        for expert in experts_of("novel_view"):
            self._choice(expert.option, _label(expert), "CHECKMARK" if expert.cached else "IMPORT")
        if not known():
            self.layout.operator("sonic4d.check_backend", text="Look for models", icon="VIEWZOOM")

    def _choice(self, option: str, label: str, icon: str) -> None:
        choice = self.layout.operator("wm.context_set_string", text=label, icon=icon)
        choice.data_path, choice.value = SETTING, option


def _label(expert: Expert) -> str:
    return f"{expert.title}  ({expert.size}, {expert.licence})"


register, unregister = bpy.utils.register_classes_factory(
    (SONIC4D_PT_enhance, SONIC4D_MT_novel_view)
)
