"""The backend's installation from Blender, short of what needs a network."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import bpy
import pytest
import sound
from sonic4d_extension.backend.sonic4d.protocol import Sonic4DError
from sonic4d_extension.blender_addon import backend, tasks
from sonic4d_extension.blender_addon.client import environment
from sonic4d_extension.blender_addon.operators import install_backend


@pytest.fixture
def managed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the managed environment, in a user's profile of its own; no other backend is named."""
    monkeypatch.setenv("BLENDER_USER_DATAFILES", str(tmp_path))
    monkeypatch.delenv(sound.OVERRIDE)
    return tmp_path / "sonic4d" / "backend"


def test_nothing_is_fetched_while_blender_is_offline(managed: Path) -> None:
    assert not bpy.app.online_access
    with pytest.raises(RuntimeError, match="may not use the network.*Allow online access"):
        bpy.ops.sonic4d.install_backend()
    assert not managed.exists()


def test_the_environment_is_made_in_a_thread_and_can_be_stopped(
    managed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def create(
        _folder: Path,
        _source: Path,
        _python: Path | None,
        wheels: Path,
        report: Callable[[str], None],
        should_stop: Callable[[], bool],
        extras: set[str],
    ) -> Path:
        assert wheels == tmp_path
        assert extras == {"experts"}
        report("Working")
        while not should_stop():
            time.sleep(0.01)
        raise Sonic4DError("cancelled", "The installation was cancelled.")

    monkeypatch.setattr(environment, "create_environment", create)
    monkeypatch.setattr(backend, "chosen_path", {"wheels": tmp_path}.get)
    activity = tasks.Activity()
    steps = install_backend.install(activity, ["experts"])
    while activity.message != "Working":
        next(steps)
    activity.cancelled = True
    with pytest.raises(Sonic4DError, match="cancelled"):
        tasks.wait(steps)


def test_remove_takes_the_environment_away(managed: Path) -> None:
    (managed / "abcd1234").mkdir(parents=True)
    assert bpy.ops.sonic4d.remove_backend() == {"FINISHED"}
    assert not managed.exists()


def test_a_missing_backend_is_found_missing(managed: Path) -> None:
    with pytest.raises(RuntimeError, match="not installed yet"):
        bpy.ops.sonic4d.check_backend()
    assert "not installed yet" in install_backend.found.problem


def test_the_doctors_report_is_kept_for_the_preferences() -> None:
    assert bpy.ops.sonic4d.check_backend() == {"FINISHED"}
    assert install_backend.found.problem == ""
    assert install_backend.found.report["problems"] == []
