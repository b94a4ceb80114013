"""Is everything in working order? Versions, the machine, codecs, caches (`sonic4d doctor`)."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from . import __version__
from .protocol import PROTOCOL_VERSION, user_folder

LIBRARIES = {
    "av": "av",
    "cv2": "opencv-contrib-python-headless",
    "h5py": "h5py",
    "huggingface_hub": "huggingface-hub",
    "numba": "numba",
    "numpy": "numpy",
    "OpenEXR": "openexr",
    "pyloudnorm": "pyloudnorm",
    "safetensors": "safetensors",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "soundfile": "soundfile",
    "soxr": "soxr",
    "threadpoolctl": "threadpoolctl",
    "tqdm": "tqdm",
}
CODECS = (("h264", "r"), ("hevc", "r"), ("vp9", "r"), ("aac", "r"), ("libx264", "w"), ("aac", "w"))
LEAST_FREE_GB = 1.0
_GB = 1e9


def examine() -> dict[str, Any]:
    """The report, ready for JSON. "problems": sentences about what has to be mended, empty where all is well."""
    problems: list[str] = []
    cache = user_folder("cache")
    report = {
        "sonic4d": __version__,
        "protocol": PROTOCOL_VERSION,
        "python": platform.python_version(),
        "executable": sys.executable,
        "system": platform.platform(),
        "libraries": _libraries(problems),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_gb": _memory_gb(),
        "experts": _experts(problems),
        "cache": str(cache),
        "cache_free_gb": _free_gb(cache, problems),
        "codecs": _codecs(problems),
        "numba_cache": _numba_cache(problems),
        "rendering": _rendering(problems),
        "problems": problems,
    }
    return report


def print_report(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(report))
        return
    for key, value in report.items():
        if isinstance(value, dict):
            value = ", ".join(f"{name} {entry}" for name, entry in value.items())
        if key != "problems":
            print(f"{key.replace('_', ' '):14} {value}")
    print(*(report["problems"] or ["Everything is in working order."]), sep="\n")


def _libraries(problems: list[str]) -> dict[str, str | None]:
    """Versions of the libraries that can be imported."""
    versions: dict[str, str | None] = {}
    for module, distribution in LIBRARIES.items():
        try:
            import_module(module)
            versions[module] = metadata.version(distribution)
        except Exception as error:  # whatever a broken library raises
            versions[module] = None
            problems.append(f"{module} can't be imported ({error}); reinstall the backend.")
    return versions


def _experts(problems: list[str]) -> dict[str, Any]:
    """What pretrained models would run on; that there is nothing is no problem."""
    from .experts.machine import extra_versions, has_torch, this_machine

    report: dict[str, Any] = dict(extra_versions())
    if not has_torch():
        report["device"] = "none (pip install 'sonic4d[experts]')"
        return report
    try:
        machine = this_machine()
        report["device"] = f"{machine.device} ({machine.name})"
        report["dtype"] = str(machine.dtype).removeprefix("torch.")
        report["memory_gb"] = round(machine.memory_gb, 1)
    except Exception as error:  # whatever a broken library raises
        report["device"] = "broken"
        problems.append(f"torch can't be used ({error}); reinstall it.")
    return report


def _memory_gb() -> float | None:
    if hasattr(os, "sysconf"):
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GB, 1)
    return None


def _free_gb(folder: Path, problems: list[str]) -> float:
    while not folder.exists():
        folder = folder.parent
    free = round(shutil.disk_usage(folder).free / _GB, 1)
    if free < LEAST_FREE_GB:
        problems.append(f"Only {free} GB are free at {folder}; make room.")
    return free


def _codecs(problems: list[str]) -> dict[str, str]:
    """Which codecs of PyAV's FFmpeg are there: "decode h264" and so on -> "yes" or "no"."""
    try:
        from av.codec import Codec
        from av.codec.codec import UnknownCodecError
    except ImportError:
        return {}
    found = {}
    for name, mode in CODECS:
        try:
            Codec(name, mode)
            answer = "yes"
        except UnknownCodecError:
            answer = "no"
        verb = "decode" if mode == "r" else "encode"
        if answer == "no":
            problems.append(f"PyAV can't {verb} {name}; reinstall the backend.")
        found[f"{verb} {name}"] = answer
    return found


def _numba_cache(problems: list[str]) -> str | None:
    """Where numba keeps compiled code; it decides when a function with a cache is defined."""
    try:
        import numba

        return numba.njit(cache=True)(_free_gb).stats.cache_path
    except ImportError:
        return None
    except RuntimeError:
        problems.append(
            "There is no folder where numba may keep compiled code; every start will be slow. "
            "Set NUMBA_CACHE_DIR to a writable folder."
        )
        return None


def _rendering(problems: list[str]) -> str:
    """A moment of rendering, which also compiles it: at installation rather than at the user's first click."""
    try:
        from .acoustics.warm_up import warm_up

        warm_up()
    except Exception as error:  # whatever a broken library raises
        problems.append(f"Sound can't be rendered ({error}); reinstall the backend.")
        return "broken"
    return "ready"
