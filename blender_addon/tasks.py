"""Long work without blocking Blender: the one worker, and tasks that a timer moves on step by step.

A task is a generator function that yields whenever it has to wait. It may not keep a data-block over a `yield`, as undo
frees them: it looks its scene up again by `scene.sampling.scene_of`.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import bpy

from ..backend.sonic4d.protocol import Sonic4DError
from . import backend, compat
from .client.jobs import Client, Job

INTERVAL_S = 0.1
WAIT_S = 0.02
BRIEF_S = 0.004  # to wait at once for what may not take longer
STARTING = "Starting"
# Only what shows tasks is drawn again, not a point cloud beside it.
SHOWN_IN = {("VIEW_3D", "UI"), ("SEQUENCE_EDITOR", "UI"), ("PREFERENCES", "WINDOW")}

Result = TypeVar("Result")
Steps = Generator[None, None, Result]


@dataclass
class Activity:
    """What a task tells and is told. `operator` is the bl_idname of the operator that runs it, empty in scripts.

    `notify` is called with (stage, progress 0..1) whenever that changes. Setting `cancelled` stops the task, unless it is
    Blender's own render (`stoppable`), which has a button of its own.
    """

    operator: str = ""
    notify: Callable[[str, float], None] | None = None
    progress: float = 0.0
    message: str = STARTING
    cancelled: bool = False
    stoppable: bool = True
    warnings: list[str] = field(default_factory=list)

    def tell(self, stage: str, progress: float, message: str = "") -> None:
        self.progress, self.message = progress, message or stage
        if self.notify:
            self.notify(stage, progress)


@dataclass
class _State:
    client: Client | None = None
    python: Path | None = None
    steps: Steps[Any] | None = None
    activity: Activity | None = None
    last: Activity | None = None


_state = _State()


def activity() -> Activity | None:
    """What is going on now; None if nothing is."""
    return _state.activity


def warnings(operator: str) -> list[str]:
    """What the last task wanted the user to know, if it was this operator's."""
    return _state.last.warnings if _state.last and _state.last.operator == operator else []


def cancelled() -> Sonic4DError:
    return Sonic4DError("cancelled", "Cancelled.")


def job(request: dict[str, Any], activity: Activity) -> Steps[Job]:
    """Have the worker do a job. Returns it when it is done; raises `Sonic4DError` where it fails or is cancelled."""
    client = _client()
    job = client.submit(request)
    try:
        while not job.finished:
            if activity.cancelled and not job.cancelling:
                client.cancel(job)
            if client.poll():
                activity.tell(job.stage or STARTING, job.progress, job.message)
            yield
    finally:
        client.cancel(job)
    activity.warnings += job.warnings
    if job.error:
        raise job.error
    if job.status != "done":
        raise cancelled()
    return job


def _client() -> Client:
    """The one worker's client; another one if the backend to use has changed."""
    python = backend.python()
    if _state.client is None or _state.python != python:
        stop_worker()
        _state.client, _state.python = Client(python), python
    return _state.client


