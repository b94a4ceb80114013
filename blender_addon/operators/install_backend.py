"""Install, check and remove the backend's environment."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty

from ...backend.sonic4d.protocol import PROTOCOL_VERSION, Sonic4DError, log_file
from .. import backend, experts, tasks
from ..client import environment
from ..client.models import list_models

OFFLINE = Sonic4DError(
    "offline",
    "Blender may not use the network.",
    "Allow online access in the preferences (System), or name a folder of wheels.",
)
OFFLINE_MODELS = Sonic4DError(
    "offline", OFFLINE.message, "Allow online access in the preferences (System)."
)

OPTIONS = {"INTERNAL"}
EXPERTS = "experts"
LOGS = (
    ("INSTALL", "Installation", "What the installation of the backend wrote"),
    ("WORKER", "Backend", "What the running backend wrote"),
)
LINES_OF_A_LOG = 40


@dataclass
class Found:
    """What the last check of the backend found; both empty if there was none."""

    report: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


found = Found()


def check(activity: tasks.Activity) -> tasks.Steps[None]:
    """The task: ask the backend how it is, and which models it knows. Raises `Sonic4DError` where it can't be used."""
    activity.tell("Checking the backend", 0.0)
    found.report, found.problem = {}, ""
    try:
        python = backend.python()
        found.report = yield from tasks.in_thread(lambda: environment.check(python))
    except Sonic4DError as error:
        found.problem = str(error)
        raise
    try:
        experts.remember((yield from tasks.in_thread(lambda: list_models(python))))
    except Sonic4DError as error:  # everything that needs no model works nevertheless
        activity.warnings.append(error.message)


def install(activity: tasks.Activity, extras: Collection[str] = ()) -> tasks.Steps[None]:
    """The task: make the managed environment where there is none, or none with `extras`, and check it. Raises
    `Sonic4DError`."""
    wheels = backend.chosen_path("wheels")
    if not wheels and not bpy.app.online_access:
        raise OFFLINE
    folder, base = backend.managed_folder(), backend.chosen_path("base_python")
    wanted = {*extras, *environment.installed_extras(folder)}
    abandoned = threading.Event()

    def tell(line: str) -> None:
        activity.tell(line, 0.0)

    def should_stop() -> bool:
        return activity.cancelled or abandoned.is_set()

    tasks.stop_worker()  # Windows replaces no files that are in use
    try:
        yield from tasks.in_thread(
            lambda: environment.create_environment(
                folder, backend.SOURCE, base, wheels, tell, should_stop, wanted
            )
        )
    finally:
        abandoned.set()
    yield from check(activity)


def remove(activity: tasks.Activity) -> tasks.Steps[None]:
    """The task: remove the managed environment. Raises `Sonic4DError` where files stay."""
    activity.tell("Removing the backend", 0.0)
    tasks.stop_worker()
    folder = backend.managed_folder()
    found.report, found.problem = {}, ""
    yield from tasks.in_thread(lambda: shutil.rmtree(folder, ignore_errors=True))
    if folder.exists():
        raise Sonic4DError(
            "not_removed",
            f"Some files in {folder} can't be removed.",
            "Restart Blender and try again.",
        )


def _confirm(
    self: bpy.types.Operator, context: bpy.types.Context, event: bpy.types.Event
) -> set[str]:
    return context.window_manager.invoke_confirm(self, event)


class SONIC4D_OT_check_backend(tasks.TaskOperator, bpy.types.Operator):
    bl_idname = "sonic4d.check_backend"
    bl_label = "Check"
    bl_description = "Find out whether the backend is in working order"
    bl_options = OPTIONS

    def steps(self, _scene: bpy.types.Scene, activity: tasks.Activity) -> tasks.Steps[None]:
        yield from check(activity)


class SONIC4D_OT_install_backend(tasks.TaskOperator, bpy.types.Operator):
    bl_idname = "sonic4d.install_backend"
    bl_label = "Install backend"
    bl_description = "Make the environment that computes scenes and sound. Takes some minutes"
    bl_options = OPTIONS

    experts: BoolProperty(
        name="With pretrained experts",
        description="Also install what pretrained models run on (torch and others, several GB)",
        options={"SKIP_SAVE"},
    )

    def steps(self, _scene: bpy.types.Scene, activity: tasks.Activity) -> tasks.Steps[None]:
        yield from install(activity, [EXPERTS] if self.experts else [])


class SONIC4D_OT_repair_backend(tasks.TaskOperator, bpy.types.Operator):
    bl_idname = "sonic4d.repair_backend"
    bl_label = "Repair"
    bl_description = "Remove the backend and install it anew"
    bl_options = OPTIONS
    invoke = _confirm

    def steps(self, _scene: bpy.types.Scene, activity: tasks.Activity) -> tasks.Steps[None]:
        extras = environment.installed_extras(backend.managed_folder())
        yield from remove(activity)
        yield from install(activity, extras)


class SONIC4D_OT_remove_backend(tasks.TaskOperator, bpy.types.Operator):
    bl_idname = "sonic4d.remove_backend"
    bl_label = "Remove"
    bl_description = "Remove the backend that was installed here"
    bl_options = OPTIONS
    invoke = _confirm

    def steps(self, _scene: bpy.types.Scene, activity: tasks.Activity) -> tasks.Steps[None]:
        yield from remove(activity)


class SONIC4D_OT_open_log(bpy.types.Operator):
    bl_idname = "sonic4d.open_log"
    bl_label = "Open log"
    bl_description = "Open a log: what the installation or the backend wrote"
    bl_options = OPTIONS

    log: EnumProperty(
        name="Log", description="Which log is opened", items=LOGS, options={"SKIP_SAVE"}
    )

    def execute(self, _context: bpy.types.Context) -> set[str]:
        return bpy.ops.wm.path_open(filepath=str(log_file(f"{self.log.lower()}.log")))


class SONIC4D_OT_copy_report(bpy.types.Operator):
    bl_idname = "sonic4d.copy_report"
    bl_label = "Copy report"
    bl_description = (
        "Copy what is known of the backend and the ends of its logs, for asking for help"
    )
    bl_options = OPTIONS

    def execute(self, context: bpy.types.Context) -> set[str]:
        context.window_manager.clipboard = report_text()
        self.report({"INFO"}, "The report is in the clipboard")
        return {"FINISHED"}


def report_text() -> str:
    """All that helps to find out what is wrong, without the user's name in paths."""
    lines = [
        f"Sonic4D add-on, protocol {PROTOCOL_VERSION}, Blender {bpy.app.version_string}",
        f"Problem: {found.problem or 'none'}",
        *(f"{key}: {value}" for key, value in found.report.items()),
        f"Models here: {', '.join(e.name for e in experts.all_experts() if e.cached) or 'none'}",
    ]
    for name, *_ in LOGS:
        text = log_file(f"{name.lower()}.log").read_text(encoding="utf-8", errors="replace")
        lines += ["", f"The end of {name.lower()}.log:", *text.splitlines()[-LINES_OF_A_LOG:]]
    return "\n".join(lines).replace(str(Path.home()), "~")


register, unregister = bpy.utils.register_classes_factory(
    (
        SONIC4D_OT_check_backend,
        SONIC4D_OT_install_backend,
        SONIC4D_OT_repair_backend,
        SONIC4D_OT_remove_backend,
        SONIC4D_OT_open_log,
        SONIC4D_OT_copy_report,
    )
)
