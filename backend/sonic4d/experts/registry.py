"""Every model that Sonic4D can use, by name."""

from __future__ import annotations

from ..protocol import Sonic4DError
from .catalogue import audio, depth, grounding, novel_view
from .model import Job, Model

MODELS: dict[str, Model] = {
    model.name: model
    for models in (depth.MODELS, grounding.MODELS, audio.MODELS, novel_view.MODELS)
    for model in models
}


def find(name: str) -> Model:
    """The model of this name. Raises `Sonic4DError`."""
    if name not in MODELS:
        raise Sonic4DError(
            "unknown_model", f'There is no model "{name}".', f"Known models: {', '.join(MODELS)}."
        )
    return MODELS[name]


def of_job(job: Job) -> tuple[Model, ...]:
    """The models among which the job's option chooses, the one that `auto` prefers first."""
    return tuple(model for model in MODELS.values() if model.job == job and model.option)


def by_option(job: Job, option: str) -> Model:
    """The model that the job's option calls `option`, or its full name. Raises `Sonic4DError`."""
    for model in of_job(job):
        if option in (model.option, model.name):
            return model
    known = ", ".join(model.option for model in of_job(job))
    raise Sonic4DError(
        "unknown_model",
        f'There is no {job.replace("_", " ")} model "{option}".',
        f"Known are: {known}.",
    )
