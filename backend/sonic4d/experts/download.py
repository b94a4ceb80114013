"""Downloading a model, when the user asks for it: licence, room on the disk, files, checksums, conversion of pickles."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from ..files import new_folder
from ..monitor import Monitor
from ..protocol import Sonic4DError
from . import USER_IS_OFFLINE, store
from .folders import check_folder, is_whole
from .machine import has_torch
from .model import Checkpoint, Model, Part

POLL_S = 0.1
SPARE_BYTES = 1 << 30  # left on the disk
CHUNK_BYTES = 1 << 22


def download(model: Model, accept_licence: bool, monitor: Monitor) -> Path:
    """Bring all parts of a model into the caches; returns the folder of the first.

    Goes on where an earlier download broke off. Raises `Sonic4DError`, `Cancelled`.
    """
    parts = [part for part in model.parts if not store.is_whole(model, part)]
    if parts and not accept_licence:
        raise licence_not_accepted(model)
    if parts and USER_IS_OFFLINE:
        raise Sonic4DError(
            "offline",
            "HF_HUB_OFFLINE is set, so nothing is downloaded.",
            f"Unset it, or give a folder: --model {model.name}=PATH.",
        )
    if any(part.checkpoint for part in parts) and not has_torch():
        raise Sonic4DError(
            "no_torch",
            f"{model.name} has to be converted after the download, which needs torch.",
            "Run: pip install 'sonic4d[experts]'",
        )
    for part in parts:
        _delete_damaged(part)
    plans = [_fetch(model, part, monitor) for part in parts]
    _check_disk(model, plans, parts)
    total = sum(plan["bytes"] for plan in plans)
    done = 0
    for part, plan in zip(parts, plans, strict=True):
        _get(model, part, plan, done, total, monitor)
        done += plan["bytes"]
    return next(iter(store.locate(model.name).folders.values()))


def licence_not_accepted(model: Model) -> Sonic4DError:
    terms = "; ".join(f"{licence.id}: {licence.url}" for licence in model.licences)
    use = "" if model.commercial else " It does not allow commercial use."
    return Sonic4DError(
        "licence_not_accepted",
        f"{model.name} is under the licence {terms}.{use}",
        f"If you accept it, run: sonic4d models download {model.name} --accept-licence",
    )


def _check_disk(model: Model, plans: list[dict[str, Any]], parts: list[Part]) -> None:
    needed = sum(
        plan["bytes"] * (2 if part.checkpoint else 1)  # converted, it is there twice for a while
        for plan, part in zip(plans, parts, strict=True)
    )
    for folder in (store.hub_cache(), store.models_folder()):
        place = folder
        while not place.exists():
            place = place.parent
        free = shutil.disk_usage(place).free
        if needed and free < needed + SPARE_BYTES:
            raise Sonic4DError(
                "disk_full",
                f"{model.name} needs {store.size_text(needed)}, but only {store.size_text(free)} are free at {place}.",
                "Make room, or set HF_HOME to a folder on a larger disk.",
            )


def _delete_damaged(part: Part) -> None:
    """The hub's cache takes a file of the right name for the right one."""
    commit = store.commit_of(part)
    folder = store.snapshot(part, commit) if commit and part.checkpoint is None else None
    for path in folder.rglob("*.safetensors") if folder else ():
        if not is_whole(path):
            _delete(path)


def _delete(path: Path) -> None:
    path.resolve().unlink()  # the file itself, not the cache's link to it
    path.unlink(missing_ok=True)


def _get(
    model: Model, part: Part, plan: dict[str, Any], before: int, total: int, monitor: Monitor
) -> None:
    commit = plan["commit"]
    _fetch(model, part, monitor, commit, before, max(total, 1))
    if part.checkpoint is None:
        folder = store.snapshot(part, commit)
        assert folder is not None
    else:
        folder = _raw_folder(part)
    for name, digest in part.sha256.items():
        _check_digest(model, folder / name, f"sha256:{digest}", monitor)
    if part.checkpoint is not None:
        _convert(model, part, part.checkpoint, folder, commit, monitor)
        shutil.rmtree(folder)
    if part.commit is None:
        store.pin(part.repo, commit)


def _raw_folder(part: Part) -> Path:
    """Where a pickle lies until it is converted."""
    assert part.checkpoint is not None
    return store.converted_folder(part, "download")


