"""List every text of the add-on that can be translated, as JSON to fill in: {"English": "translation"}.

    python3 scripts/messages.py [blender_addon/translations/LANGUAGE.json]      keeps what is translated there already

LANGUAGE is Blender's name of it, such as de_DE. Exit status 1 where a text is put together so that it can't be translated.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path

ADDON = Path(__file__).resolve().parent.parent / "blender_addon"
IN_CLASSES = ("bl_label", "bl_description")
IN_CALLS = ("name", "description", "text", "title", "message", "confirm_text")
FIRST_ARGUMENT = ("tr", "told", "poll_message_set")
TAKES_TEXT = (
    "label",
    "operator",
    "prop",
    "menu",
    "progress",
    "heading",
    "draw_task",
    "model_folder",
)


def texts(path: Path) -> Iterator[str]:
    """The texts of a file that Blender, `tr` or `told` translate."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ClassDef):
            for statement in node.body:
                if isinstance(statement, ast.Assign) and _name(statement.targets[0]) in IN_CLASSES:
                    yield from _literals(statement.value)
        elif isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg in IN_CALLS and _takes_text(node):
                    yield from _literals(keyword.value)
            if _name(node.func) in FIRST_ARGUMENT and node.args:
                yield from _literals(node.args[0])
            if _name(node.func) == "report" and len(node.args) == 2:
                yield from _literals(node.args[1])
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
            for item in node.value.elts:  # choices: (identifier, label, description)
                if isinstance(item, ast.Tuple) and len(item.elts) >= 3:
                    for part in item.elts[1:3]:
                        yield from _literals(part)


def untranslatable(path: Path) -> Iterator[str]:
    """Places where words are put together before they are translated."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        shown = [k.value for k in node.keywords if k.arg in ("text", "title", "message")]
        shown = shown if _takes_text(node) else []
        if _name(node.func) == "report" and len(node.args) == 2:
            shown.append(node.args[1])
        if _name(node.func) in FIRST_ARGUMENT and node.args:
            shown.append(node.args[0])
        for value in shown:
            if isinstance(value, ast.JoinedStr) and any(_has_words(part) for part in value.values):
                yield f"{path.name}:{value.lineno}"


def _takes_text(node: ast.Call) -> bool:
    name = _name(node.func)
    return name in TAKES_TEXT or name.endswith("Property") or name.startswith("invoke_")


def _literals(node: ast.expr) -> Iterator[str]:
    """A text, or both of a conditional expression."""
    if isinstance(node, ast.IfExp):
        yield from _literals(node.body)
        yield from _literals(node.orelse)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _has_words(node):
        yield node.value


def _has_words(node: ast.expr) -> bool:
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return is_text and any(letter.isalpha() for letter in node.value)


def _name(node: ast.expr) -> str:
    return getattr(node, "id", "") or getattr(node, "attr", "")


def preset_names() -> list[str]:
    """The presets that come with the add-on, as Blender's menus call their files."""
    return [path.stem.replace("_", " ") for path in (ADDON / "presets").rglob("*.py")]


def all_texts() -> list[str]:
    """Sorted."""
    found = {text for path in ADDON.rglob("*.py") for text in texts(path)}
    return sorted(found.union(preset_names()))


def main() -> int:
    problems = [place for path in sorted(ADDON.rglob("*.py")) for place in untranslatable(path)]
    if problems:
        print("Put together before it is translated:", *problems, sep="\n", file=sys.stderr)
        return 1
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    known = json.loads(target.read_text(encoding="utf-8")) if target and target.is_file() else {}
    content = json.dumps({text: known.get(text, "") for text in all_texts()}, indent=1)
    if target:
        target.write_text(content + "\n", encoding="utf-8")
    else:
        print(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
