"""What the encoders saw in pictures, remembered on disk: on a CPU they take most of the time, and a new prompt needs
none of it again."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...protocol import user_folder

MAX_FILES = 20_000  # of a few kB each, for each encoder
Features = npt.NDArray[np.float32]


class FeatureCache:
    """Features of one encoder by the bytes of the pictures. A cache that can't be read or written is no failure."""

    def __init__(self, weights: Path, name: str, shape: tuple[int, ...]) -> None:
        """weights: the encoder's folder; other weights are another cache. shape: of each entry."""
        seal = hashlib.sha256(name.encode())
        for path in sorted(weights.glob("*.safetensors")):
            status = path.stat()
            seal.update(f"{path.resolve()} {status.st_size} {status.st_mtime_ns}".encode())
        self.folder = user_folder("cache") / "features" / f"{name}-{seal.hexdigest()[:16]}"
        self._shape = shape
        self._run: dict[str, Features] = {}  # still pictures repeat within a clip

    def key(self, pictures: bytes) -> str:
        return hashlib.sha256(pictures).hexdigest()

    def get(self, key: str) -> Features | None:
        if key not in self._run:
            found = self._read(key)
            if found is None:
                return None
            self._run[key] = found
        return self._run[key]

    def _read(self, key: str) -> Features | None:
        try:
            found = np.load(self.folder / f"{key}.npy", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        good = found.dtype == np.float32 and found.shape == self._shape
        return found if good and np.isfinite(found).all() else None

    def put(self, key: str, features: Features) -> None:
        self._run[key] = features
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(suffix=".part", dir=self.folder)
            work = Path(name)
            try:
                with os.fdopen(handle, "wb") as file:
                    np.save(file, features)
                work.replace(self.folder / f"{key}.npy")
            finally:
                work.unlink(missing_ok=True)

    def prune(self) -> None:
        """Delete the oldest files beyond MAX_FILES."""
        with suppress(OSError):
            paths = sorted(self.folder.iterdir(), key=lambda path: path.stat().st_mtime)
            for path in paths[: max(0, len(paths) - MAX_FILES)]:
                path.unlink()
