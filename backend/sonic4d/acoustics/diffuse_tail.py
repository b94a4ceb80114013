"""gpuRIR's diffuse tail: noise that takes over from the image sources at a given time (its option `Tdiff`).

The power at the end of the image-source part is continued as an exponential decay and filled with noise, independent for
each impulse response (Diaz-Guerra et al. 2021). So the tails of two microphones don't cohere even at low frequencies,
and a moving source's tail flutters from segment to segment; the hifi mode's late field does neither.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from .image_source import SPEED_OF_SOUND

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

WINDOW_S = 0.01  # the end of the image-source part whose power is continued
_DECAY_60_DB = 6 * math.log(10)  # of energy


def append_tails(
    early: Float32,
    sources: Array,
    microphones: Array,
    rt60_s: float,
    sample_count: int,
    rate_hz: int,
    seed: int,
) -> Float32:
    """Impulse responses (n, sample_count) whose first samples are `early` (n, m).

    `sources` and `microphones` (n, 3) are their places, which also seed the noise: the same pair of places has the
    same tail, whenever and by whichever thread it is computed. The noise is logistic, as gpuRIR's.
    """
    count = early.shape[1]
    responses = np.zeros((len(early), sample_count), np.float32)
    responses[:, :count] = early
    window = min(round(WINDOW_S * rate_hz), count)
    decay = _DECAY_60_DB / (rt60_s * rate_hz)
    time = np.arange(count, sample_count)
    for response, source, microphone in zip(responses, sources, microphones, strict=True):
        direct = float(np.linalg.norm(source - microphone)) / SPEED_OF_SOUND * rate_hz
        start = min(math.ceil(max(count - window, direct)), count - 1)
        power = float(np.mean(response[start:count].astype(np.float64) ** 2))
        centre = (start + count) / 2
        places = np.frombuffer(np.append(source, microphone).tobytes(), np.uint32)
        noise = np.random.default_rng([seed, *places]).logistic(
            scale=math.sqrt(3) / math.pi, size=len(time)
        )
        response[count:] = np.sqrt(power * np.exp(decay * (centre - time))) * noise
    return responses
