"""Everything explains itself, in sentence case, can be translated, has icons that exist, and takes no keys by itself."""

from __future__ import annotations

import ast
import importlib.util
import json
import string
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import bpy
import pytest
from sonic4d_extension.blender_addon import translations

ROOT = Path(__file__).resolve().parents[2]
ADDON = ROOT / "blender_addon"
PACKAGE = "sonic4d_extension.blender_addon"
BUILT_IN = {"rna_type", "name", "bl_idname"}
# Blender's own, of presets
INHERITED = {"name", "remove_name", "remove_active"}


def own(kind: type) -> list[type]:
    """The add-on's registered classes of a kind."""
    found, waiting = [], list(kind.__subclasses__())
    while waiting:
        cls = waiting.pop()
        waiting += cls.__subclasses__()
        if cls.__module__.startswith(PACKAGE) and cls.is_registered:
            found.append(cls)
    return found


def is_sentence_case(text: str) -> bool:
    """Capital first; other words small, but for abbreviations and names."""
    words = text.split()
    rest = [word.strip("().,:?") for word in words[1:]]
    names = {"Sonic4D", "Speaker", "Speakers", "WAV", "FLAC", "AmbiX", "Blender"}
    fine = all(w.islower() or w.isupper() or w in names or not w.isalpha() for w in rest)
    return (text[0].isupper() or not text[0].isalpha()) and fine


def test_operators_and_their_properties() -> None:
    operators = own(bpy.types.Operator)
    assert len(operators) >= 30
    for cls in operators:
        assert cls.bl_idname.startswith("sonic4d.")
        assert cls.bl_description, cls
        assert not cls.bl_description.endswith("."), cls
        assert is_sentence_case(cls.bl_label), cls.bl_label
        operator = getattr(bpy.ops.sonic4d, cls.bl_idname.partition(".")[2])
        for prop in operator.get_rna_type().properties:
            if prop.identifier in BUILT_IN | INHERITED or prop.is_hidden:
                continue
            assert prop.description, f"{cls.bl_idname}.{prop.identifier}"
            assert is_sentence_case(prop.name), f"{cls.bl_idname}.{prop.identifier}"
            for item in getattr(prop, "enum_items", ()):
                assert item.description, f"{cls.bl_idname}.{prop.identifier}: {item.identifier}"


def test_settings() -> None:
    groups = own(bpy.types.PropertyGroup)
    assert len(groups) >= 5
    for cls in groups:
        for prop in cls.bl_rna.properties:
            if prop.identifier in BUILT_IN:
                continue
            assert prop.description, f"{cls.__name__}.{prop.identifier}"
            assert is_sentence_case(prop.name), f"{cls.__name__}.{prop.identifier}"
            for item in getattr(prop, "enum_items", ()):
                assert item.description, f"{cls.__name__}.{prop.identifier}: {item.identifier}"


def test_panels_and_menus() -> None:
    shown = own(bpy.types.Panel) + own(bpy.types.Menu)
    assert len(shown) >= 12
    for cls in shown:
        assert is_sentence_case(cls.bl_label), cls


def calls() -> Iterator[tuple[Path, ast.Call]]:
    for path in ADDON.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield path, node


def choices(node: ast.expr) -> tuple[ast.expr, ...]:
    return (node.body, node.orelse) if isinstance(node, ast.IfExp) else ()


def test_icons_exist() -> None:
    known = set(bpy.types.UILayout.bl_rna.functions["label"].parameters["icon"].enum_items.keys())
    used = {
        constant.value
        for _, call in calls()
        for keyword in call.keywords
        if keyword.arg == "icon"
        for constant in (keyword.value, *choices(keyword.value))
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
    }
    assert len(used) > 15
    assert used <= known


def test_no_keys_are_taken() -> None:
    for configuration in bpy.context.window_manager.keyconfigs:
        for keymap in configuration.keymaps:
            assert not [i.idname for i in keymap.keymap_items if i.idname.startswith("sonic4d")]


@pytest.fixture
def messages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("messages", ROOT / "scripts" / "messages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_text_can_be_translated(messages: ModuleType) -> None:
    assert [p for path in ADDON.rglob("*.py") for p in messages.untranslatable(path)] == []
    texts = messages.all_texts()
    for cls in [*own(bpy.types.Operator), *own(bpy.types.Panel)]:
        assert cls.bl_label in texts
    assert "Confidence at this frame: {share:.0%}" in texts


def test_what_can_not_be_translated_is_seen(messages: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text(
        'layout.label(text=f"a {b}")\nlayout.label(text=f"{b}")\nself.report({1}, f"x{y}")'
    )
    assert list(messages.untranslatable(file)) == ["a.py:1", "a.py:3"]


@pytest.mark.parametrize(
    "file", sorted((ADDON / "translations").glob("*.json")), ids=lambda f: f.stem
)
def test_translations_fit(messages: ModuleType, file: Path) -> None:
    """Of all texts that there are and no others, with the same values in them."""

    def values(text: str) -> list[tuple[str, str]]:
        return sorted((n, f) for _, n, f, _ in string.Formatter().parse(text) if n is not None)

    translated = json.loads(file.read_text(encoding="utf-8"))
    assert set(translated) == set(messages.all_texts())
    for text, translation in translated.items():
        assert translation
        assert values(translation) == values(text)
    assert translations.messages()[file.stem]["*", "Render audio"]


def test_presets_have_names_that_are_translated(messages: ModuleType) -> None:
    """As Blender's preset menus put them together, which look them up."""
    shipped = [path.stem for path in (ADDON / "presets").rglob("*.py")]
    names = [bpy.path.display_name(stem, title_case=False) for stem in shipped]
    assert len(names) >= 10
    assert sorted(names) == sorted(messages.preset_names())
    assert [name for name in names if not is_sentence_case(name)] == []
    assert translations.messages()["de_DE"]["*", "Concert hall"] == "Konzertsaal"


def test_every_operator_is_in_the_manual() -> None:
    manual = (ROOT / "docs" / "scripting.md").read_text(encoding="utf-8")
    for cls in own(bpy.types.Operator):
        name = cls.bl_idname.partition(".")[2]
        [line] = [
            text for text in manual.splitlines() if text.startswith("|") and f"`{name}`" in text
        ]
        for prop in getattr(bpy.ops.sonic4d, name).get_rna_type().properties:
            if prop.identifier in BUILT_IN | INHERITED or prop.is_hidden:
                continue
            assert f"`{prop.identifier}`" in line, f"{name}: {prop.identifier}"
