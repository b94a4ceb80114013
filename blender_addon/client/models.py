"""What the backend knows of pretrained models: which there are, how large, under which licence, and whether they are here."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...backend.sonic4d.protocol import Sonic4DError
from .pythons import child_environment

_TIMEOUT_S = 120
_GB = 1e9


@dataclass(frozen=True)
class Expert:
    """A pretrained model. option: what the part `job` of generating calls it. time: how long it takes here, in words; empty
    where nobody knows. problem: why it can't be used here; empty if it can.
    """

    name: str
    job: str
    option: str
    title: str
    size_bytes: int
    licence: str
    licence_urls: tuple[str, ...]
    commercial: bool
    installed: bool
    memory_gb: float
    time: str
    problem: str

    @property
    def size(self) -> str:
        return f"{self.size_bytes / _GB:.1f} GB"

    @property
    def about(self) -> str:
        """In a few sentences."""
        lines = [f"{self.title}: {self.size}, needs {self.memory_gb:g} GB of memory"]
        use = "also for commercial use" if self.commercial else "not for commercial use"
        lines.append(f"Licence: {self.licence}, {use}")
        lines += [self.time] if self.time else []
        lines.append("Downloaded" if self.installed else "Not downloaded yet")
        lines += [self.problem] if self.problem else []
        return ".\n".join(lines)


def list_models(python: Path) -> list[Expert]:
    """Ask the backend. Takes seconds. Raises `Sonic4DError`."""
    command = [str(python), "-I", "-m", "sonic4d", "models", "list", "--json"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=child_environment(),
            timeout=_TIMEOUT_S,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        return [_expert(entry) for entry in json.loads(done.stdout)["models"]]
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        raise Sonic4DError(
            "no_models",
            "The backend can't say which models there are.",
            "Reinstall the backend in the add-on's preferences.",
        ) from None


def _expert(entry: dict[str, Any]) -> Expert:
    return Expert(**{name: entry[name] for name in Expert.__dataclass_fields__})
