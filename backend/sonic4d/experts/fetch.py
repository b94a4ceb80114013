"""The only part of Sonic4D that uses the network, a process of its own: python -m sonic4d.experts.fetch

Reads an order as JSON from standard input, writes one answer as JSON to standard output. Killed, it goes on the next time where
it was. An order: {"repo", "commit" (null: the newest), "files" (patterns), "cache" (the hub's), "folder" (where files go
instead; null: into the cache), "plan" (only tell)}. The answer: {"commit", "bytes" (left to download)} or {"error", "message"}.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PARTIAL = ".partial"
SHA256 = re.compile("[0-9a-f]{64}")


def main() -> None:
    order = json.load(sys.stdin)
    print(json.dumps(_answer(order)), flush=True)


def _answer(order: dict[str, Any]) -> dict[str, Any]:
    from huggingface_hub import errors

    # Which HTTP library the hub's uses changes with its version; its own error is derived from that one's.
    http_error = errors.HfHubHTTPError.__bases__[0]
    try:
        return _fetch(order)
    except errors.GatedRepoError:
        return {
            "error": "gated",
            "message": "it is given to registered users who accepted its terms",
        }
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        return {"error": "not_found", "message": f"it isn't there ({_first_line(error)})"}
    except (http_error, OSError) as error:
        return {"error": "no_network", "message": _first_line(error)}
    except Exception as error:  # whatever the hub's library raises
        return {"error": "failed", "message": _first_line(error)}


def _fetch(order: dict[str, Any]) -> dict[str, Any]:
    from huggingface_hub import HfApi, snapshot_download

    repo, folder = order["repo"], order["folder"]
    commit = order["commit"] or HfApi().model_info(repo).sha
    options = {
        "repo_id": repo,
        "revision": commit,
        "allow_patterns": order["files"],
        "cache_dir": order["cache"],
    }
    plan = snapshot_download(**options, dry_run=True)
    if not plan:
        return {"error": "not_found", "message": "it doesn't have the files that are needed"}
    if folder is None:
        wanted = [file for file in plan if file.will_download]
    else:
        wanted = [file for file in plan if not (Path(folder) / file.filename).is_file()]
    if not order["plan"]:
        blobs = Path(order["cache"]) / f"models--{repo.replace('/', '--')}" / "blobs"
        for file in wanted:
            _download(repo, commit, file.filename, blobs, Path(folder) if folder else None)
        if folder is None:
            snapshot_download(**options)  # finds all files there, and links to them
    return {"commit": commit, "bytes": sum(file.file_size for file in wanted)}


def _download(repo: str, commit: str, name: str, blobs: Path, folder: Path | None) -> None:
    """One file, to where the cache keeps it or into `folder`. The hub's own library begins anew when it was interrupted."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    url = hf_hub_url(repo, name, revision=commit)
    about = get_hf_file_metadata(url)
    target = blobs / str(about.etag) if folder is None else folder / name
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + PARTIAL)
    # The user's token is for the hub alone, not for where it sends us.
    same_host = urlsplit(about.location).netloc == urlsplit(url).netloc
    with partial.open("ab") as file:
        http_get(
            about.location,
            file,
            resume_size=file.tell(),
            headers=build_hf_headers() if same_host else {},
            expected_size=about.size,
        )
    if SHA256.fullmatch(str(about.etag)):  # of large files
        with partial.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != about.etag:
                partial.unlink()
                raise ValueError(f"{name} arrived damaged")
    partial.replace(target)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]


if __name__ == "__main__":
    main()
