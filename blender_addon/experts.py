"""The pretrained models that the backend has told of."""

from __future__ import annotations

from .client.models import Expert

_found: list[Expert] = []


def known() -> bool:
    """Whether the backend was asked already."""
    return bool(_found)


def remember(experts: list[Expert]) -> None:
    _found[:] = experts


def all_experts() -> list[Expert]:
    return list(_found)


def experts_of(job: str) -> list[Expert]:
    """What a user can choose for a part of generating."""
    return [expert for expert in _found if expert.job == job and expert.option]
