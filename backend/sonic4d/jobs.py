"""Running one job, for the worker and the command line alike."""

from __future__ import annotations

import errno
import os
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from .monitor import Cancelled, Monitor
from .protocol import Sonic4DError, log_file

Report = Callable[[dict[str, Any]], None]
Job = Callable[[dict[str, Any], Monitor], Path]
T = TypeVar("T")

_PROGRESS_INTERVAL_S = 0.05
_MAX_MESSAGE = 2000


# What the jobs need is imported by them: the worker answers before any of it is loaded. Settings are read first, as the
# rest takes seconds to load.


def _generate(parameters: dict[str, Any], monitor: Monitor) -> Path:
    from .settings import GenerateSettings

    settings = _settings(GenerateSettings.from_json, parameters)
    monitor.progress("loading", 0, 1)
    from .generate import generate

    monitor.progress("loading", 1, 1)
    return generate(settings, monitor)


def _shot(parameters: dict[str, Any], monitor: Monitor) -> Path:
    from .staging import ShotSettings, write_shot

    return write_shot(_settings(ShotSettings.from_json, parameters), monitor)


def _render(parameters: dict[str, Any], monitor: Monitor) -> Path:
    """`shot` and `output` are paths; `set` is a list of assignments such as "render.mode=paper"."""
    from . import checks
    from .shot import read_shot

    checks.fields(parameters, "render job", ("shot", "output"), ("set",))
    path, output = (Path(checks.text(parameters[key], key)) for key in ("shot", "output"))
    assignments = parameters.get("set", [])
    if not isinstance(assignments, list):
        raise checks.fail("set", "a list of assignments is expected")
    shot = read_shot(path, tuple(checks.text(entry, "set") for entry in assignments))
    monitor.progress("loading", 0, 1)
    from .acoustics.render import render_to_file

    monitor.progress("loading", 1, 1)
    return render_to_file(shot, output, monitor)


def _decode(parameters: dict[str, Any], monitor: Monitor) -> Path:
    monitor.progress("loading", 0, 1)
    from .acoustics.decoder import DecodeSettings, decode_file

    monitor.progress("loading", 1, 1)
    return decode_file(_settings(DecodeSettings.from_json, parameters), monitor)


def _preview(parameters: dict[str, Any], monitor: Monitor) -> Path:
    monitor.progress("loading", 0, 1)
    from .preview import PreviewSettings, write_preview

    monitor.progress("loading", 1, 1)
    return write_preview(_settings(PreviewSettings.from_json, parameters), monitor)


def _mux(parameters: dict[str, Any], monitor: Monitor) -> Path:
    from .mux import MuxSettings, mux

    settings = _settings(MuxSettings.from_json, parameters)
    monitor.progress("loading", 0, 1)
    return mux(settings, monitor)


def _enhance(parameters: dict[str, Any], monitor: Monitor) -> Path:
    monitor.progress("loading", 0, 1)
    from .enhance import EnhanceSettings, enhance

    monitor.progress("loading", 1, 1)
    return enhance(_settings(EnhanceSettings.from_json, parameters), monitor)


def _retrack(parameters: dict[str, Any], monitor: Monitor) -> Path:
    from .retrack import RetrackSettings, retrack

    return retrack(_settings(RetrackSettings.from_json, parameters), monitor)


def _evaluation(settings_name: str, module: str, work: str) -> Job:
    """A job of `evaluate`: the name of its settings, and the module and name of what does it."""

    def do(parameters: dict[str, Any], monitor: Monitor) -> Path:
        settings_class = getattr(import_module(".evaluate.settings", __package__), settings_name)
        settings = _settings(settings_class.from_json, parameters)
        monitor.progress("loading", 0, 1)
        function = getattr(import_module(f".evaluate.{module}", __package__), work)
        monitor.progress("loading", 1, 1)
        return function(settings, monitor)

    return do


def _download_model(parameters: dict[str, Any], monitor: Monitor) -> Path:
    """`model` is a name of the registry; `accept_licence` says that the user has accepted its licence."""
    from . import checks

    checks.fields(parameters, "download job", ("model",), ("accept_licence",))
    accepted = checks.boolean(parameters.get("accept_licence", False), "accept_licence")
    from .experts.download import download
    from .experts.registry import find

    return download(find(checks.text(parameters["model"], "model")), accepted, monitor)


