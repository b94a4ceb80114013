"""The add-on under test, in a fresh file. Runs in any Python that has bpy."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import bpy
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import make_bundle
from extension import EXTENSION


@pytest.fixture(autouse=True)
def addon() -> Iterator[ModuleType]:
    """The registered add-on; bpy 4.5 hangs at its exit if a handler is left behind, so it always goes again."""
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    EXTENSION.register()
    yield EXTENSION
    EXTENSION.unregister()
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    make_bundle.write_video(path, len(make_bundle.COUNTS))
    return path


@pytest.fixture
def bundle(tmp_path: Path, video: Path) -> Path:
    """A scene bundle; its folder name asks for careful paths."""
    return make_bundle.write_bundle(tmp_path / "my {scene} 1.sonic4d", video)


@pytest.fixture
def root(bundle: Path) -> bpy.types.Object:
    """The empty of an imported bundle."""
    assert bpy.ops.sonic4d.import_bundle(filepath=str(bundle)) == {"FINISHED"}
    return bpy.context.scene.sonic4d.bundle
