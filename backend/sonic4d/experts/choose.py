"""Which model does a job: the one asked for, or the best that is here and fits this machine. Never downloads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ..protocol import Sonic4DError
from .machine import Machine, check_memory, why_not
from .model import Job, Model
from .registry import by_option, of_job
from .store import Ready, locate

AUTO = "auto"


@dataclass(frozen=True)
class Choice:
    """ready: None where no model can be had, then `reason` says why. warnings: for the user."""

    ready: Ready | None
    reason: str
    warnings: tuple[str, ...] = ()


def choose(
    job: Job,
    option: str,
    overrides: Mapping[str, Path],
    machine: Machine,
    suits: Callable[[Model], bool] = lambda model: True,
) -> Choice:
    """The model for a job.

    option: what the user asked for; "auto" for the first in the registry that is here and fits. overrides: model or job -> local
    folder. suits: which models "auto" may take. Raises `Sonic4DError` where a model that was asked for is missing or unusable.
    """
    if option != AUTO:
        return _asked_for(by_option(job, option), job, overrides, machine)
    if job in overrides:
        return _of_folder(job, overrides, machine)
    reasons = []
    for model in filter(suits, of_job(job)):
        try:
            ready = locate(model.name, overrides)
        except Sonic4DError as error:
            if error.code != "missing_model":
                reasons.append(error.message)
            continue
        problem = why_not(model, machine)
        if not problem:
            return Choice(ready, f"{model.name} is the first choice of those on this machine.")
        reasons.append(f"{model.name} can't be used: {problem}.")
    what = job.replace("_", " ")
    return Choice(None, " ".join(reasons) or f"No {what} model is on this machine.")


def load(ready: Ready, machine: Machine) -> Any:
    """The expert itself, which implements its job's protocol. Raises `Sonic4DError`."""
    check_memory(ready.model, machine)
    try:
        module = import_module(f".{ready.model.module}", __package__)
        return module.load(ready, machine)
    except ImportError as error:
        raise Sonic4DError(
            "no_torch",
            f"{ready.model.name} needs {error.name or error}, which is not installed.",
            "Run: pip install 'sonic4d[experts]'",
        ) from None


def _of_folder(job: Job, overrides: Mapping[str, Path], machine: Machine) -> Choice:
    """The first model of the job that the folder given for the job is one of."""
    for model in of_job(job):
        try:
            locate(model.name, {model.name: overrides[job]})
        except Sonic4DError as error:
            last = error
            continue
        return _asked_for(model, job, overrides, machine)
    raise last


def _asked_for(model: Model, job: Job, overrides: Mapping[str, Path], machine: Machine) -> Choice:
    if job in overrides:
        overrides = {**overrides, model.name: overrides[job]}
    ready = locate(model.name, overrides)
    problem = why_not(model, machine)
    if problem and not machine.device:
        raise Sonic4DError(
            "no_torch",
            f"{model.name} can't be used: {problem}.",
            "Install what is missing, or choose another.",
        )
    warning = f"{model.name} may be too much for this machine: {problem}." if problem else ""
    return Choice(ready, "Asked for.", (warning,) if warning else ())
