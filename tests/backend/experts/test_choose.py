"""Which model a job gets: what is asked for, what is here, what fits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sonic4d.experts import registry
from sonic4d.experts.choose import choose, load
from sonic4d.experts.machine import Machine, this_machine, why_not
from sonic4d.experts.model import Part
from sonic4d.experts.store import Ready
from sonic4d.protocol import Sonic4DError

Hollow = Callable[[Part, Path], None]
IntoCache = Callable[[Part, Callable[[Path], object]], Path]

LAPTOP = Machine("cpu", "4 cores", 16.0, 16.0)
GPU = Machine("cuda", "a GPU", 24.0, 64.0)
NO_TORCH = Machine("", "no torch", 16.0, 16.0)


def put(name: str, into_cache: IntoCache, hollow: Hollow) -> None:
    for part in registry.find(name).parts:
        into_cache(part, lambda place, part=part: hollow(part, place))


def test_nothing_here(user_caches: Path) -> None:
    choice = choose("depth", "auto", {}, LAPTOP)
    assert choice.ready is None
    assert choice.reason == "No depth model is on this machine."
    with pytest.raises(Sonic4DError) as caught:
        choose("depth", "depth-anything", {}, LAPTOP)
    assert caught.value.code == "missing_model"


def test_auto_takes_what_is_here_and_fits(into_cache: IntoCache, hollow: Hollow) -> None:
    put("depthcrafter", into_cache, hollow)
    assert choose("depth", "auto", {}, GPU).ready.model.name == "depthcrafter"
    choice = choose("depth", "auto", {}, LAPTOP)
    assert choice.ready is None
    assert "depthcrafter can't be used: it needs a GPU with 9 GB" in choice.reason
    put("depth-anything-v2-small", into_cache, hollow)
    for machine in (GPU, LAPTOP):
        choice = choose("depth", "auto", {}, machine)
        assert choice.ready.model.name == "depth-anything-v2-small"
        assert "first choice" in choice.reason
    choice = choose("depth", "auto", {}, NO_TORCH)
    assert choice.ready is None
    assert "sonic4d[experts]" in choice.reason


def test_what_is_asked_for_is_taken_with_a_warning(into_cache: IntoCache, hollow: Hollow) -> None:
    put("depthcrafter", into_cache, hollow)
    choice = choose("depth", "depthcrafter", {}, LAPTOP)
    assert choice.ready.model.name == "depthcrafter"
    assert "needs a GPU" in choice.warnings[0]
    with pytest.raises(Sonic4DError, match="not installed"):
        choose("depth", "depthcrafter", {}, NO_TORCH)


def test_folder_of_a_job(tmp_path: Path, user_caches: Path, hollow: Hollow) -> None:
    model = registry.find("depth-pro")
    hollow(model.parts[0], tmp_path)
    overrides = {"depth": tmp_path}
    assert choose("depth", "auto", overrides, LAPTOP).ready.model is model
    assert choose("depth", "depth-pro", overrides, LAPTOP).ready.folder == tmp_path
    with pytest.raises(Sonic4DError, match="another kind of model"):
        choose("depth", "depth-anything", overrides, LAPTOP)
    with pytest.raises(Sonic4DError) as caught:
        choose("depth", "auto", {"depth": tmp_path / "nothing"}, LAPTOP)
    assert caught.value.code == "missing_folder"


def test_fit() -> None:
    model = registry.find("mmaudio-large-44k-v2")
    assert why_not(model, GPU) == ""
    assert "the computer has 4 GB" in why_not(model, Machine("cpu", "", 4.0, 4.0))
    assert "the GPU has 3 GB" in why_not(model, Machine("cuda", "", 3.0, 64.0))
    assert "the computer has 2 GB" in why_not(model, Machine("cuda", "", 8.0, 2.0))
    assert this_machine().computer_memory_gb > 0.5


def test_what_does_not_fit_is_refused_before_it_is_loaded() -> None:
    """Nothing is loaded: there is no folder at all."""
    ready = Ready(registry.find("mmaudio-large-44k-v2"), {}, {})
    with pytest.raises(Sonic4DError, match=r"needs 5\.32 GB, the computer has 4 GB") as caught:
        load(ready, Machine("cpu", "", 4.0, 4.0))
    assert caught.value.code == "not_enough_memory"
    assert "models show mmaudio-large-44k-v2" in caught.value.hint
