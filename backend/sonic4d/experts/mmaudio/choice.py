"""Which MMAudio makes a sound, where just "mmaudio" is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ...protocol import Sonic4DError
from ..choose import AUTO, Choice, choose
from ..machine import Machine, check_memory, why_not
from ..model import Model
from ..registry import find, of_job
from ..store import locate, missing

ANY = "mmaudio"


def options() -> tuple[str, ...]:
    """What --audio calls the models."""
    return (ANY, *(model.option for model in of_job("audio")))


def choose_mmaudio(option: str, overrides: Mapping[str, Path], machine: Machine) -> Choice:
    """The best that is here: the largest on a GPU, the smallest good one on a CPU, where each takes minutes.

    Raises `Sonic4DError` where none is here or none fits.
    """
    if option != ANY:
        return choose("audio", option, overrides, machine)
    if "audio" in overrides:
        return choose("audio", AUTO, overrides, machine)
    best, too_large = _by_preference(machine), None
    for model in sorted(best, key=lambda model: model.name not in overrides):
        try:
            ready = locate(model.name, overrides)
        except Sonic4DError as error:
            if error.code == "missing_model":
                continue
            raise
        if not why_not(model, machine):
            where = "GPU" if machine.has_gpu else "CPU"
            return Choice(ready, f"{model.name} is the first choice of those here on a {where}.")
        too_large = too_large or model
    if too_large is not None:
        check_memory(too_large, machine)
    raise missing(best[0])


def _by_preference(machine: Machine) -> list[Model]:
    if machine.has_gpu:
        return list(of_job("audio"))
    names = ("small-44k", "medium-44k", "large-44k-v2", "large-44k", "small-16k")
    return [find(f"{ANY}-{name}") for name in names]
