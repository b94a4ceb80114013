"""MMAudio with tiny random weights."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A local folder of a tiny MMAudio, as `--model audio=FOLDER` takes it."""
    import tiny_mmaudio

    gc.freeze()  # the libraries' many objects: else looking through them takes most of a tiny model's time
    return tiny_mmaudio.make_folder(tmp_path_factory.mktemp("mmaudio"))


@pytest.fixture(autouse=True)
def _own_cache(user_caches: Path) -> None:
    """What the encoders saw is remembered for one test only."""
