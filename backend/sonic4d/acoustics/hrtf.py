"""Head-related transfer functions made ready for moving sound.

Every measured response becomes a logarithmic magnitude and an onset time; both are interpolated on a triangulation of
the measured directions, the diffuse-field average is taken out, and a minimum-phase response is made. The responses of
all directions are then sums of a few fixed filters: h(u) = sum_p w_p(u) V_p, so that a moving sound needs moving
weights and no moving filters.
"""

from __future__ import annotations

import hashlib
import os
import sys
import zipfile
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import fft
from scipy.spatial import ConvexHull, QhullError

from ..files import new_file
from ..protocol import Sonic4DError
from . import sphere_table
from .sofa import HrirSet, read_kemar, read_sofa

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

COMPONENTS = 20
LONGEST_ITD_S = 0.002
_STEP_DEG = sphere_table.MEASURED_STEP_DEG
_VERSION = 8  # of the tables below: a change makes cached ones invalid
_LOWEST_HZ, _HIGHEST_HZ = 250.0, 20_000.0  # outside, loudspeakers are measured rather than heads
_ONSET_HZ = (1500.0, 2500.0)  # fades out; higher, the onset jumps between the waves around the head
_ONSET_UPSAMPLING = 8
_POLE_GAP = np.cos(np.radians(15))
_LOW_HZ, _LOW_EMPHASIS = 2000.0, 1.5
_RING = np.radians(7)
_BATCH_VALUES = 1 << 18


@dataclass(frozen=True, eq=False)
class Hrtf:
    """One head at one sample rate; ear 0 is the left one.

    basis (COMPONENTS, taps): filters shared by both ears and all directions.
    weights: a `sphere_table` of 2 * COMPONENTS values, the left ear's weights, then the right ear's.
    onsets_s: a `sphere_table` of 2 values, how much later than at the head's centre (in its absence) sound reaches
    the ears, in seconds.
    frequencies_hz (bins,), diffuse_power (2, bins), diffuse_coherence (bins,): the ears in a diffuse sound field.
    """

    rate_hz: float
    basis: Float32
    weights: Float32
    onsets_s: Array
    frequencies_hz: Array
    diffuse_power: Array
    diffuse_coherence: Array


def load_hrtf(name: str, rate_hz: int, folder: Path | None = None) -> Hrtf:
    """The head "kemar" (packaged) or that of a SOFA file, at a sample rate.

    A relative path is searched in `folder`. Made once per head and rate, then kept on disk in the user's cache.
    Raises `Sonic4DError` ("missing_file", "bad_hrtf").
    """
    if name == "kemar":
        return _load(None, 0, rate_hz)
    path = (folder or Path()) / name
    return _load(path, path.stat().st_mtime_ns if path.is_file() else 0, rate_hz)


@lru_cache(maxsize=4)
def _load(path: Path | None, modified_ns: int, rate_hz: int) -> Hrtf:
    measured = read_kemar() if path is None else read_sofa(path)
    digest = hashlib.sha256(f"{_VERSION} {rate_hz} {measured.rate_hz}".encode())
    for array in (measured.impulse_responses, measured.directions, measured.delays_s):
        digest.update(np.ascontiguousarray(array))
    cached = _cache_folder() / f"{digest.hexdigest()[:32]}.npz"
    hrtf = _read_cached(cached)
    if hrtf is None:
        hrtf = make_hrtf(measured, rate_hz)
        _write_cached(cached, hrtf)
    return hrtf


