"""Room for long sound: in memory, or in a temporary file that the system pages in and out."""

from __future__ import annotations

import math
import tempfile

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]

_LARGEST_IN_MEMORY_BYTES = 256 << 20


def zeros(shape: tuple[int, ...]) -> Float32:
    """Zeros of any size, for as long as they are referred to. Raises `OSError` where the disk is full."""
    if 4 * math.prod(shape) <= _LARGEST_IN_MEMORY_BYTES:
        return np.zeros(shape, np.float32)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, np.float32, "w+", shape=shape)
