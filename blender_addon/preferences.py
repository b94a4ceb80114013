"""The add-on's preferences: the backend, how it is, and what it is installed with."""

from __future__ import annotations

import bpy
from bpy.props import StringProperty

from . import compat, tasks
from .operators.install_backend import found
from .ui.task import draw_progress


class SONIC4D_Preferences(bpy.types.AddonPreferences):
    bl_idname = compat.ADDON

    python: StringProperty(
        name="Backend",
        description="The Python of a backend that is there already; leave empty for the one installed here",
        subtype="FILE_PATH",
    )
    base_python: StringProperty(
        name="Install with",
        description="The Python to make the backend with; leave empty to look for one",
        subtype="FILE_PATH",
    )
    wheels: StringProperty(
        name="Wheels",
        description="A folder of wheels to install from, without network; leave empty for the network",
        subtype="DIR_PATH",
    )

    def draw(self, _context: bpy.types.Context) -> None:
        layout = self.layout
        box = layout.box()
        if found.problem:
            box.label(text=found.problem, icon="ERROR")
        elif not found.report:
            box.label(text="The backend has not been checked yet", icon="INFO")
        for name, value in _rows(found.report):
            row = box.split(factor=0.25)
            row.label(text=name)
            row.label(text=value)
        activity = tasks.activity()
        if activity and activity.operator.endswith("_backend"):
            draw_progress(layout.row(align=True), activity)
        row = layout.row()
        for action in ("install", "check", "repair", "remove"):
            row.operator(f"sonic4d.{action}_backend")
        row.operator("sonic4d.open_log")
        for name in ("python", "base_python", "wheels"):
            layout.prop(self, name)


def _rows(report: dict[str, object]) -> list[tuple[str, str]]:
    """What the backend's doctor reports, as a table."""
    if not report:
        return []
    return [
        ("Version", f"{report['sonic4d']}, Python {report['python']}"),
        ("Where", str(report["executable"])),
        ("Machine", f"{report['cores']} cores, {report['memory_gb']} GB memory"),
        ("Cache", f"{report['cache']}, {report['cache_free_gb']} GB free"),
    ]


register, unregister = bpy.utils.register_classes_factory((SONIC4D_Preferences,))
