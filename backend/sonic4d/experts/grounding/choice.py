"""Which models look for the source and follow it, for the options of `generate`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
    """What was chosen for finding the source; None where no model is used, then `why_not` says why.

    required: the grounding model was asked for by name. ready, tracked_by: for the provenance.
    """

    ready: Ready | None
    tracked_by: Ready | None
    required: bool
    why: str
    warnings: tuple[str, ...]
    machine: Machine | None

    def load(self) -> tuple[GroundingModel | None, TrackingModel | None]:
        """The models, loaded. Raises `Sonic4DError`."""
        return self._loaded(self.ready), self._loaded(self.tracked_by)

    def _loaded(self, ready: Ready | None) -> Any:
        return load(ready, self.machine) if ready is not None and self.machine is not None else None


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
            return Choice(None, f"No {job} model is on this machine.")
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
    return Chosen(
        found.ready,
        followed.ready,
        grounding not in (AUTO, MOTION),
        found.reason,
        (*found.warnings, *followed.warnings),
        machine,
    )


def _any_at_hand(job: Job, overrides: Mapping[str, Path]) -> bool:
    """Whether asking what this machine can do, which takes seconds, is worth it."""
    return job in overrides or any(
        model.name in overrides or is_cached(model) for model in of_job(job)
    )
