"""What Blender and the backend say to each other: JSON lines over pipes. Standard library only.

This file and `moves.py` are the only ones that both sides import.
"""

from __future__ import annotations

PROTOCOL_VERSION = 1


class Sonic4DError(Exception):
    """A failure told in the user's words: what happened (`message`) and what to do next (`hint`).

    `code` is a short stable identifier for programs ("no_audio", "bad_bundle", ...).
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.code = code
        self.message = message
        self.hint = hint