def _convert(
    model: Model,
    part: Part,
    checkpoint: Checkpoint,
    source: Path,
    commit: str,
    monitor: Monitor,
) -> None:
    files = [path for path in sorted(source.rglob("*")) if path.is_file()]
    names = {path.relative_to(source).as_posix(): path for path in files}
    checkpoints = [names[name] for name in fnmatch.filter(names, checkpoint.file)]
    if checkpoint.digest is not None:
        for path in checkpoints:
            _check_digest(model, path, checkpoint.digest, monitor)
    module, _, function = checkpoint.convert.partition(":")
    convert = getattr(import_module(f".{module}", __package__), function)
    target = store.converted_folder(part, commit)
    if target.exists():
        shutil.rmtree(target)  # of an earlier version, or damaged: else there was nothing to do
    monitor.progress("converting", 0, 1, model.name)
    try:
        with new_folder(target) as folder:
            convert(_states(checkpoints, monitor), source, folder)
    except (KeyError, RuntimeError, ValueError, AttributeError, EOFError) as error:
        raise Sonic4DError(
            "bad_model",
            f"The download of {model.name} can't be converted: {str(error)[:200].rstrip('.')}.",
            "The authors may have changed it; please report this.",
        ) from None
    check_folder(model, part, target)
    monitor.progress("converting", 1, 1, model.name)


def _states(checkpoints: list[Path], monitor: Monitor) -> Iterator[dict[str, Any]]:
    """The state dicts; nothing that the files ask for is run, only tables of weights are read."""
    import torch

    for path in checkpoints:
        monitor.check()
        try:
            yield torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # UnpicklingError, whose module is not imported here, and others
            what = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ValueError(f"{path.name} is not a plain table of weights ({what})") from None


def _check_digest(model: Model, path: Path, expected: str, monitor: Monitor) -> None:
    kind, _, digest = expected.partition(":")
    found = hashlib.new(kind, usedforsecurity=False)
    size = path.stat().st_size
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            found.update(chunk)
            monitor.progress("checking", file.tell(), size, path.name)
    if found.hexdigest() != digest:
        _delete(path)
        raise Sonic4DError(
            "bad_checksum",
            f"{path.name} of {model.name} is not the file that it should be.",
            "It was deleted. Download it again; if that doesn't help, please report it.",
        )


def _fetch(
    model: Model,
    part: Part,
    monitor: Monitor,
    commit: str | None = None,
    before: int = 0,
    total: int = 1,
) -> dict[str, Any]:
    """Run `fetch` and watch it: for a plan, or at a `commit` for the download. Raises `Sonic4DError`, `Cancelled`.

    before, total: bytes that were downloaded already, and in all.
    """
    plan = commit is None
    commit = commit or store.commit_of(part)
    growing = store.hub_cache() / f"models--{part.repo.replace('/', '--')}"
    order: dict[str, Any] = {"repo": part.repo, "commit": commit, "plan": plan, "folder": None}
    order |= {"files": list(part.files), "cache": str(store.hub_cache())}
    if part.checkpoint is not None:
        growing = _raw_folder(part)
        order["folder"] = str(growing)
    environment = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    environment["HF_HUB_DISABLE_XET"] = "1"  # plain files, which resume
    size_before = _size(growing)
    with subprocess.Popen(
        [sys.executable, "-I", "-m", f"{__package__}.fetch"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    ) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(order).encode())
            process.stdin.close()
            while process.poll() is None:
                if plan:
                    monitor.progress("download", 0, 1, f"looking up {part.repo}")
                else:
                    got = min(before + _size(growing) - size_before, total)
                    monitor.progress("download", max(got, 0), total, part.repo)
                time.sleep(POLL_S)
            answer = process.stdout.read()
        except BaseException:
            process.kill()
            raise
    try:
        result = json.loads(answer)
    except ValueError:
        result = {"error": "failed", "message": "the download broke off"}
    if "error" in result:
        raise _failed(model, part, result)
    return result


def _size(folder: Path) -> int:
    """Bytes on the disk, links not followed: the cache names every file twice."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_size
            except OSError:
                continue  # renamed meanwhile
    return total


def _failed(model: Model, part: Part, result: dict[str, Any]) -> Sonic4DError:
    page = f"https://huggingface.co/{part.repo}"
    hints = {
        "gated": f"Accept them at {page}, and set HF_TOKEN to a token of yours.",
        "not_found": f"Look at {page}; please report this.",
    }
    return Sonic4DError(
        result["error"],
        f"{model.name} can't be downloaded from {page}: {str(result['message']).rstrip('.')}.",
        hints.get(
            result["error"],
            "Check the network and run the command again; it goes on where it broke off.",
        ),
    )
