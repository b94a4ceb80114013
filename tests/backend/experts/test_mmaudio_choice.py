"""Which size of MMAudio is taken where none is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sonic4d.experts.machine import Machine
from sonic4d.experts.mmaudio.choice import choose_mmaudio
from sonic4d.experts.registry import find
from sonic4d.protocol import Sonic4DError

CPU, GPU = Machine("cpu", "", 16.0, 16.0), Machine("cuda", "", 12.0, 32.0)


@pytest.fixture
def folder(hollow: Callable, tmp_path: Path) -> Callable[[str], Path]:
    """folder(size) -> a local folder of this size, without weights."""

    def make(size: str) -> Path:
        for part in find(f"mmaudio-{size}").parts:
            hollow(part, tmp_path / size / part.name)
        return tmp_path / size

    return make


def name(size: str) -> str:
    return f"mmaudio-{size}"


@pytest.mark.parametrize(
    ("machine", "expected"), [(CPU, "small-44k"), (GPU, "large-44k-v2")], ids=["CPU", "GPU"]
)
def test_the_best_for_the_machine(
    folder: Callable, user_caches: Path, machine: Machine, expected: str
) -> None:
    given = {name(size): folder(size) for size in ("small-44k", "medium-44k", "large-44k-v2")}
    choice = choose_mmaudio("mmaudio", given, machine)
    assert choice.ready.model.name == name(expected)
    assert choice.reason.endswith("GPU." if machine.has_gpu else "CPU.")


def test_what_is_here_is_taken(folder: Callable, user_caches: Path) -> None:
    for size in ("medium-44k", "small-16k"):
        given = {name(size): folder(size)}
        for machine in (CPU, GPU):
            assert choose_mmaudio("mmaudio", given, machine).ready.model.name == name(size)


def test_a_folder_for_the_job_is_known_by_what_it_holds(
    folder: Callable, user_caches: Path
) -> None:
    choice = choose_mmaudio("mmaudio", {"audio": folder("medium-44k")}, GPU)
    assert choice.ready.model.name == "mmaudio-medium-44k"


@pytest.mark.parametrize(("machine", "expected"), [(CPU, "small-44k"), (GPU, "large-44k-v2")])
def test_none_is_here(user_caches: Path, machine: Machine, expected: str) -> None:
    with pytest.raises(Sonic4DError) as caught:
        choose_mmaudio("mmaudio", {}, machine)
    assert caught.value.code == "missing_model"
    assert caught.value.hint.endswith(f"models download {name(expected)}")
    assert "CC-BY-NC-4.0" in caught.value.message


def test_none_fits(folder: Callable, user_caches: Path) -> None:
    given = {name("large-44k"): folder("large-44k")}
    with pytest.raises(Sonic4DError, match="the computer has 2 GB") as caught:
        choose_mmaudio("mmaudio", given, Machine("cpu", "", 2.0, 2.0))
    assert caught.value.code == "not_enough_memory"
