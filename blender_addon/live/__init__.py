"""Edit to hear: what an edit changes in the shot is rendered again, and the take's strip gets the new sound.

Every change of the scene is noted (`_updated`). A timer, which runs only while there is something to do, then reads the shot
in slices of a few milliseconds and compares it with the active take. With live update on, a shot that sounds different is
rendered by the warm worker, first as a draft; off, the take is only said to be out of date.
"""

from __future__ import annotations

import atexit
import time
import traceback
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import bpy
from bpy.app.handlers import persistent

from ...backend.sonic4d.protocol import Sonic4DError
from .. import tasks
from ..scene.paths import absolute
from ..scene.sampling import scene_of
from ..scene.shot import Reading, read_shot
from ..sequencer import take_list
from . import files

CURRENT, OUTDATED, UPDATING = "current", "outdated", "updating"

_TICK_S = 0.005
_SLICE_S = 0.004  # of reading; what follows it in the same step takes a few milliseconds more
_OWN_S = 0.25  # within which Blender tells of what a slice of reading did: when the event is over
_CHECK_S = 0.5  # after a reading: an edit at the very moment of reading would be missed
_DEBOUNCE_S = {True: 0.03, False: 0.4}  # with live update on and off
_SETTLED_S = 0.8  # after a draft: then nobody is in the middle of an edit
_DRAFT = "draft "  # marks the fingerprint of what a draft was rendered of
_BUSY_S = 0.5  # between looks whether Blender's render, or a task, is over
_UNSEEN = ("no_scene", "no_object")  # what is read is gone: another look will tell


@dataclass
class _State:
    # Scenes to look at, from when on, and whether to check once more after that.
    due: dict[int, tuple[float, bool]] = field(default_factory=dict)
    scene_uid: int = 0  # of the scene that is read and rendered now
    reading: Generator[None, None, tuple[Reading, str]] | None = None
    rendering: tasks.Steps[None] | None = None
    rendered: str = ""  # fingerprint of what is being rendered
    own_until_s: float = 0.0  # reading makes Blender tell of an update, before that time
    check: bool = False  # the present reading is to be checked
    status: dict[int, str] = field(default_factory=dict)
    problem: dict[int, str] = field(default_factory=dict)


_state = _State()


def status(scene: bpy.types.Scene) -> str:
    """CURRENT, OUTDATED or UPDATING; empty where that isn't known yet."""
    return _state.status.get(scene.session_uid, "")


def problem(scene: bpy.types.Scene) -> str:
    """Why the sound can't be updated; empty if it can."""
    return _state.problem.get(scene.session_uid, "")


def toggled(settings: bpy.types.PropertyGroup, _context: bpy.types.Context) -> None:
    """Live update was switched on or off."""
    if settings.live_update:
        note(settings.id_data)
    elif settings.id_data.session_uid == _state.scene_uid:
        _drop_rendering()


def edited(settings: bpy.types.PropertyGroup, _context: bpy.types.Context) -> None:
    """A setting that is heard was changed, of which Blender itself tells nobody."""
    owner = settings.id_data
    for scene in [owner] if isinstance(owner, bpy.types.Scene) else bpy.data.scenes:
        note(scene)


def note(scene: bpy.types.Scene) -> None:
    """The scene may have changed: look at it, soon."""
    if scene.sonic4d.live_update or take_list.active(scene):
        _look_in(scene.session_uid, _DEBOUNCE_S[scene.sonic4d.live_update], check=True)


def _look_in(uid: int, seconds: float, check: bool) -> None:
    _state.due[uid] = (time.perf_counter() + seconds, check)
    if not bpy.app.background and not bpy.app.timers.is_registered(_timer):
        bpy.app.timers.register(_timer, first_interval=_TICK_S)


def busy() -> bool:
    return bool(_state.due or _state.reading or _state.rendering)


def tick() -> float | None:
    """Move on by a step of a few milliseconds; the seconds until the next one, None if there is nothing to do."""
    if not busy():
        return None
    if tasks.activity() or bpy.app.is_job_running("RENDER"):
        if _state.reading or _state.rendering:
            _drop()
            _state.due.setdefault(_state.scene_uid, (time.perf_counter(), True))
        return _BUSY_S
    try:
        _look()
        if _state.reading:
            _advance_reading()
        else:
            _advance_rendering()
    except Sonic4DError as error:
        _drop()
        if error.code not in _UNSEEN:
            _tell(OUTDATED, str(error))
    except Exception as error:  # else the timer would be gone without a word
        _drop()
        _tell(OUTDATED, f"Live update failed: {error}")
        traceback.print_exc()
    return _TICK_S if busy() else None


def _look() -> None:
    """Begin to read a shot once nothing has changed in it for a moment; other scenes wait until it is rendered."""
    at_work = _state.reading or _state.rendering
    for uid, (due_s, check) in _state.due.items():
        if time.perf_counter() < due_s or (at_work and uid != _state.scene_uid):
            continue
        if _state.reading:
            _state.reading.close()
        _state.scene_uid, _state.check = uid, check
        _state.reading = _read(uid)
        del _state.due[uid]
        return


