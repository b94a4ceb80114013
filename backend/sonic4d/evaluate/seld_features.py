"""What SELDnet hears: log-mel spectra and intensity vectors of first-order AmbiX, as DCASE2024's baseline computes them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import fft

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

RATE_HZ = 24000
HOP = 480  # 20 ms
WINDOW = 960
FFT_SIZE = 1024
MELS = 64
_EPSILON = 1e-8
_RANGE_DB = 80.0


def features(ambix: Float32) -> Float32:
    """(7, frames, MELS) of AmbiX (4, samples) at `RATE_HZ`: log-mel power in dB of W, Y, Z, X, and three intensities."""
    spectra = np.stack([_stft(channel) for channel in np.asarray(ambix[:4], np.float64) + _EPSILON])
    frames = ambix.shape[1] // HOP
    spectra = spectra[:, :frames]
    mel = mel_filters()
    power_db = 10 * np.log10(np.maximum(abs(spectra) ** 2 @ mel, 1e-10))
    power_db = np.maximum(power_db, power_db.max(axis=(1, 2), keepdims=True) - _RANGE_DB)
    w, rest = spectra[0], spectra[1:]
    energy = _EPSILON + abs(w) ** 2 + (abs(rest) ** 2).sum(axis=0) / 3
    intensity = np.real(w.conj() * rest) / energy @ mel
    return np.concatenate([power_db, intensity]).astype(np.float32)


def standardised(all_features: list[Float32]) -> list[Float32]:
    """Features (7, frames, MELS) of recordings with the mean 0 and the deviation 1 that each bin has over all of them.

    The baseline does so with figures of its training set, which it doesn't publish; these are of what is evaluated.
    """
    whole = np.concatenate(all_features, axis=1)
    mean, deviation = whole.mean(axis=1, keepdims=True), whole.std(axis=1, keepdims=True)
    return [(f - mean) / np.maximum(deviation, 1e-6) for f in all_features]


def mel_filters() -> Array:
    """(FFT_SIZE / 2 + 1, MELS): triangles on Slaney's mel scale (Auditory Toolbox, 1998), each of equal area."""
    edges_hz = _mel_to_hz(np.linspace(_hz_to_mel(0.0), _hz_to_mel(RATE_HZ / 2), MELS + 2))
    bins_hz = fft.rfftfreq(FFT_SIZE, 1 / RATE_HZ)[:, None]
    rising = (bins_hz - edges_hz[:-2]) / (edges_hz[1:-1] - edges_hz[:-2])
    falling = (edges_hz[2:] - bins_hz) / (edges_hz[2:] - edges_hz[1:-1])
    triangles = np.maximum(0, np.minimum(rising, falling))
    return triangles * (2 / (edges_hz[2:] - edges_hz[:-2]))


# Slaney's scale is linear below 1 kHz (15 mel) and logarithmic above.
_LINEAR_HZ, _KNEE_HZ = 200 / 3, 1000.0
_LOG_STEP = np.log(6.4) / 27


def _hz_to_mel(hz: float) -> float:
    if hz < _KNEE_HZ:
        return hz / _LINEAR_HZ
    return float(_KNEE_HZ / _LINEAR_HZ + np.log(hz / _KNEE_HZ) / _LOG_STEP)


def _mel_to_hz(mel: Array) -> Array:
    knee = _KNEE_HZ / _LINEAR_HZ
    above = _KNEE_HZ * np.exp(_LOG_STEP * (mel - knee))
    return np.where(mel < knee, _LINEAR_HZ * mel, above)


def _stft(signal: Array) -> npt.NDArray[np.complex128]:
    """(frames, bins): Hann windows centred on multiples of the hop, the ends mirrored."""
    padded = np.pad(signal, FFT_SIZE // 2, mode="reflect")
    window = np.zeros(FFT_SIZE)
    start = (FFT_SIZE - WINDOW) // 2
    window[start : start + WINDOW] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    windows = np.lib.stride_tricks.sliding_window_view(padded, FFT_SIZE)[::HOP]
    return fft.rfft(windows * window, axis=1)