def in_thread(work: Callable[[], Result]) -> Steps[Result]:
    """Do `work`, which must not use bpy, in a thread. Returns what it returns; raises what it raises."""
    outcome: dict[str, Any] = {}

    def run() -> None:
        try:
            outcome["result"] = work()
        except BaseException as error:
            outcome["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(BRIEF_S)
    while thread.is_alive():
        yield
    if "error" in outcome:
        raise outcome["error"]
    return outcome["result"]


def wait(steps: Steps[Result]) -> Result:
    """Go through a task to its end without the UI. Ctrl-C ends it."""
    try:
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value
            time.sleep(WAIT_S)
    finally:
        steps.close()


def stop_worker() -> None:
    if _state.client:
        _state.client.stop()
        _state.client = None


@bpy.app.handlers.persistent
def shut_down(*_: Any) -> None:
    """End the task that is under way, and the worker. Called before another file is loaded, too."""
    if _state.steps:
        _state.steps.close()
    _state.steps = _state.activity = None
    stop_worker()


class TaskOperator:
    """Mixin: runs `steps` beside the UI, or waits for it in background mode. ESC or the panel's Cancel stops it."""

    bl_options = {"UNDO"}
    timer: bpy.types.Timer | None = None
    # Of the operator that this is mixed into
    bl_idname: ClassVar[str]
    poll_message_set: ClassVar[Callable[[str], None]]
    report: Callable[[set[str], str], None]

    def steps(self, scene: bpy.types.Scene, activity: Activity) -> Steps[Any]:
        """The task. Raises `Sonic4DError`, which is told to the user."""
        raise NotImplementedError

    def _whole(self, scene: bpy.types.Scene, activity: Activity) -> Steps[Any]:
        """Also what `steps` does and raises before its first wait is part of the task."""
        return (yield from self.steps(scene, activity))

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        if _state.activity:
            cls.poll_message_set("Something else is still under way")
        return _state.activity is None

    def execute(self, context: bpy.types.Context) -> set[str]:
        _state.activity = Activity(type(self).bl_idname)
        _state.steps = self.running = self._whole(compat.shown_scene(context), _state.activity)
        if bpy.app.background:
            while (result := self._advance(context)) == {"RUNNING_MODAL"}:
                time.sleep(WAIT_S)
            return result
        result = self._advance(context)
        if result == {"RUNNING_MODAL"}:
            manager = context.window_manager
            self.timer = manager.event_timer_add(INTERVAL_S, window=context.window)
            manager.modal_handler_add(self)
        return result

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if _state.steps is not self.running:  # shut down meanwhile
            self._end(context)
            return {"CANCELLED"}
        if event.type == "ESC" and event.value == "PRESS" and _state.activity:
            _state.activity.cancelled = True
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        result = self._advance(context)
        return {"PASS_THROUGH"} if result == {"RUNNING_MODAL"} else result

    def cancel(self, context: bpy.types.Context) -> None:
        """The window was closed."""
        self.running.close()
        self._end(context)

    def _advance(self, context: bpy.types.Context) -> set[str]:
        """Move the task on by a step."""
        activity = _state.activity or Activity()
        shown = (activity.progress, activity.message)
        try:
            next(self.running)
        except StopIteration:
            self._end(context)
            return {"FINISHED"}
        except Sonic4DError as error:
            self._end(context)
            if error.code == "cancelled":
                self.report({"INFO"}, error.message)
            else:
                self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        except BaseException:
            self._end(context)
            raise
        if (activity.progress, activity.message) != shown:
            redraw(context)
        return {"RUNNING_MODAL"}

    def _end(self, context: bpy.types.Context) -> None:
        if self.timer:
            context.window_manager.event_timer_remove(self.timer)
            self.timer = None
        if _state.steps is self.running:
            _state.last = _state.activity
            _state.steps = _state.activity = None
        redraw(context)


def redraw(context: bpy.types.Context) -> None:
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            for region in area.regions:
                if (area.type, region.type) in SHOWN_IN:
                    region.tag_redraw()


class SONIC4D_OT_cancel(bpy.types.Operator):
    bl_idname = "sonic4d.cancel"
    bl_label = "Cancel"
    bl_description = "Stop what Sonic4D is doing"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return _state.activity is not None and not _state.activity.cancelled

    def execute(self, context: bpy.types.Context) -> set[str]:
        if _state.activity:
            _state.activity.cancelled = True
        redraw(context)
        return {"FINISHED"}


def register() -> None:
    bpy.utils.register_class(SONIC4D_OT_cancel)
    bpy.app.handlers.load_pre.append(shut_down)
    atexit.register(shut_down)


def unregister() -> None:
    shut_down()
    atexit.unregister(shut_down)
    bpy.app.handlers.load_pre.remove(shut_down)
    bpy.utils.unregister_class(SONIC4D_OT_cancel)
