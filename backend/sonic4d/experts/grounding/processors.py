"""Loading what stands beside a model's weights: tokenizers and picture processors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...protocol import Sonic4DError
from ..store import Ready


def load_processor(kind: Any, ready: Ready, folder: Path) -> Any:
    """`kind`, a tokenizer or processor class of transformers, from a model's folder. Raises `Sonic4DError`."""
    try:
        return kind.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        lines = str(error).strip().splitlines() or ["it can't be read"]
        raise bad_model(ready, folder, lines[0][:200].rstrip(".")) from None


def bad_model(ready: Ready, folder: Path, why: str) -> Sonic4DError:
    return Sonic4DError(
        "bad_model",
        f"{folder} can't be used as {ready.model.name}: {why}.",
        f"Give another folder, or run: sonic4d models download {ready.model.name}",
    )
