"""Which models look for a source and follow it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sonic4d.experts import registry
from sonic4d.experts.grounding import choice
from sonic4d.experts.grounding.choice import Chosen, choose_experts
from sonic4d.experts.machine import Machine
from sonic4d.protocol import Sonic4DError

LAPTOP = Machine("cpu", "4 cores", 16.0, 16.0)


@pytest.fixture
def place(
    into_cache: Callable, hollow: Callable, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., None]:
    """place(name, ...): these models are on a laptop with torch."""
    monkeypatch.setattr(choice, "this_machine", lambda: LAPTOP)

    def put(*names: str) -> None:
        for name in names:
            for part in registry.find(name).parts:
                into_cache(part, lambda folder, part=part: hollow(part, folder))

    return put


def chosen(**values: Any) -> Chosen:
    options = {"grounding": "auto", "tracker": "auto", "has_words": True, "marked": False}
    return choose_experts(**{**options, "overrides": {}, **values})


def test_nothing_here(user_caches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "this_machine", lambda: pytest.fail("torch was loaded"))
    nothing = chosen()
    assert (nothing.grounding, nothing.tracking, nothing.required) == (None, None, frozenset())
    assert "sonic4d models download grounding-dino-tiny" in nothing.why
    assert (nothing.load().model, nothing.load().track) == (None, None)
    monkeypatch.setattr(choice, "this_machine", lambda: LAPTOP)
    for option in ("grounding-dino", "qwen-vl", "grounding-gpt"):
        with pytest.raises(Sonic4DError) as caught:
            chosen(grounding=option)
        assert caught.value.code == "missing_model"
        assert "sonic4d models download" in caught.value.hint


def test_auto_takes_what_fits_the_question(place: Callable) -> None:
    place("grounding-dino-tiny")
    assert chosen().grounding.model.name == "grounding-dino-tiny"
    assert chosen(has_words=False).grounding is None
    place("qwen-vl-2b", "sam2-tiny")
    assert chosen().grounding.model.name == "grounding-dino-tiny"
    assert chosen(has_words=False).grounding.model.name == "qwen-vl-2b"
    assert chosen().tracking.model.name == "sam2-tiny"
    assert chosen(tracker="csrt").tracking is None
    assert chosen(tracker="sam2").required == {"tracking"}
    assert not chosen().required


def test_what_was_shown_is_only_followed(place: Callable) -> None:
    place("grounding-dino-tiny", "sam2-tiny")
    marked = chosen(marked=True)
    assert marked.grounding is None
    assert marked.tracking.model.name == "sam2-tiny"


def test_motion_uses_no_model(place: Callable) -> None:
    place("grounding-dino-tiny")
    assert chosen(grounding="motion").grounding is None


def test_a_model_that_needs_words_is_refused_without(place: Callable) -> None:
    place("grounding-dino-tiny")
    assert chosen(grounding="grounding-dino").required == {"grounding"}
    with pytest.raises(Sonic4DError, match="has to be told") as caught:
        chosen(grounding="grounding-dino", has_words=False)
    assert "--sound-source" in caught.value.hint


def test_the_paper_s_expert_is_not_taken_by_a_laptop(place: Callable) -> None:
    place("grounding-gpt")
    assert chosen().grounding is None
    assert "needs a GPU" in chosen().why
    asked = chosen(grounding="grounding-gpt", has_words=False)
    assert asked.grounding.model.name == "grounding-gpt"
    assert "needs a GPU" in asked.warnings[0]


def test_what_can_not_be_loaded_is_done_without_unless_asked_for(
    place: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(ready: Any, machine: Machine) -> Any:
        raise Sonic4DError("bad_model", f"{ready.model.name} is damaged.", "Give another.")

    monkeypatch.setattr(choice, "load", broken)
    place("grounding-dino-tiny", "sam2-tiny")
    loaded = chosen().load()
    assert (loaded.model, loaded.track) == (None, None)
    assert (loaded.chosen.grounding, loaded.chosen.tracking) == (None, None)
    assert ["is damaged" in warning for warning in loaded.chosen.warnings] == [True, True]
    for options in ({"grounding": "grounding-dino"}, {"tracker": "sam2"}):
        with pytest.raises(Sonic4DError, match="is damaged"):
            chosen(**options).load()
