"""Impulse responses by gpuRIR on a CUDA GPU, where the user has installed it (Diaz-Guerra et al. 2021; AGPL-3.0).

gpuRIR isn't part of this project and isn't needed: the native engine computes the same. Its own response to whatever
CUDA refuses is to end the process, so what it is known not to cope with is refused here before it is called.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import subprocess
import sys
from collections.abc import Callable
from types import ModuleType

import numpy as np
import numpy.typing as npt

from ..protocol import Sonic4DError
from .enclosure import Enclosure
from .image_source import SPEED_OF_SOUND, Plan
from .segments import Respond

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

_NATIVE = 'Set render.engine to "native".'
_INSTALL = (
    "It needs an NVIDIA GPU, the CUDA toolkit and CMake: "
    "pip install https://github.com/DavidDiazGuerra/gpuRIR/zipball/master (licence: AGPL-3.0). "
    'Or set render.engine to "native".'
)
_START_TIMEOUT_S = 60
# Its last reduction has one row of CUDA blocks per sample, its first one layer of them per 512 images.
_MOST_SAMPLES = 65_534
_MOST_IMAGES = 512 * 65_535
_INSIDE_M = 1e-5  # it refuses what lies on a wall


def gpurir_responses(plan: Plan, enclosure: Enclosure, rir_samples: int) -> Respond:
    """Equations 7 and 8 by gpuRIR, one call per segment: 1 source x 2 microphones; all images that the plan asks for,
    beyond its samples, up to `rir_samples`, gpuRIR's own diffuse tail.

    Nearer than 10 cm its gain goes on growing, where the native engine's is held. One call can't be interrupted.
    Raises `Sonic4DError` where gpuRIR is not installed, does not start or can't compute impulse responses like these.
    """
    gpurir = _load()
    duration_s = rir_samples / plan.rate_hz
    # It rounds up to whole samples, in single precision.
    images_s = (plan.sample_count - 0.5) / plan.rate_hz
    reflections = enclosure.reflections
    # The direct sound, with one reflecting wall (the ground, at 0) one image, between two of them all in time.
    images = np.where(
        reflections.all(axis=1),
        gpurir.t2n(plan.sample_count / plan.rate_hz, enclosure.room.size, SPEED_OF_SOUND),
        1 + reflections.any(axis=1),
    )
    if rir_samples > _MOST_SAMPLES or math.prod(images.tolist()) > _MOST_IMAGES:
        raise Sonic4DError(
            "too_long",
            f"An impulse response of {duration_s:.1f} s at {plan.rate_hz} Hz in this room is too much for gpuRIR.",
            f"Shorten the reverberation time. Or: {_NATIVE}",
        )
    gpurir.activateMixedPrecision(False)

    def respond(sources: Array, microphones: Array, check: Callable[[], None]) -> Float32:
        rirs = np.empty((2, len(sources), rir_samples), dtype=np.float32)
        for i, source in enumerate(sources):
            check()
            size_m, source_m, microphones_m = _boxed(enclosure, source[None], microphones[:, i])
            found = gpurir.simulateRIR(
                room_sz=size_m.tolist(),
                # It reverses the sign of the coefficients that it is given.
                beta=(-plan.convention.sign * reflections).ravel().tolist(),
                pos_src=source_m,
                pos_rcv=microphones_m,
                nb_img=images.tolist(),
                # It makes the number of samples even.
                Tmax=(rir_samples - 0.5) / plan.rate_hz,
                Tdiff=images_s if rir_samples > plan.sample_count else None,
                fs=plan.rate_hz,
                c=SPEED_OF_SOUND,
            )
            rirs[:, i] = found[0, :, :rir_samples]
        if not np.isfinite(rirs).all():
            raise Sonic4DError(
                "too_near",
                "A source goes through a microphone, which gpuRIR can't render.",
                _NATIVE,
            )
        return rirs

    return respond


def _boxed(enclosure: Enclosure, source: Array, microphones: Array) -> tuple[Array, Array, Array]:
    """A box's size (3,), and the source (1, 3) and microphones (2, 3) strictly inside it.

    The box is the room. Where there are no walls it ends 1 m beyond them: gpuRIR knows nothing else.
    """
    points = np.concatenate([source, microphones])
    walls = enclosure.reflections > 0
    low = np.where(walls[:, 0], 0, points.min(axis=0) - 1)
    high = np.where(walls[:, 1], enclosure.room.size, points.max(axis=0) + 1)
    inside = np.clip(points - low, _INSIDE_M, high - low - _INSIDE_M)
    return high - low, inside[:1], inside[1:]


def _load() -> ModuleType:
    """The module. It is first started in a process of its own, which it ends if there is no GPU."""
    if "gpuRIR" not in sys.modules:
        if importlib.util.find_spec("gpuRIR") is None:
            raise Sonic4DError("not_installed", "gpuRIR is not installed.", _INSTALL)
        try:
            subprocess.run(
                [sys.executable, "-I", "-c", "import gpuRIR"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_START_TIMEOUT_S,
                check=True,
            )
        except subprocess.SubprocessError as error:
            said = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip()
            raise Sonic4DError(
                "not_installed",
                f"gpuRIR is installed but does not start: {said.splitlines()[-1] if said else error}.",
                f"Check the GPU's driver. Or: {_NATIVE}",
            ) from None
    return importlib.import_module("gpuRIR")
