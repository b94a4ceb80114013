"""What `sonic4d models` tells of the models."""

from __future__ import annotations

from typing import Any

from . import store
from .machine import Machine, this_machine, why_not
from .model import Model, Part
from .registry import MODELS

UNKNOWN_COMMIT = "pinned by the download"


def entries() -> list[dict[str, Any]]:
    """One entry a model, ready for JSON."""
    machine = this_machine()
    return [_entry(model, machine) for model in MODELS.values()]


def _entry(model: Model, machine: Machine) -> dict[str, Any]:
    problem = why_not(model, machine)
    return {
        "name": model.name,
        "job": model.job,
        "title": model.title,
        "option": model.option,
        "commits": {part.repo: store.commit_of(part) for part in model.parts},
        "licence": model.licence_text,
        "licence_urls": [licence.url for licence in model.licences],
        "commercial": model.commercial,
        "size_bytes": model.size_bytes,
        "memory_gb": model.memory_gb,
        "needs_gpu": model.needs_gpu,
        "cached": store.is_cached(model),
        "fits": not problem,
        "why_not": problem,
    }


def table(rows: list[dict[str, Any]]) -> str:
    """The list as text."""
    head = ("name", "commit", "licence", "commercial", "size", "here", "fits this machine")
    lines = [head]
    for row in rows:
        commit = next(iter(row["commits"].values()))
        lines.append(
            (
                row["name"],
                commit[:12] if commit else "-",
                row["licence"],
                "yes" if row["commercial"] else "no",
                store.size_text(row["size_bytes"]),
                "yes" if row["cached"] else "no",
                "yes" if row["fits"] else f"no: {row['why_not']}",
            )
        )
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def description(model: Model) -> str:
    """All that is known of a model."""
    first, *others = _memory(model)
    lines = [
        f"{model.name}: {model.title}",
        f"memory          {first}",
        *(" " * 16 + line for line in others),
        f"commercial use  {'yes' if model.commercial else 'no'}",
        f"on this machine {'yes' if store.is_cached(model) else 'no'}",
    ]
    for part in model.parts:
        lines += ["", *_part_lines(part)]
    return "\n".join(lines)


def _memory(model: Model) -> list[str]:
    """A line for each way to run it."""
    if not model.presets:
        return [f"{model.memory_gb:g} GB" + (" of a GPU" if model.needs_gpu else "")]
    lines = []
    for preset in model.presets:
        gpu = f"GPU {preset.gpu_gb:4.1f} GB" if preset.gpu_gb else "no GPU"
        lines.append(f"{gpu:11}, computer {preset.computer_gb:4.1f} GB: {preset.title}")
    return lines


def _part_lines(part: Part) -> list[str]:
    lines = [
        f"from            https://huggingface.co/{part.repo}",
        f"commit          {store.commit_of(part) or UNKNOWN_COMMIT}",
        f"files           {', '.join(part.files)}",
        f"size            about {store.size_text(part.size_bytes)}",
        f"licence         {part.licence.id}: {part.licence.url}",
    ]
    lines += [f"sha256          {digest} {name}" for name, digest in part.sha256.items()]
    if part.checkpoint is not None:
        lines.append(
            f"converted       {part.checkpoint.file}, a pickle ({part.checkpoint.digest or 'no checksum is published'})"
        )
    return lines