def make_hrtf(measured: HrirSet, rate_hz: int) -> Hrtf:
    """Make the tables of a measured set (about 2 seconds)."""
    fft_size = 1 << int(np.ceil(np.log2(rate_hz / 48)))
    frequencies = np.arange(fft_size // 2 + 1) * (rate_hz / fft_size)
    log_magnitudes, onsets = magnitudes_and_onsets(measured, frequencies)
    directions, log_magnitudes, onsets = close_poles(measured.directions, log_magnitudes, onsets)
    corners, shares = triangulate(directions, sphere_table.grid_directions(_STEP_DEG))
    log_magnitudes = np.einsum("nk,nkef->nef", shares, log_magnitudes[corners])
    onsets = np.einsum("nk,nke->ne", shares, onsets[corners])

    if np.abs(onsets[:, 0] - onsets[:, 1]).max() > LONGEST_ITD_S:
        raise Sonic4DError(
            "bad_hrtf",
            "The ears of this head hear more than 2 ms apart.",
            'Use another SOFA file, or the packaged set "kemar".',
        )

    areas = sphere_table.grid_areas(_STEP_DEG)
    onsets -= (areas @ onsets).mean()
    diffuse = np.einsum("n,nef->f", areas / 2, np.exp(2 * log_magnitudes))
    log_magnitudes -= 0.5 * np.log(diffuse)
    taps = max(32, 8 * round(rate_hz / 3000))
    responses = minimum_phase(log_magnitudes, taps)
    basis, weights = _basis(responses, areas, rate_hz)

    spectra = fft.rfft(responses, fft_size) * np.exp(-2j * np.pi * frequencies * onsets[..., None])
    power = np.einsum("n,nef->ef", areas, np.abs(spectra) ** 2)
    cross = np.einsum("n,nf->f", areas, (spectra[:, 0] * spectra[:, 1].conj()).real)
    return Hrtf(
        rate_hz,
        basis.astype(np.float32),
        _table(weights.reshape(len(weights), -1)).astype(np.float32),
        _table(onsets),
        frequencies,
        power,
        cross / np.sqrt(power[0] * power[1]),
    )


def _table(values: Array) -> Array:
    return sphere_table.make_table(sphere_table.smoothed(values))


def magnitudes_and_onsets(measured: HrirSet, frequencies_hz: Array) -> tuple[Array, Array]:
    """Natural logarithm of the magnitudes (n, 2, bins) and onset times in seconds (n, 2).

    The onset is the lag of a response behind its own minimum-phase version where they correlate most, plus the delay
    that the set tells.
    """
    responses = measured.impulse_responses
    rate_hz = measured.rate_hz
    size = max(1024, 1 << int(np.ceil(np.log2(2 * responses.shape[2]))))
    own_frequencies = np.arange(size // 2 + 1) * (rate_hz / size)
    highest = min(_HIGHEST_HZ, 0.45 * rate_hz)
    wanted = np.clip(frequencies_hz, _LOWEST_HZ, highest) * (size / rate_hz)
    below = wanted.astype(np.int64)
    above_share = wanted - below
    log_magnitudes = np.empty((*responses.shape[:2], len(frequencies_hz)))
    onsets = np.empty(responses.shape[:2])
    onset_band = np.interp(own_frequencies, _ONSET_HZ, (1, 0))
    step = max(1, _BATCH_VALUES // size)
    for start in range(0, len(responses), step):
        batch = slice(start, start + step)
        spectra = fft.rfft(responses[batch], size)
        magnitude = np.abs(spectra)
        floor = 1e-5 * magnitude.max(axis=-1, keepdims=True)
        logarithm = np.log(np.maximum(magnitude, floor))
        log_magnitudes[batch] = (
            logarithm[..., below] * (1 - above_share) + logarithm[..., below + 1] * above_share
        )
        aligned = fft.rfft(minimum_phase(logarithm, size // 2), size)
        cross = spectra * aligned.conj() * onset_band
        onsets[batch] = _peak(fft.irfft(cross, size * _ONSET_UPSAMPLING)[..., : size * 4])
    return log_magnitudes, onsets / (_ONSET_UPSAMPLING * rate_hz) + measured.delays_s


def _peak(values: Array) -> Array:
    """Position of the maximum along the last axis, refined by a parabola."""
    top = np.clip(np.argmax(values, axis=-1), 1, values.shape[-1] - 2)[..., None]
    left, middle, right = (
        np.take_along_axis(values, top + step, -1)[..., 0] for step in (-1, 0, 1)
    )
    return top[..., 0] + 0.5 * (left - right) / np.minimum(left - 2 * middle + right, -1e-30)


def minimum_phase(log_magnitudes: Array, taps: int) -> Array:
    """Minimum-phase responses (..., taps) of log magnitudes (..., size / 2 + 1), by the real cepstrum.

    The last eighth fades out.
    """
    size = 2 * (log_magnitudes.shape[-1] - 1)
    cepstrum = fft.irfft(log_magnitudes, size)
    cepstrum[..., 1 : size // 2] *= 2
    cepstrum[..., size // 2 + 1 :] = 0
    responses = fft.irfft(np.exp(fft.rfft(cepstrum)), size)[..., :taps]
    fade = taps // 8
    responses[..., -fade:] *= np.cos(np.linspace(0, np.pi / 2, fade)) ** 2
    return responses


def close_poles(directions: Array, *values: Array) -> tuple[Array, ...]:
    """Where nothing was measured around a pole, the mean of what is nearest to it stands in: appended to all arrays."""
    for pole in (np.array([[0, 0, 1.0]]), np.array([[0, 0, -1.0]])):
        nearness = directions @ pole[0]
        if nearness.max() < _POLE_GAP:
            ring = np.arccos(nearness) < np.arccos(nearness.max()) + _RING
            values = tuple(np.vstack((value, value[ring].mean(axis=0)[None])) for value in values)
            directions = np.vstack((directions, pole))
    return directions, *values


def triangulate(measured: Array, wanted: Array) -> tuple[npt.NDArray[np.int64], Array]:
    """Which 3 of the measured unit vectors (n, 3) surround each wanted one (m, 3): indices and shares (m, 3).

    Raises `Sonic4DError` if the measured directions don't surround the head.
    """
    try:
        hull = ConvexHull(measured)
    except (QhullError, ValueError):
        hull = None
    if hull is None or (hull.equations[:, 3] > -0.1).any():
        raise Sonic4DError(
            "bad_hrtf",
            "This head was measured on one side only; sound can come from everywhere.",
            'Use a set that covers the whole circle, or the packaged set "kemar".',
        )
    faces = hull.simplices
    inverse = np.linalg.inv(measured[faces].transpose(0, 2, 1))
    corners = np.empty((len(wanted), 3), dtype=np.int64)
    shares = np.empty((len(wanted), 3))
    for n, direction in enumerate(wanted):
        inside = inverse @ direction
        best = np.argmax(inside.min(axis=1))
        corners[n] = faces[best]
        shares[n] = np.maximum(inside[best], 0)
    return corners, shares / shares.sum(axis=1, keepdims=True)


def _basis(responses: Array, areas: Array, rate_hz: int) -> tuple[Array, Array]:
    """The COMPONENTS filters (COMPONENTS, taps) that all responses (n, 2, taps) are best made of, and weights
    (n, 2, COMPONENTS). Low frequencies count more: they tell the time between the ears."""
    rows = responses.reshape(-1, responses.shape[-1])
    importance = np.repeat(areas, 2) / np.einsum("nt,nt->n", rows, rows) ** 0.75
    size = 2 * rows.shape[1]
    emphasis = 1 + _LOW_EMPHASIS / (1 + (fft.rfftfreq(size, 1 / rate_hz) / _LOW_HZ) ** 4)
    emphasised = fft.irfft(fft.rfft(rows, size) * emphasis, size)
    gram = np.einsum("n,ns,nt->st", importance, emphasised, emphasised, optimize=True)
    weights = emphasised @ np.linalg.eigh(gram)[1][:, ::-1][:, :COMPONENTS]
    balance = np.sqrt(importance)[:, None]
    basis = np.linalg.lstsq(weights * balance, rows * balance, rcond=None)[0]
    return basis, weights.reshape(*responses.shape[:2], -1)


def _cache_folder() -> Path:
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "sonic4d" / "hrtf"


def _read_cached(path: Path) -> Hrtf | None:
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {field.name: stored[field.name] for field in fields(Hrtf)}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return Hrtf(float(arrays.pop("rate_hz")), **arrays)


def _write_cached(path: Path, hrtf: Hrtf) -> None:
    """The cache only saves time: where it can't be written, nothing is lost."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new_file(path) as work:
            np.savez(work, **vars(hrtf))
    except (OSError, Sonic4DError):
        return
