"""Ambisonics to headphones: a binaural decoder of AmbiX sound, by magnitude least squares.

Below the frequency up to which an order can carry what a head hears, the decoder is the least-squares fit of the head's
responses, times and all. Above, it fits their magnitudes only, with the phases that come nearest to the bin below
(Schörkhuber, Zaunschirm and Höldrich, DAGA 2018); what is quiet counts more than its energy would. Then both ears'
levels and coherence in a diffuse field are made the head's own (Vilkamo, Bäckström and Kuntz, JAES 61, 2013).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
from scipy import fft
from scipy.spatial.transform import Rotation

from .. import checks
from ..files import new_file
from ..monitor import Monitor
from ..protocol import Sonic4DError
from . import sphere_table
from .ambisonics import (
    MAX_ORDER,
    orthonormal,
    spherical_harmonics,
    spread_directions,
    turns,
)
from .filter_bank import FilterBank
from .hrtf import Hrtf, load_hrtf
from .image_source import SPEED_OF_SOUND
from .parallel import one_blas_thread

Array = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]
Float32 = npt.NDArray[np.float32]

HEAD_RADIUS_M = 0.0875
_DIRECTIONS = 1000
_READ_AT_ONCE = 1 << 17
_RATES_HZ = (8000, 192_000)


@dataclass(frozen=True)
class DecodeSettings:
    """`input`: an AmbiX file (ACN, SN3D) of order 1 to 3, which has 4, 9 or 16 channels. The head is turned to the left by
    `yaw_deg`, up by `pitch_deg` and to its right shoulder by `roll_deg`."""

    input: Path
    output: Path
    hrtf: str = "kemar"
    yaw_deg: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0

    @classmethod
    def from_json(cls, data: Any) -> DecodeSettings:
        angles = ("yaw_deg", "pitch_deg", "roll_deg")
        data = checks.fields(data, "decode job", ("input", "output"), ("hrtf", *angles))
        return cls(
            Path(checks.text(data["input"], "input")),
            Path(checks.text(data["output"], "output")),
            checks.text(data.get("hrtf", "kemar"), "hrtf"),
            *(checks.number(data.get(name, 0), name, -360, 360) for name in angles),
        )


@lru_cache(maxsize=4)
def decoding_filters(order: int, hrtf: Hrtf) -> Array:
    """Filters (2, (order + 1)^2, taps) of AmbiX channels to the ears; time zero is at taps // 2."""
    directions = spread_directions(_DIRECTIONS)
    weights = sphere_table.read_table(hrtf.weights, directions).reshape(len(directions), 2, -1)
    size = 2 * (len(hrtf.frequencies_hz) - 1)
    onsets_s = sphere_table.read_table(hrtf.onsets_s, directions)
    phase = -2j * np.pi * hrtf.frequencies_hz * onsets_s[..., None]
    responses = fft.rfft(weights @ hrtf.basis, size) * np.exp(phase)  # (directions, 2, bins)
    waves = spherical_harmonics(order, directions) * orthonormal(order)
    fit = np.linalg.pinv(waves)
    decoders = np.einsum("cn,nef->fec", fit, responses, optimize=True)
    highest_hz = order * SPEED_OF_SOUND / (2 * np.pi * HEAD_RADIUS_M)
    for bin_ in range(1, len(decoders)):
        if hrtf.frequencies_hz[bin_] > highest_hz:
            heard = waves @ decoders[bin_ - 1].T
            level = np.abs(responses[..., bin_])
            wanted = level * np.exp(1j * np.angle(heard))
            counting = waves.T / np.sqrt(np.maximum(level.T, 1e-6 * level.max()))[:, None]
            found = np.linalg.solve(counting @ waves, counting @ wanted.T[..., None])
            decoders[bin_] = found[..., 0]
    decoders = _with_diffuse_field(decoders, responses)
    decoders[[0, -1]] = np.abs(decoders[[0, -1]]) * np.sign(decoders[[0, -1]].real)
    filters = np.roll(fft.irfft(decoders, size, axis=0), size // 2, axis=0)
    filters *= np.hanning(size + 1)[:-1, None, None] ** 0.1  # only the ends fade
    return (filters * orthonormal(order)).transpose(1, 2, 0)


def _with_diffuse_field(decoders: Complex, responses: Complex) -> Complex:
    """The decoders (bins, 2, channels) nearest to these that have the head's covariance in a diffuse field."""
    there = np.einsum("nef,ngf->feg", responses, responses.conj()) / len(responses)
    values, vectors = np.linalg.eigh(there)
    root = (vectors * np.sqrt(np.maximum(values, 0))[:, None]) @ vectors.conj().transpose(0, 2, 1)
    left, _, right = np.linalg.svd(root @ decoders, full_matrices=False)
    return root @ left @ right


def decode(
    blocks: Iterable[Float32], order: int, hrtf: Hrtf, rotation: Array | None = None
) -> Iterator[Float32]:
    """AmbiX blocks (channels, n) to binaural ones (2, n), as long and without delay in all. `rotation` (3, 3): rows are the
    head's axes forward, left, up in those of the sound."""
    filters = decoding_filters(order, hrtf)
    if rotation is not None:
        filters = np.einsum("ect,cd->edt", filters, turns(order, rotation[None])[0])
    bank = FilterBank(filters.astype(np.float32))
    late = bank.taps // 2
    known = np.zeros((filters.shape[1], bank.taps), np.float32)
    early = late
    for block in chain(blocks, [np.zeros((len(known), late), np.float32)]):
        known = np.concatenate((known[:, -bank.taps :], block), axis=1)
        heard = bank(known)
        skipped = min(early, heard.shape[1])
        early -= skipped
        yield heard[:, skipped:]


def on_headphones(ambix: Float32, order: int, rate_hz: int) -> Float32:
    """What the packaged head hears (2, n) of AmbiX sound (channels, n)."""
    pieces = (
        ambix[:, start : start + _READ_AT_ONCE] for start in range(0, ambix.shape[1], _READ_AT_ONCE)
    )
    return np.concatenate(list(decode(pieces, order, load_hrtf("kemar", rate_hz))), axis=1)


@one_blas_thread()
def decode_file(settings: DecodeSettings, monitor: Monitor) -> Path:
    """Write a binaural float WAV of an AmbiX file. Raises `Sonic4DError`."""
    path, output = settings.input, settings.output
    if not path.is_file():
        raise Sonic4DError("missing_file", f"There is no sound file {path}.", "Check its path.")
    if output.suffix.lower() != ".wav":
        raise Sonic4DError(
            "bad_option", f'"{output.name}" is no WAV file name.', "End it with .wav."
        )
    turn = Rotation.from_euler(
        "ZYX", [settings.yaw_deg, -settings.pitch_deg, settings.roll_deg], degrees=True
    )
    try:
        with soundfile.SoundFile(path) as file:
            rate_hz, channels = file.samplerate, file.channels
            order = math.isqrt(channels) - 1
            if (order + 1) ** 2 != channels or not 1 <= order <= MAX_ORDER:
                raise _bad(path, f"has {channels} channels; AmbiX of order 1 to 3 has 4, 9 or 16")
            if not _RATES_HZ[0] <= rate_hz <= _RATES_HZ[1] or file.frames == 0:
                raise _bad(path, "is empty" if file.frames == 0 else f"has {rate_hz} Hz")
            hrtf = load_hrtf(settings.hrtf, rate_hz)
            sound = decode(_blocks(file, path, monitor), order, hrtf, turn.as_matrix().T)
            with (
                new_file(output) as work,
                soundfile.SoundFile(work, "w", rate_hz, 2, "FLOAT", format="WAV") as written,
            ):
                for piece in sound:
                    written.write(piece.T)
    except soundfile.SoundFileError as error:
        raise _bad(path, f"is damaged or no sound file ({error})") from None
    monitor.artifact("audio", output)
    return output


def _blocks(file: soundfile.SoundFile, path: Path, monitor: Monitor) -> Iterator[Float32]:
    done = 0
    while len(block := file.read(_READ_AT_ONCE, dtype="float32", always_2d=True)):
        monitor.check()
        if not np.isfinite(block).all():
            raise _bad(path, "contains samples that are not numbers")
        done += len(block)
        monitor.progress("audio", done, max(done, file.frames))
        yield block.T


def _bad(path: Path, what: str) -> Sonic4DError:
    return Sonic4DError("bad_audio", f"{path} {what}.", "Choose an AmbiX file: ACN order, SN3D.")
