"""How fast is it, how true, and what does it cost as things grow? Measured beside the best known alternatives.

    python3 scripts/benchmark.py [section ...] [--output FOLDER]

Without a section: all of them. With --output the results are also written there: benchmarks.md, .json and .png.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path

import environments

if not all(importlib.util.find_spec(name) for name in ("sonic4d", "pyroomacoustics", "matplotlib")):
    python = environments.backend(print, "demo", "test")
    sys.exit(subprocess.run([str(python), __file__, *sys.argv[1:]]).returncode)

from benchmarks import growth, quality, report, speed, splats

SECTIONS = {
    "paper": speed.paper,
    "modes": speed.modes,
    "memory": speed.memory,
    "warm": speed.warm,
    "clicks": quality.clicks,
    "accuracy": quality.accuracy,
    "growth": growth.growth,
    "splat": splats.splat,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    listed = "; ".join(f"{name}: {section.__doc__}" for name, section in SECTIONS.items())
    parser.add_argument("sections", nargs="*", metavar="section", help=listed.replace("%", "%%"))
    parser.add_argument("--output", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"no section {', '.join(unknown)}; there are: {', '.join(SECTIONS)}")
    found = {}
    for name in arguments.sections or SECTIONS:
        found[name] = SECTIONS[name]()
        for table in found[name]:
            print(report.as_text(table), flush=True)
    if arguments.output:
        report.write(found, arguments.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
