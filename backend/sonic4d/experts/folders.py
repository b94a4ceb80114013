"""Is a folder what a model needs? Looks at file names and headers only, never at weights, and needs no torch."""

from __future__ import annotations

import json
import struct
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from .. import checks
from ..protocol import Sonic4DError
from .model import Model, Part

PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
MAX_HEADER_BYTES = 100 << 20


def check_folder(model: Model, part: Part, folder: Path) -> None:
    """Raise the `Sonic4DError` that says why `folder` isn't this part of the model; see `model.Part`."""
    try:
        if not folder.is_dir():
            raise Sonic4DError(
                "missing_folder",
                f"There is no folder {folder}.",
                f"Give the folder of {model.name}, or run: sonic4d models download {model.name}",
            )
        for component, kind in part.components.items():
            _check_config(model, folder / component / "config.json", kind)
            _check_weights(model, folder / component)
        for name in part.needs:
            if not (folder / name).is_file():
                raise _unfit(model, folder, f"{name} is missing")
    except OSError as error:
        raise _unfit(model, folder, f"it can't be read ({error.strerror or error})") from None


def _check_config(model: Model, path: Path, kind: str) -> None:
    if not path.is_file():
        raise _unfit(model, path.parent, "it has no config.json")
    try:
        config = json.loads(path.read_bytes())
        found = config.get("model_type") or config.get("_class_name")
    except (ValueError, AttributeError):
        raise _unfit(model, path.parent, "its config.json is damaged") from None
    if not fnmatchcase(str(found), kind):
        raise _unfit(model, path.parent, f"it holds another kind of model ({str(found)[:60]})")


def _check_weights(model: Model, folder: Path) -> None:
    weights = sorted(folder.glob("*.safetensors"))
    wanted = set()
    for index in folder.glob("*.safetensors.index*.json"):
        try:
            names = set(json.loads(index.read_bytes())["weight_map"].values())
            wanted |= {checks.inside(folder, name, index.name) for name in names}
        except (ValueError, KeyError, AttributeError, TypeError):
            raise _unfit(model, folder, f"its {index.name} is damaged") from None
    missing = sorted(path.name for path in wanted if not path.is_file())
    if missing:
        raise _unfit(model, folder, f"{', '.join(missing[:3])} is missing")
    if not weights:
        pickles = sorted(p.name for p in folder.iterdir() if p.suffix.lower() in PICKLES)
        if pickles:
            raise Sonic4DError(
                "unsafe_weights",
                f"The weights in {folder} are a pickle ({pickles[0]}), which could run any code; "
                "only safetensors are loaded.",
                f"Run: sonic4d models download {model.name}",
            )
        raise _unfit(model, folder, "it has no weights (*.safetensors)")
    for path in weights:
        if not is_whole(path):
            raise _unfit(model, folder, f"{path.name} is damaged or incomplete")


def is_whole(path: Path) -> bool:
    """Whether a safetensors file's header can be read and the file is as long as the header says."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(size, MAX_HEADER_BYTES):
                return False
            header: dict[str, Any] = json.loads(file.read(length))
        ends = [entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"]
        return size == 8 + length + max(ends, default=0)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, struct.error):
        return False


def _unfit(model: Model, folder: Path, why: str) -> Sonic4DError:
    return Sonic4DError(
        "bad_model",
        f"{folder} can't be used as {model.name}: {why}.",
        f"Give another folder, or run: sonic4d models download {model.name}",
    )