def _remove_model(parameters: dict[str, Any], monitor: Monitor) -> Path:
    """Delete a model from this machine; the result is the folder of Sonic4D's own models."""
    from . import checks

    checks.fields(parameters, "remove job", ("model",))
    from .experts.registry import find
    from .experts.store import models_folder, remove

    for folder in remove(find(checks.text(parameters["model"], "model"))):
        monitor.log(f"Deleted {folder}.")
    return models_folder()


def _settings(from_json: Callable[[Any], T], parameters: dict[str, Any]) -> T:
    """Parameters that aren't possible are bad usage, not a bad file."""
    try:
        return from_json(parameters)
    except Sonic4DError as error:
        raise Sonic4DError("bad_option", error.message, error.hint) from None


JOBS: dict[str, Job] = {
    "generate": _generate,
    "shot": _shot,
    "render": _render,
    "decode": _decode,
    "preview": _preview,
    "enhance": _enhance,
    "mux": _mux,
    "retrack": _retrack,
    "make-set": _evaluation("MakeSetSettings", "ground_truth.make", "make_set"),
    "evaluate": _evaluation("EvaluateSettings", "report", "evaluate"),
    "starss23": _evaluation("StarssSettings", "starss23", "evaluate_starss23"),
    "listen": _evaluation("ListenSettings", "listen", "listen"),
    "download-model": _download_model,
    "remove-model": _remove_model,
}


def run_job(job: dict[str, Any], report: Report, should_stop: Callable[[], bool]) -> None:
    """Do a job {"kind": ..., ...parameters}. Never raises for what goes wrong: the last event tells (see `protocol`)."""
    monitor = Monitor(_throttled(report), should_stop)
    try:
        monitor.check()
        parameters = dict(job)
        kind = parameters.pop("kind", None)
        if not isinstance(kind, str) or kind not in JOBS:
            raise Sonic4DError(
                "unknown_job", f"There is no job {kind!r}.", f"Known jobs: {', '.join(JOBS)}."
            )
        result = JOBS[kind](parameters, monitor)
    except Cancelled:
        report({"event": "cancelled"})
    except Sonic4DError as error:
        report(failure(error))
    except MemoryError:
        hint = "Use a shorter clip, a lower resolution or fewer points, or close other programs."
        message = "The computer's memory is not enough for this."
        report(failure(Sonic4DError("out_of_memory", message, hint)))
    except Exception as error:
        report(_unforeseen(error))
    else:
        report({"event": "done", "results": [os.path.abspath(result)]})


def failure(error: Sonic4DError, log_path: Path | None = None) -> dict[str, Any]:
    """The event that tells of an error."""
    return {
        "event": "error",
        "code": error.code,
        "message": error.message[:_MAX_MESSAGE],
        "hint": error.hint[:_MAX_MESSAGE],
        "log_path": str(log_path) if log_path else None,
    }


def _unforeseen(error: Exception) -> dict[str, Any]:
    """The event that tells of an error that nobody foresaw. Its traceback goes to a log."""
    log = log_file("errors.log")
    with log.open("a", encoding="utf-8", errors="replace") as file:
        file.write(time.strftime("%Y-%m-%d %H:%M:%S\n"))
        file.write("".join(traceback.format_exception(error)))
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return failure(Sonic4DError("disk_full", "The disk is full.", "Make room on it."), log)
    what = f"{type(error).__name__}: {error}".rstrip(": ")
    message = f"Sonic4D failed in a way that it should not: {what}."
    hint = f"Please report this, with the log {log}."
    return failure(Sonic4DError("internal", message, hint), log)


def _throttled(report: Report) -> Report:
    """Passes on everything but progress that comes too fast for anyone to see."""
    last_stage = ""
    last_time = 0.0

    def throttled(event: dict[str, Any]) -> None:
        nonlocal last_stage, last_time
        if event["event"] == "progress":
            now = time.monotonic()
            early = event["stage"] == last_stage and now - last_time < _PROGRESS_INTERVAL_S
            if early and event["done"] < event["total"]:
                return
            last_stage, last_time = event["stage"], now
        report(event)

    return throttled
