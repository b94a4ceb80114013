"""Set up and run all tests: backend, experts, ground truth, browser, client, add-on and installed extension under every
Blender that can run here.

    python3 scripts/test.py [pytest arguments]

Two suites run at a time. Exit status 0 when every suite passed. A Blender that could not run is named in the summary.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import environments
from environments import ROOT

AT_ONCE = 2  # suites: most of their time goes to programs of one thread
NO_TESTS = 5  # pytest's exit status when the arguments select nothing in a suite


@dataclass(frozen=True)
class Suite:
    name: str
    folders: tuple[str, ...]
    python: Path | None
    missing: str = ""
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    broken: bool = False

    @property
    def text(self) -> str:
        counts = f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"
        return counts + (", the run broke off" if self.broken else "")


def say(message: str) -> None:
    print(message, flush=True)


def backends() -> tuple[Path, Path]:
    """The backend's Python and the experts', with all compiled that a render needs: else each suite would compile it."""
    backend, experts = environments.backend(say, "demo", "test"), environments.experts(say)
    environments.call([str(backend), "-I", "-m", "sonic4d", "doctor"])
    return backend, experts


def suites() -> list[Suite]:
    """Every suite, its environment made: the backend's and Blender's at the same time."""
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(backends)
        bpy = {version: environments.bpy(version, say) for version in environments.BLENDER_PYTHONS}
        browser = environments.browser(say)
        backend, experts = made.result()
    pythons = {"SONIC4D_BACKEND_PYTHON": str(backend), "SONIC4D_EXPERTS_PYTHON": str(experts)}
    blenders = [
        Suite(
            f"Blender {version}",
            ("tests/addon", "tests/package"),
            python,
            f"Python {environments.BLENDER_PYTHONS[version]} was not found",
            pythons,
        )
        for version, python in bpy.items()
    ]
    renderer = next((python for python in reversed(bpy.values()) if python), None)
    programs = zip(("SONIC4D_CHROMIUM", "SONIC4D_CHROMEDRIVER"), browser or (), strict=False)
    # In this order two at a time end at about the same moment.
    return [
        Suite("backend", ("tests/backend",), backend),
        *blenders,
        Suite("experts", ("tests/experts",), experts, environ=pythons),
        Suite(
            "ground truth",
            ("tests/ground_truth",),
            backend if renderer else None,
            "no Python with bpy was found",
            {"SONIC4D_BPY_PYTHON": str(renderer)},
        ),
        Suite("client", ("tests/client",), backend, environ=pythons),
        Suite(
            "browser",
            ("tests/browser",),
            backend if browser else None,
            "Chromium and its driver were not found",
            dict(programs),
        ),
    ]


def run(suite: Suite, arguments: list[str]) -> Result:
    """Says what pytest printed once it has ended: two suites' lines would mix."""
    with tempfile.TemporaryDirectory() as folder:
        report, printed = Path(folder) / "report.xml", Path(folder) / "printed.txt"
        command = [str(suite.python), "-m", "pytest", f"--junit-xml={report}", "-q", *arguments]
        environ = {
            **environments.child_environment(),
            **suite.environ,
            "HF_HUB_OFFLINE": "1",
        }
        with printed.open("wb") as output:
            status = subprocess.run(
                [*command, *suite.folders], cwd=ROOT, env=environ, stdout=output, stderr=output
            ).returncode
        say(f"\n== {suite.name}\n{printed.read_text(encoding='utf-8', errors='replace')}")
        if status == NO_TESTS:
            return Result()
        if not report.is_file():
            return Result(broken=True)
        counts = ElementTree.parse(report).getroot().find("testsuite")
    assert counts is not None
    number = {key: int(counts.get(key, "0")) for key in ("tests", "failures", "errors", "skipped")}
    failed = number["failures"] + number["errors"]
    passed = number["tests"] - failed - number["skipped"]
    return Result(passed, failed, number["skipped"], broken=status != 0 and failed == 0)


def main() -> int:
    os.chdir(ROOT)
    found = suites()
    say("Running the tests; what each suite prints follows when it has ended")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = {s.name: pool.submit(run, s, sys.argv[1:]) for s in found if s.python}
    results = {suite.name: running[suite.name].result() for suite in found if suite.python}
    say("\n== Summary")
    for suite in found:
        result = results.get(suite.name)
        say(f"{suite.name}: {result.text if result else f'NOT RUN: {suite.missing}'}")
    done = results.values()
    total = Result(*(sum(getattr(r, k) for r in done) for k in ("passed", "failed", "skipped")))
    say(f"{total.passed} passed, {total.failed} failed, {total.skipped} skipped")
    good = total.failed == 0 and total.passed > 0 and not any(result.broken for result in done)
    return 0 if good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except environments.SetupError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
