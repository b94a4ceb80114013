"""What Blender and the backend say to each other: JSON lines over pipes. Standard library only.

This file, `moves.py`, `files.py` and `materials.py` are the only ones that both sides import.

A message is one line of UTF-8 JSON: {"v": 1, "id": 7, ...}. `id` is the number that the client gave to a job; null where a
message belongs to none.

Commands, client to worker:
    {"command": "run", "job": {"kind": "render", ...}}   jobs run one after the other
    {"command": "cancel"}                                the job `id`, running or waiting
    {"command": "ping"}                                  answered by hello
    {"command": "quit"}                                  cancel what runs and end; so does the end of the input
Events, worker to client: see EVENTS. A job sends any number of progress, log and artifact events and then exactly one of
FINAL_EVENTS.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

PROTOCOL_VERSION = 1
MAX_LINE_BYTES = 1 << 20
KINDS = (
    "generate",
    "shot",
    "render",
    "decode",
    "preview",
    "enhance",
    "mux",
    "retrack",
    "make-set",
    "evaluate",
    "starss23",
    "listen",
    "download-model",
    "remove-model",
)
COMMANDS = ("run", "cancel", "ping", "quit")
EVENTS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "hello": {"sonic4d": str, "pid": int, "kinds": list},
    "progress": {"stage": str, "done": int, "total": int, "message": str},
    "log": {"level": str, "message": str},  # "info" or "warning"
    "artifact": {"kind": str, "path": str},  # a finished file or folder is in its place
    "done": {"results": list},  # absolute paths, the main one first
    "error": {"code": str, "message": str, "hint": str, "log_path": (str, type(None))},
    "cancelled": {},
}
FINAL_EVENTS = ("done", "error", "cancelled")
MAX_LOG_BYTES = 1 << 20


class Sonic4DError(Exception):
    """A failure told in the user's words: what happened (`message`) and what to do next (`hint`).

    `code` is a short stable identifier for programs ("no_audio", "bad_bundle", ...).
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.code = code
        self.message = message
        self.hint = hint


def encode(message: dict[str, Any], job_id: int | None) -> bytes:
    """One line. Raises `Sonic4DError` for a message that is too long or isn't JSON."""
    try:
        text = json.dumps({"v": PROTOCOL_VERSION, "id": job_id, **message}, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise Sonic4DError("bad_message", f"The message can't be sent: {error}.") from None
    line = text.encode() + b"\n"
    if len(line) > MAX_LINE_BYTES:
        raise Sonic4DError("bad_message", f"The message is longer than {MAX_LINE_BYTES} bytes.")
    return line


def decode_command(line: bytes) -> dict[str, Any]:
    """A validated command. Raises `Sonic4DError` ("bad_message", "protocol_mismatch")."""
    message = _decode(line)
    command = message.get("command")
    if command not in COMMANDS:
        raise _bad(f"unknown command {command!r} (known: {', '.join(COMMANDS)})")
    _check_fields(message, {"command": str, **({"job": dict} if command == "run" else {})})
    if command in ("run", "cancel") and message["id"] is None:
        raise _bad(f'"{command}" needs the id of a job')
    return message


def decode_event(line: bytes) -> dict[str, Any]:
    """A validated event. Raises `Sonic4DError` ("bad_message", "protocol_mismatch")."""
    message = _decode(line)
    event = message.get("event")
    if event not in EVENTS:
        raise _bad(f"unknown event {event!r}")
    _check_fields(message, {"event": str, **EVENTS[event]})
    return message


def _decode(line: bytes) -> dict[str, Any]:
    if len(line) > MAX_LINE_BYTES:
        raise _bad(f"a line is longer than {MAX_LINE_BYTES} bytes")
    try:
        message = json.loads(line)
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise _bad("a line is not JSON") from None
    if not isinstance(message, dict) or "v" not in message:
        raise _bad('a line is not an object with the key "v"')
    if message["v"] != PROTOCOL_VERSION:
        raise Sonic4DError(
            "protocol_mismatch",
            f"The add-on and its backend don't fit together: one speaks version {message['v']!r} of "
            f"their protocol, the other version {PROTOCOL_VERSION}.",
            "Reinstall the backend in the add-on's preferences.",
        )
    job_id = message.get("id")
    if isinstance(job_id, bool) or not isinstance(job_id, (int, type(None))):
        raise _bad('"id" is not a whole number or null')
    return message


def _check_fields(message: dict[str, Any], types: dict[str, type | tuple[type, ...]]) -> None:
    for key, expected in types.items():
        if key not in message:
            raise _bad(f'the key "{key}" is missing')
        if not isinstance(message[key], expected) or isinstance(message[key], bool):
            raise _bad(f'"{key}" is not of the expected type')
    for key in message:
        if key not in types and key not in ("v", "id"):
            raise _bad(f'unknown key "{key}"')


def _bad(problem: str) -> Sonic4DError:
    return Sonic4DError(
        "bad_message",
        f"Blender and the backend misunderstood each other: {problem}.",
        "Reinstall the backend in the add-on's preferences.",
    )


def user_folder(kind: str) -> Path:
    """The user's own folder for "state" (logs) or "cache", not created."""
    home = Path(os.path.expanduser("~"))
    if not home.is_absolute():
        home = Path(tempfile.gettempdir())
    xdg = os.environ.get(f"XDG_{kind.upper()}_HOME")
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
        return base / "sonic4d" / kind
    if xdg and Path(xdg).is_absolute():
        return Path(xdg) / "sonic4d"
    if sys.platform == "darwin":
        return home / "Library" / {"state": "Logs", "cache": "Caches"}[kind] / "sonic4d"
    return home / {"state": ".local/state", "cache": ".cache"}[kind] / "sonic4d"


def log_file(name: str) -> Path:
    """Where to append the log `name`: in the user's state folder, else among the temporary files.

    A log that has grown past MAX_LOG_BYTES starts again.
    """
    for folder in (user_folder("state"), Path(tempfile.gettempdir()) / "sonic4d"):
        path = folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                if file.tell() > MAX_LOG_BYTES:
                    file.truncate(0)
        except OSError:
            continue
        return path
    raise Sonic4DError(
        "no_log",
        f"No log can be written: neither {user_folder('state')} nor {folder} is writable.",
        "Make one of them writable.",
    )
