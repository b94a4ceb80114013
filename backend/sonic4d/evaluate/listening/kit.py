"""A listening test as a folder with a page that works in any browser, offline and without a server."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from ... import checks
from ...files import new_folder
from ...protocol import Sonic4DError
from ...shot import read_json

VIEWPOINTS = ("static", "dynamic")
MAX_CASES = 1000
_PAGE = ("page.css", "page.js")


@dataclass(frozen=True)
class Case:
    """One pair of videos with the same pictures: `spatial` with the sound under test, `mono` with the same sound unplaced."""

    name: str
    viewpoint: str
    spatial: Path
    mono: Path


def read_cases(path: Path) -> tuple[str, list[Case]]:
    """Title and cases of a JSON file {"title": ..., "cases": [{"name", "viewpoint", "spatial", "mono"}]}; paths are relative to it.

    Raises `Sonic4DError` naming the key or the file that is missing.
    """
    data = checks.fields(read_json(path, "a listening test"), path.name, ("title", "cases"))
    cases = data["cases"]
    if not isinstance(cases, list) or not 1 <= len(cases) <= MAX_CASES:
        raise checks.fail("cases", f"a list of 1 to {MAX_CASES} cases is expected")
    found = [_case(case, path.parent, f"cases[{i}]") for i, case in enumerate(cases)]
    if len({case.name for case in found}) < len(found):
        raise checks.fail("cases", "each name may occur only once")
    return checks.text(data["title"], "title"), found


def make_kit(cases_file: Path, output: Path) -> Path:
    """Write the test into a new folder; returns its page. The videos are named by number, so that names tell nothing."""
    title, cases = read_cases(cases_file)
    with new_folder(output) as folder:
        media = folder / "media"
        media.mkdir()
        entries = []
        for number, case in enumerate(cases, 1):
            names = {}
            for index, kind in enumerate(("spatial", "mono")):
                source: Path = getattr(case, kind)
                names[kind] = f"media/{2 * number - index:03}{source.suffix.lower()}"
                shutil.copyfile(source, folder / names[kind])
            entries.append({"name": case.name, "viewpoint": case.viewpoint, **names})
        # As a script: a page opened from a file may not load JSON. No "</script>" can end it early: it is a file of its own.
        test = json.dumps({"title": title, "cases": entries})
        (folder / "cases.js").write_text(f"const TEST = {test};\n", encoding="utf-8")
        package = resources.files(__package__)
        for name in _PAGE:
            (folder / name).write_bytes((package / name).read_bytes())
        (folder / "index.html").write_bytes((package / "page.html").read_bytes())
    return output / "index.html"


def _case(data: Any, folder: Path, where: str) -> Case:
    data = checks.fields(data, where, ("name", "viewpoint", "spatial", "mono"))
    paths = [folder / checks.text(data[key], f"{where}.{key}") for key in ("spatial", "mono")]
    for path in paths:
        if not path.is_file():
            raise Sonic4DError("missing_file", f"There is no file {path}.", f"Correct {where}.")
    return Case(
        checks.text(data["name"], f"{where}.name"),
        checks.text(data["viewpoint"], f"{where}.viewpoint", VIEWPOINTS),
        *paths,
    )
