"""The add-on's preferences: the backend, how it is, what it is installed with, and the pretrained models."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import StringProperty

from . import backend, compat, experts, tasks
from .client.environment import OVERRIDE
from .client.models import Expert
from .operators.install_backend import found
from .translations import tr
from .ui.task import draw_progress

BACKEND_TASKS = ("_backend", "_model")


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
    folder: StringProperty(
        name="Install into",
        description="The folder that the backend is installed into; leave empty for the extension's own",
        subtype="DIR_PATH",
    )

    def draw(self, _context: bpy.types.Context) -> None:
        layout = self.layout
        self._draw_status(layout)
        activity = tasks.activity()
        if activity and activity.operator.endswith(BACKEND_TASKS):
            draw_progress(layout.row(align=True), activity)
        self._draw_buttons(layout)
        if experts.known():
            _draw_models(layout)
        header, body = layout.panel("sonic4d_paths", default_closed=True)
        header.label(text="Paths")
        if body:
            body.use_property_split = True
            for name in ("python", "base_python", "wheels", "folder"):
                body.prop(self, name)

    def _draw_status(self, layout: bpy.types.UILayout) -> None:
        box = layout.box()
        if found.problem:
            box.label(text=found.problem, icon="ERROR")
        elif not found.report:
            box.label(text="The backend has not been checked yet", icon="INFO")
        for name, value in status_rows(found.report):
            row = box.split(factor=0.25)
            row.label(text=name)
            row.label(text=value)
        for problem in found.report.get("problems", ()):
            box.label(text=problem, icon="ERROR")

    def _draw_buttons(self, layout: bpy.types.UILayout) -> None:
        if not bpy.app.online_access and not self.wheels:
            layout.label(
                text="Blender may not use the network (System > Network), and no wheels are chosen",
                icon="INTERNET_OFFLINE",
            )
        row = layout.row()
        row.operator("sonic4d.install_backend", icon="IMPORT")
        row.operator("sonic4d.check_backend", icon="VIEWZOOM")
        row.operator("sonic4d.repair_backend", icon="TOOL_SETTINGS")
        row.operator("sonic4d.remove_backend", icon="TRASH")
        row = layout.row()
        row.operator("sonic4d.open_log", icon="TEXT").log = "INSTALL"
        row.operator("sonic4d.copy_report", icon="COPYDOWN")
        if found.report and not has_experts(found.report):
            install = layout.operator(
                "sonic4d.install_backend",
                text="Install what pretrained models run on (several GB)",
                icon="IMPORT",
            )
            install.experts = True


def status_rows(report: dict[str, Any]) -> list[tuple[str, str]]:
    """What the backend's doctor reports, as a table."""
    if not report:
        return []
    models = experts.all_experts()
    here = sum(model.cached for model in models)
    return [
        ("Version", f"{report['sonic4d']}, Python {report['python']}"),
        ("Where", f"{report['executable']}{_by_override()}"),
        ("Machine", f"{report['cores']} cores, {report['memory_gb']} GB memory"),
        ("Device", report.get("experts", {}).get("device", "unknown")),
        ("Disk", f"{report['cache_free_gb']} GB free at {report['cache']}"),
        ("Models", f"{here} of {len(models)} downloaded"),
    ]


def has_experts(report: dict[str, Any]) -> bool:
    """Whether the backend that was checked can run pretrained models."""
    return report.get("experts", {}).get("torch") is not None


def _by_override() -> str:
    override = backend.override()
    return f"  (by {OVERRIDE})" if override else ""


def _draw_models(layout: bpy.types.UILayout) -> None:
    header, body = layout.panel("sonic4d_models", default_closed=True)
    header.label(text="Pretrained models")
    if not body:
        return
    for model in experts.all_experts():
        _draw_model(body.box(), model)


def _draw_model(box: bpy.types.UILayout, model: Expert) -> None:
    row = box.row()
    row.label(text=model.title, icon="CHECKMARK" if model.cached else "BLANK1")
    row.label(
        text=tr("{size}, needs {memory:g} GB of memory", size=model.size, memory=model.memory_gb)
    )
    operator = "sonic4d.remove_model" if model.cached else "sonic4d.download_model"
    row.operator(operator, text="", icon="TRASH" if model.cached else "IMPORT").model = model.name
    row = box.row()
    row.label(text=tr("Licence: {licence}", licence=model.licence))
    if not model.commercial:
        row.label(text="Not for commercial use", icon="ERROR")
    for url in model.licence_urls:
        row.operator("wm.url_open", text="Read", icon="URL").url = url
    if model.why_not:
        box.label(text=model.why_not, icon="INFO")


register, unregister = bpy.utils.register_classes_factory((SONIC4D_Preferences,))
