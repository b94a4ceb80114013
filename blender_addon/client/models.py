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


@dataclass(frozen=True)
class Expert:
    """A pretrained model. option: what the part `job` of generating calls it; empty for one that only helps another.
    cached: it is on this machine. why_not: why it can't be used here; empty if it can.
    """

    name: str
    job: str
    title: str
    option: str
    licence: str
    licence_urls: tuple[str, ...]
    commercial: bool
    size_bytes: int
    memory_gb: float
    needs_gpu: bool
    cached: bool
    why_not: str

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Expert:
        """Raises `KeyError` and `TypeError` for what is no entry of the list; what it says beyond this is left out."""
        fields = {name: entry[name] for name in cls.__dataclass_fields__}
        return cls(**{**fields, "licence_urls": tuple(entry["licence_urls"])})

    @property
    def size(self) -> str:
        large = self.size_bytes >= 1e9
        return f"{self.size_bytes / 1e9:.1f} GB" if large else f"{self.size_bytes / 1e6:.0f} MB"

    @property
    def about(self) -> str:
        """In a few sentences."""
        use = "also for commercial use" if self.commercial else "not for commercial use"
        lines = [
            f"{self.title}: {self.size}, needs {self.memory_gb:g} GB of memory",
            f"Licence: {self.licence}, {use}",
            *(["Without a GPU it takes hours"] if self.needs_gpu else []),
            "Downloaded" if self.cached else "Not downloaded yet",
            *([f"Can't be used here: {self.why_not}"] if self.why_not else []),
        ]
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
        return [Expert.from_json(entry) for entry in json.loads(done.stdout)]
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        raise Sonic4DError(
            "no_models",
            "The backend can't say which models there are.",
            "Reinstall the backend in the add-on's preferences.",
        ) from None
