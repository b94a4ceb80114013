"""The add-on's texts in other languages: LANGUAGE.json beside this file, {"English": "translation"}, as scripts/messages.py lists them.

Blender translates labels and tooltips by itself. A text that is put together goes through `tr` or `told`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bpy

CONTEXTS = ("*", "Operator")  # where Blender looks labels up


def tr(text: str, **values: Any) -> str:
    """A label of the user interface, translated, with values in the place of {names}."""
    return bpy.app.translations.pgettext_iface(text).format(**values)


def told(text: str, **values: Any) -> str:
    """The same for what an operator reports."""
    return bpy.app.translations.pgettext_rpt(text).format(**values)


def messages() -> dict[str, dict[tuple[str, str], str]]:
    """As Blender wants them: language -> (context, English) -> translation."""
    return {
        file.stem: {
            (context, text): translation
            for text, translation in json.loads(file.read_text(encoding="utf-8")).items()
            for context in CONTEXTS
        }
        for file in sorted(Path(__file__).parent.glob("*.json"))
    }


def register() -> None:
    bpy.app.translations.register(__name__, messages())


def unregister() -> None:
    bpy.app.translations.unregister(__name__)
