"""Loading weights with stock classes: safetensors only, nothing from the network, no code from a model's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..protocol import Sonic4DError
from .machine import Machine
from .store import Ready


def load_transformers(
    kind: Any, ready: Ready, folder: Path, machine: Machine, dtype: Any = None
) -> Any:
    """A transformers model of class `kind` on the machine's device, for inference. Raises `Sonic4DError`."""
    options = {"dtype": dtype or machine.dtype, "variant": _variant(folder)}
    return _load(kind, ready, folder, **options).to(machine.device)


def load_diffusers(
    kind: Any, ready: Ready, folder: Path, machine: Machine, dtype: Any = None
) -> Any:
    """A diffusers model of class `kind`, left in the computer's memory, for inference. Raises `Sonic4DError`."""
    options = {"torch_dtype": dtype or machine.dtype, "variant": _variant(folder)}
    return _load(kind, ready, folder, **options)


def load_processor(kind: Any, ready: Ready, folder: Path) -> Any:
    """What stands beside the weights: `kind` is a tokenizer, a picture processor or a configuration. Raises `Sonic4DError`."""
    return _read(kind, ready, folder)


def _variant(folder: Path) -> str | None:
    """A folder may hold the half-precision variant alone."""
    names = [path.name for path in folder.glob("*.safetensors")]
    return "fp16" if names and all(".fp16." in name for name in names) else None


def _load(kind: Any, ready: Ready, folder: Path, **options: Any) -> Any:
    import diffusers
    import transformers

    for library in (diffusers, transformers):
        library.utils.logging.disable_progress_bar()  # ours is the only one on the user's terminal
    model, found = _read(
        kind, ready, folder, use_safetensors=True, output_loading_info=True, **options
    )
    # The libraries make up what is missing, with a warning that nobody sees.
    missing = sorted([*found["missing_keys"], *map(str, found.get("mismatched_keys", ()))])
    if missing:
        raise bad_model(ready, folder, f"{len(missing)} weights are missing, such as {missing[0]}")
    return model.eval().requires_grad_(False)


def _read(kind: Any, ready: Ready, folder: Path, **options: Any) -> Any:
    try:
        return kind.from_pretrained(str(folder), local_files_only=True, **options)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError) as error:
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else "no reason"
        raise bad_model(ready, folder, reason.rstrip(".")) from None


def bad_model(ready: Ready, folder: Path, why: str) -> Sonic4DError:
    """What to tell of a folder whose files don't do."""
    return Sonic4DError(
        "bad_model",
        f"{folder} can't be loaded as {ready.model.name}: {why}.",
        f"Give another folder, or run: sonic4d models download {ready.model.name}",
    )
