"""Install, check and remove the backend's environment."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import bpy

from ...backend.sonic4d.protocol import Sonic4DError, log_file
from .. import backend, tasks
from ..client import environment

OFFLINE = Sonic4DError(
    "offline",
    "Blender may not use the network.",
    "Allow online access in the preferences (System), or name a folder of wheels.",
)


LOG = "install.log"
OPTIONS = {"INTERNAL"}


@dataclass
class Found:
    """What the last check of the backend found; both empty if there was none."""

    report: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


found = Found()


def in_thread(work: Callable[[], Any]) -> tasks.Steps[Any]:
    """Do `work`, which must not use bpy, in a thread. Returns what it returns; raises what it raises."""
    outcome: dict[str, Any] = {}

    def run() -> None:
        try:
            outcome["result"] = work()
        except BaseException as error:
            outcome["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while thread.is_alive():
        yield
    if "error" in outcome:
        raise outcome["error"]
    return outcome["result"]


def check(activity: tasks.Activity) -> tasks.Steps[None]:
    """The task: ask the backend how it is. Raises `Sonic4DError` where it can't be used."""
    activity.tell("Checking the backend", 0.0)
    found.report, found.problem = {}, ""
    try:
        python = backend.python()
        found.report = yield from in_thread(lambda: environment.check(python))
    except Sonic4DError as error:
        found.problem = str(error)
        raise


def install(activity: tasks.Activity) -> tasks.Steps[None]:
    """The task: make the managed environment where there is none, and check it. Raises `Sonic4DError`."""
    wheels = backend.chosen_path("wheels")
    if not wheels and not bpy.app.online_access:
        raise Sonic4DError(
            "offline",
            "Blender may not use the network.",
            "Allow online access in the preferences (System), or choose a folder of wheels.",
        )
    folder, base = backend.managed_folder(), backend.chosen_path("base_python")

    abandoned = threading.Event()

    def tell(line: str) -> None:
        activity.tell(line, 0.0)

    def should_stop() -> bool:
        return activity.cancelled or abandoned.is_set()

    try:
        yield from in_thread(
            lambda: environment.create_environment(
                folder, backend.SOURCE, base, wheels, tell, should_stop
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
    yield from in_thread(lambda: shutil.rmtree(folder, ignore_errors=True))
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

    def steps(self, _scene: bpy.types.Scene, activity: tasks.Activity) -> tasks.Steps[None]:
        yield from install(activity)


class SONIC4D_OT_repair_backend(tasks.TaskOperator, bpy.types.Operator):
    bl_idname = "sonic4d.repair_backend"
    bl_label = "Repair"
    bl_description = "Remove the backend and install it anew"
    bl_options = OPTIONS
    invoke = _confirm

    def steps(self, _scene: bpy.types.Scene, activity: tasks.Activity) -> tasks.Steps[None]:
        yield from remove(activity)
        yield from install(activity)


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
    bl_description = "Open the log of the installation"
    bl_options = OPTIONS

    def execute(self, _context: bpy.types.Context) -> set[str]:
        return bpy.ops.wm.path_open(filepath=str(log_file(LOG)))


register, unregister = bpy.utils.register_classes_factory(
    (
        SONIC4D_OT_check_backend,
        SONIC4D_OT_install_backend,
        SONIC4D_OT_repair_backend,
        SONIC4D_OT_remove_backend,
        SONIC4D_OT_open_log,
    )
)
