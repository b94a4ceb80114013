"""Which models look for the source and follow it, for the options of `generate`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...protocol import Sonic4DError
from ..choose import AUTO, Choice, choose, load
from ..machine import Machine, this_machine
from ..model import Job
from ..protocols import GroundingModel, TrackingModel
from ..registry import of_job
from ..store import Ready, is_cached

MOTION = "motion"  # no grounding model: by motion and sound
CSRT = "csrt"  # no tracking model: the correlation filter


@dataclass(frozen=True)
class Chosen:
    """What was chosen for a source. grounding, tracking: the models, or None where none is used; required: the jobs whose
    model was asked for by name. why: the choice of the grounding model, or why there is none.
    """

    grounding: Ready | None
    tracking: Ready | None
    required: frozenset[Job]
    why: str
    warnings: tuple[str, ...]
    machine: Machine | None

    def load(self) -> Loaded:
        """Raises `Sonic4DError` where a model can't be loaded that was asked for by name; else goes on without it."""
        warnings = list(self.warnings)
        loaded: dict[Job, Any] = {}
        for job, ready in self._models():
            if ready is None or self.machine is None:
                continue
            try:
                loaded[job] = load(ready, self.machine)
            except Sonic4DError as error:
                if job in self.required:
                    raise
                warnings.append(f"{error.message} The source is found and followed without it.")
        chosen = {job: ready if job in loaded else None for job, ready in self._models()}
        return Loaded(
            loaded.get("grounding"),
            loaded.get("tracking"),
            replace(self, **chosen, warnings=tuple(warnings)),
        )

    def _models(self) -> tuple[tuple[Job, Ready | None], ...]:
        return (("grounding", self.grounding), ("tracking", self.tracking))


@dataclass(frozen=True)
class Loaded:
    """The models that could be loaded, and what is left of the choice."""

    model: GroundingModel | None
    track: TrackingModel | None
    chosen: Chosen


def choose_experts(
    grounding: str, tracker: str, has_words: bool, marked: bool, overrides: Mapping[str, Path]
) -> Chosen:
    """The models for the options --grounding and --tracker. has_words: it was said what to look for; marked: the source was
    shown, so that nothing has to be looked for. Raises `Sonic4DError` for a model that is unknown or isn't here.
    """
    machine: Machine | None = None

    def chosen(job: Job, option: str, nothing: str, needed: bool, suits_words: bool) -> Choice:
        nonlocal machine
        if not needed or option == nothing:
            return Choice(None, "")
        if option == AUTO and not _any_at_hand(job, overrides):
            how = f"to download one, run: sonic4d models download {of_job(job)[0].name}"
            return Choice(None, f"No {job} model is on this machine ({how}).")
        machine = machine or this_machine()
        return choose(
            job, option, overrides, machine, lambda model: suits_words or not model.needs_words
        )

    found = chosen("grounding", grounding, MOTION, not marked, has_words)
    if found.ready is not None and found.ready.model.needs_words and not has_words:
        raise Sonic4DError(
            "no_words",
            f"{found.ready.model.name} has to be told what to look for.",
            'Say what sounds, e.g. --sound-source "a helicopter".',
        )
    followed = chosen("tracking", tracker, CSRT, True, True)
    asked = (("grounding", grounding, MOTION), ("tracking", tracker, CSRT))
    return Chosen(
        found.ready,
        followed.ready,
        frozenset(job for job, option, nothing in asked if option not in (AUTO, nothing)),
        found.reason,
        (*found.warnings, *followed.warnings),
        machine,
    )


def _any_at_hand(job: Job, overrides: Mapping[str, Path]) -> bool:
    """Whether asking what this machine can do, which takes seconds, is worth it."""
    return job in overrides or any(
        model.name in overrides or is_cached(model) for model in of_job(job)
    )
