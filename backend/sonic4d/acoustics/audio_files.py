"""Writing finished audio: WAV, WAVE_FORMAT_EXTENSIBLE, RF64 and FLAC; in float, 24 or 16 bits with dither."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from ..monitor import Monitor
from ..protocol import Sonic4DError

Float32 = npt.NDArray[np.float32]

MAX_WAV_BYTES = 4_000_000_000  # leaves room for chunks
MAX_FLAC_CHANNELS = 8
_BITS = {"float": 0, "pcm24": 24, "pcm16": 16}
_WRITTEN_AT_ONCE = 1 << 20
_HEADER_BYTES = 200


def check_name(path: Path, audio_format: str, channels: int) -> None:
    """Raise a `Sonic4DError` if a file of such a name can't hold so many channels."""
    suffix = path.suffix.lower()
    if suffix not in (".wav", ".flac"):
        raise Sonic4DError(
            "bad_option",
            f'"{path.name}" is no sound file name.',
            "End it with .wav or .flac.",
        )
    if suffix == ".flac" and audio_format == "adm":
        raise Sonic4DError(
            "bad_option", "ADM needs a broadcast wave file.", "Choose a name that ends with .wav."
        )
    if suffix == ".flac" and channels > MAX_FLAC_CHANNELS:
        raise Sonic4DError(
            "bad_option",
            f"A FLAC file holds {MAX_FLAC_CHANNELS} channels; {audio_format} has {channels}.",
            "Choose a name that ends with .wav.",
        )


def bits(path: Path, sample_format: str) -> int:
    """Bits per sample of a file that will have this name; 0 for floating point, which FLAC can't hold (then 24)."""
    return _BITS[sample_format] or (24 if path.suffix.lower() == ".flac" else 0)


def write_audio(
    path: Path,
    audio: Float32,
    rate_hz: int,
    sample_format: str,
    seed: int,
    monitor: Monitor,
    chunks: dict[bytes, bytes] | None = None,
) -> None:
    """Write (channels, samples) piece by piece. WAV becomes WAVE_FORMAT_EXTENSIBLE with more than two
    channels, unless `chunks` follow the samples and tell what the channels are, and RF64 (EBU Tech 3306) beyond 4 GB.
    Raises `OSError` where it doesn't fit on the disk.

    Whole-number samples are dithered (triangular, one step either way; Lipshitz, Wannamaker and Vanderkooy 1992), the
    same for a seed.
    """
    depth = bits(path, sample_format)
    subtype = f"PCM_{depth}" if depth else "FLOAT"
    kind = "FLAC" if path.suffix.lower() == ".flac" else "WAV"
    if kind == "WAV" and audio.size * (depth or 32) // 8 > MAX_WAV_BYTES:
        kind = "RF64"
    elif kind == "WAV" and len(audio) > 2 and not chunks:
        kind = "WAVEX"
    rng = np.random.default_rng(seed)
    try:
        with soundfile.SoundFile(path, "w", rate_hz, len(audio), subtype, format=kind) as file:
            for start in range(0, audio.shape[1], _WRITTEN_AT_ONCE):
                monitor.check()
                piece = audio[:, start : start + _WRITTEN_AT_ONCE].T
                file.write(_dithered(piece, depth, rng) if depth else piece)
        written = soundfile.info(path).frames
    except (soundfile.SoundFileError, AssertionError) as error:
        raise OSError("not all of the sound could be written") from error
    if written != audio.shape[1]:
        raise OSError("the disk is full")
    _forget_the_time(path)
    if chunks:
        _append(path, chunks)


def _append(path: Path, chunks: dict[bytes, bytes]) -> None:
    """Add chunks to the end of a WAV or RF64 file. An RF64 file becomes BW64 (ITU-R BS.2088), which differs by name."""
    with path.open("rb+") as file:
        file.seek(0, 2)
        file.write(bytes(file.tell() % 2))
        for name, content in chunks.items():
            file.write(name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2))
        size = file.tell() - 8
        file.seek(0)
        if file.read(4) == b"RIFF":
            file.write(struct.pack("<I", size))
        else:
            file.seek(0)
            file.write(b"BW64")
            file.seek(20)  # after the names and lengths of the file and of its chunk ds64
            file.write(struct.pack("<Q", size))


def _forget_the_time(path: Path) -> None:
    """libsndfile notes in a PEAK chunk before floating-point samples when it wrote them; the same sound shall be the same
    file."""
    with path.open("rb+") as file:
        start = file.read(_HEADER_BYTES).find(b"PEAK")
        if start >= 0:
            file.seek(start + 12)  # after its name, length and version
            file.write(bytes(4))


def _dithered(piece: Float32, depth: int, rng: np.random.Generator) -> npt.NDArray[np.int32]:
    """Samples of so many bits, at the top of 32. Digital silence stays silent."""
    full = 1 << (depth - 1)
    first, second = rng.random((2, *piece.shape), np.float32)
    dither = np.where(piece == 0, 0, first - second)
    steps = np.round(piece.astype(np.float64) * full + dither)
    return np.clip(steps, -full, full - 1).astype(np.int32) << (32 - depth)
