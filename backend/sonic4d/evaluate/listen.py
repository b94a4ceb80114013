"""What SELDnet hears in a file (`sonic4d evaluate listen`)."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import soundfile
import soxr

from ..files import new_file
from ..monitor import Monitor
from ..protocol import Sonic4DError
from .seld_features import RATE_HZ, features, standardised
from .seld_labels import write_labels
from .settings import ListenSettings

MAX_S = 600


def listen(settings: ListenSettings, monitor: Monitor) -> Path:
    """Write a label file (DCASE2024) of what the network hears. Raises `Sonic4DError`."""
    if importlib.util.find_spec("torch") is None:
        raise Sonic4DError(
            "missing_library",
            "Listening with SELDnet needs PyTorch, which isn't installed.",
            'Install it with: pip install "sonic4d[experts]"',
        )
    from .seldnet import load_seldnet, locate

    net = load_seldnet(settings.weights)
    try:
        info = soundfile.info(settings.audio)
        if info.channels < 4 or not 1 <= info.frames <= MAX_S * info.samplerate:
            raise Sonic4DError(
                "bad_audio",
                f"{settings.audio} is no AmbiX sound of at most {MAX_S} s.",
                "Render one with --set render.format=ambix1.",
            )
        samples, rate_hz = soundfile.read(settings.audio, dtype="float32")
    except soundfile.LibsndfileError as error:
        raise Sonic4DError(
            "unreadable_file", f"{settings.audio} can't be read: {error}", "Check the path."
        ) from None
    monitor.progress("listening", 0, 1)
    heard = features(soxr.resample(samples[:, :4], rate_hz, RATE_HZ).T)
    with new_file(settings.output) as path:
        write_labels(path, locate(net, standardised([heard])[0]))
    monitor.progress("listening", 1, 1)
    monitor.artifact("labels", settings.output)
    return settings.output
