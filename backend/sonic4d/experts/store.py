"""Where models lie on this machine: a folder that was given, else the hub's cache at the pinned commit."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..files import write_json
from ..protocol import Sonic4DError, user_folder
from .folders import check_folder
from .model import Model, Part
from .registry import MODELS, find

FULL_COMMIT = re.compile("[0-9a-f]{40}")


@dataclass(frozen=True)
class Ready:
    """A model that can be loaded: the folder and the commit ("" for a folder that was given) of each part."""

    model: Model
    folders: Mapping[str, Path]
    commits: Mapping[str, str]

    @property
    def folder(self) -> Path:
        """The folder of a model of one part."""
        (folder,) = self.folders.values()
        return folder

    @property
    def commit(self) -> str:
        """For the bundle's provenance."""
        commits = [f"{n} {c}".strip() for n, c in self.commits.items() if c]
        return ", ".join(commits) or f"folder {', '.join(str(p) for p in self.folders.values())}"


def parse_overrides(texts: Iterable[str]) -> dict[str, Path]:
    """ "NAME=PATH" -> {name: path}; NAME is a model or a job. Raises `Sonic4DError`."""
    overrides = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not (name and equals and path):
            raise Sonic4DError(
                "bad_option", f'model: "NAME=PATH" is expected, not "{text}".', "e.g. depth=folder"
            )
        if name not in MODELS and all(name != model.job for model in MODELS.values()):
            raise Sonic4DError(
                "bad_option",
                f'model: "{name}" is neither a model nor a job.',
                f"Known models: {', '.join(MODELS)}.",
            )
        overrides[name] = Path(path)
    return overrides


def locate(name: str, overrides: Mapping[str, Path] | None = None) -> Ready:
    """The model `name`, ready to be loaded. Never online.

    overrides: model -> a local folder to take instead (of a model of several parts: with a subfolder for each, named as
    in the registry). Raises `Sonic4DError`: "missing_model" tells size, licence and the command that downloads it,
    "bad_model" and "unsafe_weights" what is wrong with a folder.
    """
    model = find(name)
    given = (overrides or {}).get(name)
    folders, commits = {}, {}
    for part in model.parts:
        place = (given / part.name, "") if given is not None else _cached(part)
        if place is None:
            raise missing(model)
        folder, commit = place
        check_folder(model, part, folder)
        folders[part.name], commits[part.name] = folder, commit
    return Ready(model, folders, commits)


def is_cached(model: Model) -> bool:
    try:
        locate(model.name)
    except Sonic4DError:
        return False
    return True


def is_whole(model: Model, part: Part) -> bool:
    """Whether a part of a model is in the caches, undamaged."""
    place = _cached(part)
    try:
        if place is not None:
            check_folder(model, part, place[0])
    except Sonic4DError:
        return False
    return place is not None


def missing(model: Model) -> Sonic4DError:
    """What to tell who wants a model that isn't here."""
    use = "" if model.commercial else ", not for commercial use"
    return Sonic4DError(
        "missing_model",
        f"The model {model.name} is not on this machine; it is about {size_text(model.size_bytes)} under the licence "
        f"{model.licence_text}{use}.",
        f"To download it, run: sonic4d models download {model.name}",
    )


def size_text(size_bytes: float) -> str:
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"


def commit_of(part: Part) -> str | None:
    """The full commit: the registry's, else the one that the download found and pinned; None before that."""
    if part.commit is not None:
        return part.commit
    try:
        commit = json.loads(_pins().read_bytes())[part.repo]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return commit if isinstance(commit, str) and FULL_COMMIT.fullmatch(commit) else None


def pin(repo: str, commit: str) -> None:
    """Remember which commit of a repository was downloaded."""
    try:
        pins = json.loads(_pins().read_bytes())
    except (OSError, ValueError):
        pins = {}
    models_folder().mkdir(parents=True, exist_ok=True)
    write_json(_pins(), {**pins, repo: commit})


def converted_folder(part: Part, commit: str) -> Path:
    """Where the safetensors made from a part's pickle lie."""
    assert part.checkpoint is not None
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", part.checkpoint.file)
    return models_folder() / part.repo.replace("/", "--") / commit / stem


def models_folder() -> Path:
    return user_folder("cache") / "models"


def remove(model: Model) -> list[Path]:
    """Delete the model from the caches, except for what another model here needs too; returns the folders deleted."""
    others = [other for other in MODELS.values() if other != model and is_cached(other)]
    kept = [part for other in others for part in other.parts]
    deleted = []
    for part in model.parts:
        folder = hub_cache() / f"models--{part.repo.replace('/', '--')}"
        if part.checkpoint is not None:
            folder = converted_folder(part, commit_of(part) or "unknown")
        if part not in kept and folder.is_dir():
            shutil.rmtree(folder)
            deleted.append(folder)
    return deleted


def hub_cache() -> Path:
    """The hub's cache, where the user's environment says (HF_HUB_CACHE, HF_HOME), read at every call."""
    if os.environ.get("HF_HUB_CACHE"):
        return Path(os.environ["HF_HUB_CACHE"]).expanduser()
    home = os.environ.get("HF_HOME") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface"
    )
    return Path(home).expanduser() / "hub"


def _pins() -> Path:
    return models_folder() / "commits.json"


def _cached(part: Part) -> tuple[Path, str] | None:
    """Folder and commit of a part in the caches; None if it isn't there."""
    commit = commit_of(part)
    if commit is None:
        return None
    folder = snapshot(part, commit) if part.checkpoint is None else converted_folder(part, commit)
    return (folder, commit) if folder is not None and folder.is_dir() else None


def snapshot(part: Part, commit: str) -> Path | None:
    """What the hub's cache holds of a repository at a commit."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = snapshot_download(
            part.repo,
            revision=commit,
            cache_dir=hub_cache(),
            allow_patterns=list(part.files),
            local_files_only=True,
        )
    except LocalEntryNotFoundError:
        return None
    return Path(folder)