def _read(scene_uid: int) -> Generator[None, None, tuple[Reading, str]]:
    reading = yield from read_shot(scene_uid, _SLICE_S)
    yield
    fingerprint = yield from tasks.in_thread(reading.fingerprint)
    return reading, fingerprint


def _advance_reading() -> None:
    assert _state.reading is not None
    try:
        next(_state.reading)
        _state.own_until_s = time.perf_counter() + _OWN_S
        return
    except StopIteration as end:
        reading, fingerprint = end.value
    _state.reading = None
    if _state.check and _state.scene_uid not in _state.due:
        _look_in(_state.scene_uid, _CHECK_S, check=False)
    scene = scene_of(_state.scene_uid)
    take = take_list.active(scene)
    if take and take.fingerprint == fingerprint and absolute(take.filepath).is_file():
        _drop_rendering()
        _tell(CURRENT)
    elif not scene.sonic4d.live_update:
        _tell(OUTDATED)
    elif fingerprint != _state.rendered:
        _drop_rendering()
        _state.rendered = fingerprint
        _state.rendering = _render(_state.scene_uid, reading, fingerprint)
        _tell(UPDATING)


def _advance_rendering() -> None:
    if _state.rendering is None:
        return
    try:
        next(_state.rendering)
    except StopIteration:
        _state.rendering, _state.rendered = None, ""
        _tell(CURRENT)


def _render(scene_uid: int, reading: Reading, fingerprint: str) -> tasks.Steps[None]:
    """Render a shot: at once with few reflections, then, once nothing has changed for a while, as it is to be."""
    draft = reading.draft()
    if draft is not None:
        yield from _render_once(scene_uid, draft, _DRAFT + fingerprint)
        full_s = time.perf_counter() + _SETTLED_S
        while time.perf_counter() < full_s:
            yield
    yield from _render_once(scene_uid, reading, fingerprint)


def _render_once(scene_uid: int, reading: Reading, fingerprint: str) -> tasks.Steps[None]:
    folder = files.folder(scene_of(scene_uid).name)
    wav = files.new_file(folder)
    shot = yield from tasks.in_thread(lambda: reading.write(wav.with_suffix(".json")))
    request = {"kind": "render", "shot": str(shot), "output": str(wav)}
    yield from tasks.job(request, tasks.Activity())
    scene = scene_of(scene_uid)
    take = take_list.active(scene)
    take_list.fill_or_add(scene, take.uid if take else None, wav, fingerprint)
    yield
    old = files.superseded()
    yield from tasks.in_thread(lambda: files.remove(old))


def _tell(status: str, problem: str = "") -> None:
    uid = _state.scene_uid
    if (_state.status.get(uid), _state.problem.get(uid, "")) != (status, problem):
        _state.status[uid], _state.problem[uid] = status, problem
        tasks.redraw(bpy.context)


def _drop() -> None:
    """Stop what is going on."""
    if _state.reading:
        _state.reading.close()
    _state.reading = None
    _state.due.pop(_state.scene_uid, None)
    _drop_rendering()


def _drop_rendering() -> None:
    if _state.rendering:
        _state.rendering.close()
    _state.rendering, _state.rendered = None, ""


def _timer() -> float | None:
    return tick()


@persistent
def _updated(scene: bpy.types.Scene, graph: bpy.types.Depsgraph) -> None:
    own = time.perf_counter() < _state.own_until_s
    _state.own_until_s = 0.0
    if not (own and _tells_nothing(graph)):
        note(scene)


def _tells_nothing(graph: bpy.types.Depsgraph) -> bool:
    """Whether an update is of the kind that our temporary scene makes."""
    return all(
        isinstance(update.id, (bpy.types.Scene, bpy.types.Object, bpy.types.Collection))
        and not (update.is_updated_transform and isinstance(update.id, bpy.types.Object))
        for update in graph.updates
    )


@persistent
def _undone(scene: bpy.types.Scene | None, *_: Any) -> None:
    if scene is not None:
        note(scene)


@persistent
def _saved(*_: Any) -> None:
    files.note_saved()


@persistent
def _loading(*_: Any) -> None:
    """Another file is about to be loaded."""
    _drop()
    _state.due.clear()
    files.end(keep_used=False)
    _state.status.clear()
    _state.problem.clear()


@persistent
def _loaded(*_: Any) -> None:
    files.note_saved()
    for scene in bpy.data.scenes:
        if scene.sonic4d.live_update:
            note(scene)


_HANDLERS = (
    ("depsgraph_update_post", _updated),
    ("undo_post", _undone),
    ("redo_post", _undone),
    ("save_post", _saved),
    ("load_pre", _loading),
    ("load_post", _loaded),
)


def _at_exit() -> None:
    files.end(keep_used=False)


def register() -> None:
    for name, handler in _HANDLERS:
        getattr(bpy.app.handlers, name).append(handler)
    atexit.register(_at_exit)


def unregister() -> None:
    _drop()
    _state.due.clear()
    if bpy.app.timers.is_registered(_timer):
        bpy.app.timers.unregister(_timer)
    for name, handler in _HANDLERS:
        getattr(bpy.app.handlers, name).remove(handler)
    atexit.unregister(_at_exit)
    files.end(keep_used=True)
    _state.status.clear()
    _state.problem.clear()
