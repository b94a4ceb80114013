"""Download pretrained models, and delete them."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, StringProperty

from ...backend.sonic4d.protocol import Sonic4DError
from .. import backend, experts, tasks
from ..client.models import Expert, list_models
from ..translations import tr
from .install_backend import OFFLINE_MODELS


def _model(name: str) -> Expert:
    """Raises `Sonic4DError` if the backend knows no such model."""
    for expert in experts.all_experts():
        if expert.name == name:
            return expert
    raise Sonic4DError("unknown_model", f"There is no model {name}.", "Check the backend first.")


def _look_again() -> tasks.Steps[None]:
    python = backend.python()
    experts.remember((yield from tasks.in_thread(lambda: list_models(python))))


class SONIC4D_OT_download_model(tasks.TaskOperator, bpy.types.Operator):
    bl_idname = "sonic4d.download_model"
    bl_label = "Download model"
    bl_description = "Download a pretrained model, after its licence was accepted"
    bl_options = {"INTERNAL"}

    model: StringProperty(name="Model", description="Name of the model", options={"SKIP_SAVE"})
    accept_licence: BoolProperty(
        name="I accept the licence",
        description="The model may be used only as its licence allows",
        options={"SKIP_SAVE"},
    )

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_props_dialog(self, width=480, confirm_text="Download")

    def draw(self, _context: bpy.types.Context) -> None:
        layout, model = self.layout, _model(self.model)
        layout.label(text=model.title)
        layout.label(
            text=tr(
                "{size} to download, needs {memory:g} GB of memory",
                size=model.size,
                memory=model.memory_gb,
            )
        )
        layout.label(text=tr("Licence: {licence}", licence=model.licence))
        if not model.commercial:
            layout.label(text="Not for commercial use", icon="ERROR")
        for url in model.licence_urls:
            layout.operator("wm.url_open", text=url, icon="URL").url = url
        layout.prop(self, "accept_licence")

    def steps(self, _scene: bpy.types.Scene, activity: tasks.Activity) -> tasks.Steps[None]:
        if not experts.known():
            yield from _look_again()
        model = _model(self.model)
        if not self.accept_licence:
            raise Sonic4DError(
                "licence_not_accepted",
                f"The licence of {model.title} ({model.licence}) was not accepted.",
                "Read it, and accept it to download the model.",
            )
        if not bpy.app.online_access:
            raise OFFLINE_MODELS
        job = {"kind": "download_model", "model": model.name, "accept_licence": True}
        yield from tasks.job(job, activity)
        yield from _look_again()


class SONIC4D_OT_remove_model(tasks.TaskOperator, bpy.types.Operator):
    bl_idname = "sonic4d.remove_model"
    bl_label = "Delete model"
    bl_description = "Delete a downloaded model from this machine"
    bl_options = {"INTERNAL"}

    model: StringProperty(name="Model", description="Name of the model", options={"SKIP_SAVE"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_confirm(
            self, event, title="Delete the model?", confirm_text="Delete"
        )

    def steps(self, _scene: bpy.types.Scene, activity: tasks.Activity) -> tasks.Steps[None]:
        if not experts.known():
            yield from _look_again()
        model = _model(self.model)
        yield from tasks.job({"kind": "remove_model", "model": model.name}, activity)
        yield from _look_again()


register, unregister = bpy.utils.register_classes_factory(
    (SONIC4D_OT_download_model, SONIC4D_OT_remove_model)
)
