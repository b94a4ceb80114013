"""Head-related transfer functions made ready for moving sound.

Every measured response becomes a logarithmic magnitude and an onset time; both are interpolated on a triangulation of
the measured directions, the diffuse-field average is taken out, and a minimum-phase response is made. The responses of
all directions are then sums of a few fixed filters: h(u) = sum_p w_p(u) V_p, so that a moving sound needs moving
weights and no moving filters. In the measured directions, the level of each octave at each ear and the time between the
ears are the measured ones (but for the diffuse-field average).
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

from ..files import new_file
from ..materials import OCTAVES_HZ
from ..protocol import Sonic4DError
from . import sphere_table
from .head_filters import fine_size, make_head_filters, minimum_phase, octave_bins
from .sofa import HrirSet, read_kemar, read_sofa
from .triangulation import Triangulation

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

COMPONENTS = 20
LONGEST_ITD_S = 0.002
_STEP_DEG = sphere_table.MEASURED_STEP_DEG
_VERSION = 10  # of the tables below: a change makes cached ones invalid
_LOWEST_HZ, _HIGHEST_HZ = 250.0, 20_000.0  # outside, loudspeakers are measured rather than heads
_ONSET_HZ = (1500.0, 2500.0)  # fades out; higher, the onset jumps between the waves around the head
_ONSET_UPSAMPLING = 8
# How much detail there is in a circle: where a moving tone would sound rough, less than between measured directions.
_WEIGHT_PERIODS = (35,) * 6 + (48,) * (COMPONENTS - 6)
_ONSET_PERIODS = 30
_ITD_HZ = (200.0, 1200.0, 1800.0)  # from, and from where to where it fades out
_LOW_HZ = np.arange(_ITD_HZ[0], _ITD_HZ[2], 12)
_LAGS_S = np.arange(-100, 101) * 5e-6
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
    """Make the tables of a measured set (about 3 seconds)."""
    fft_size = 1 << int(np.ceil(np.log2(rate_hz / 48)))
    frequencies = np.arange(fft_size // 2 + 1) * (rate_hz / fft_size)
    grid = sphere_table.grid_directions(_STEP_DEG)
    areas = sphere_table.grid_areas(_STEP_DEG)
    head = Triangulation(measured.directions, grid)
    log_magnitudes, onsets_s = magnitudes_and_onsets(measured, frequencies)
    log_magnitudes = head.closed(log_magnitudes)
    diffuse = np.einsum("n,nef->f", areas / 2, np.exp(2 * head.spread(log_magnitudes)))
    log_magnitudes -= 0.5 * np.log(diffuse)
    octaves_hz = _octaves_hz(min(rate_hz, measured.rate_hz))
    levels, lags_s = _levels_and_lags(measured, onsets_s, frequencies, diffuse, octaves_hz)
    levels = head.closed(levels)

    taps = max(32, 8 * round(rate_hz / 3000))
    between = minimum_phase(head.spread(log_magnitudes), taps)
    filters = make_head_filters(between, areas, COMPONENTS, rate_hz, octaves_hz)
    weights = filters.weights(minimum_phase(log_magnitudes, taps), levels)
    lags_s -= _lags_s(weights[: len(lags_s)] @ filters.basis, rate_hz)
    onsets_s = head.closed(onsets_s + lags_s[:, None] / 2 * [1, -1])
    if np.abs(np.diff(onsets_s)).max() > LONGEST_ITD_S:
        raise Sonic4DError(
            "bad_hrtf",
            "The ears of this head hear more than 2 ms apart.",
            'Use another SOFA file, or the packaged set "kemar".',
        )
    onsets_s -= (areas @ head.spread(onsets_s)).mean()
    grid_weights = filters.weights(between, head.spread(levels))
    table = sphere_table.make_table_through(
        _joined(grid_weights, head.spread(onsets_s)),
        head.spread,
        head.directions,
        _joined(weights, onsets_s),
        np.array((*2 * _WEIGHT_PERIODS, *2 * (_ONSET_PERIODS,))),
    )

    heard = sphere_table.read_table(table, grid)
    responses = heard[:, :-2].reshape(-1, 2, COMPONENTS) @ filters.basis
    late = np.exp(-2j * np.pi * frequencies * heard[:, -2:, None])
    spectra = fft.rfft(responses, fft_size) * late
    power = np.einsum("n,nef->ef", areas, np.abs(spectra) ** 2)
    cross = np.einsum("n,nf->f", areas, (spectra[:, 0] * spectra[:, 1].conj()).real)
    return Hrtf(
        rate_hz,
        filters.basis.astype(np.float32),
        table[..., :-2].astype(np.float32),
        np.ascontiguousarray(table[..., -2:]),
        frequencies,
        power,
        cross / np.sqrt(power[0] * power[1]),
    )


def _octaves_hz(rate_hz: float) -> list[float]:
    """Middles of the octaves in which levels are held."""
    highest_hz = min(_HIGHEST_HZ, 0.45 * rate_hz) / 2**0.5
    return [middle_hz for middle_hz in OCTAVES_HZ if _LOWEST_HZ <= middle_hz <= highest_hz]


def _joined(weights: Array, onsets_s: Array) -> Array:
    """(n, 2, COMPONENTS) and (n, 2) -> (n, 2 * COMPONENTS + 2)."""
    return np.hstack((weights.reshape(len(weights), -1), onsets_s))


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


def _levels_and_lags(
    measured: HrirSet,
    onsets_s: Array,
    frequencies_hz: Array,
    diffuse: Array,
    octaves_hz: list[float],
) -> tuple[Array, Array]:
    """Natural logarithms of the mean energies in octaves (n, 2, octaves) and `interaural_lags_s` (n,) when the onsets are
    taken out, of the measured responses over the diffuse-field energies (bins,) at `frequencies_hz`."""
    responses = measured.impulse_responses
    count = len(responses)
    size = fine_size(measured.rate_hz, 2 * responses.shape[2])
    own_hz = fft.rfftfreq(size, 1 / measured.rate_hz)
    equaliser = np.exp(-0.5 * np.interp(own_hz, frequencies_hz, np.log(diffuse)))
    bins = octave_bins(own_hz, octaves_hz)
    levels, lags_s = np.empty((count, 2, len(bins))), np.empty(count)
    late_s = onsets_s - measured.delays_s
    step = max(1, _BATCH_VALUES // size)
    for start in range(0, count, step):
        batch = slice(start, start + step)
        spectra = fft.rfft(responses[batch], size) * equaliser
        energy = np.abs(spectra) ** 2
        floor = 1e-10 * energy.max(axis=-1, keepdims=True)
        octaves = np.stack([energy[..., octave].mean(axis=-1) for octave in bins], axis=-1)
        levels[batch] = np.log(np.maximum(octaves, floor))
        spectra *= np.exp(2j * np.pi * own_hz * late_s[batch, :, None])
        lags_s[batch] = interaural_lags_s(spectra, own_hz)
    return levels, lags_s


def _lags_s(responses: Array, rate_hz: float) -> Array:
    """`interaural_lags_s` of responses (n, 2, taps)."""
    time_s = np.arange(responses.shape[2])[:, None] / rate_hz
    return interaural_lags_s(responses @ np.exp(-2j * np.pi * _LOW_HZ * time_s), _LOW_HZ)


def interaural_lags_s(spectra: npt.NDArray[np.complex128], frequencies_hz: Array) -> Array:
    """How much later the left ear hears, (n,), of spectra (n, 2, bins): where the ears' low frequencies correlate most,
    up to 0.5 ms."""
    lowest, full, highest = _ITD_HZ
    band = (frequencies_hz > lowest) & (frequencies_hz < highest)
    frequencies_hz = frequencies_hz[band]
    cross = spectra[:, 0, band] * spectra[:, 1, band].conj()
    cross *= np.clip((highest - frequencies_hz) / (highest - full), 0, 1)
    correlation = cross @ np.exp(2j * np.pi * frequencies_hz[:, None] * _LAGS_S)
    return np.interp(_peak(correlation.real), np.arange(len(_LAGS_S)), _LAGS_S)


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
