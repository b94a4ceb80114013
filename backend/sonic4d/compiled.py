"""Numba's compiled code, kept on disk for as long as everything that it was compiled from stays the same.

Numba itself looks at the function's own file only: after an update it would go on using code compiled with constants and
functions of other files that are no longer what they were.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core.dispatcher import Dispatcher


def njit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """`numba.njit` with a cache, in a folder named after the function, the constants in it and all that it calls."""

    def compile_lazily(function: Callable[..., Any]) -> Any:
        usual = numba.config.CACHE_DIR
        base = Path(usual) if usual else Path(inspect.getfile(function)).parent / "__pycache__"
        numba.config.CACHE_DIR = str(base / f"numba-{stamp(function)[:12]}")
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError:  # no such folder can be made
            numba.config.CACHE_DIR = usual
            return numba.njit(cache=True, **options)(function)
        finally:
            numba.config.CACHE_DIR = usual

    return compile_lazily


def stamp(function: Callable[..., Any]) -> str:
    """Changes with the file of a function, the constants in it, and the files and constants of what it calls."""
    digest = hashlib.sha256()
    seen: set[object] = set()

    def take(one: Callable[..., Any]) -> None:
        if one in seen:
            return
        seen.add(one)
        digest.update(Path(inspect.getfile(one)).read_bytes())
        for name in sorted(set(one.__code__.co_names)):
            value = one.__globals__.get(name)
            if isinstance(value, Dispatcher):
                take(value.py_func)
            elif hasattr(value, "_defn"):  # an intrinsic
                take(value._defn)
            elif isinstance(value, (int, float, str, tuple)):
                digest.update(f"{name}={value!r}".encode())

    take(function)
    return digest.hexdigest()
