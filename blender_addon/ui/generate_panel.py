"""The panel for generating a scene from a video."""

from __future__ import annotations

import bpy

from .panels import Sidebar
from .task import draw_task


class SONIC4D_PT_generate(Sidebar, bpy.types.Panel):
    bl_label = "From a video"
    bl_parent_id = "SONIC4D_PT_scene"

    def draw(self, _context: bpy.types.Context) -> None:
        draw_task(self.layout, "sonic4d.generate", "FILE_MOVIE")


register, unregister = bpy.utils.register_classes_factory((SONIC4D_PT_generate,))
