"""A sound file as the sound track of a movie, fed in little by little."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import soundfile
import soxr
from av.container import OutputContainer

from ..protocol import Sonic4DError

Block = npt.NDArray[np.generic]

BLOCK = 1024
AAC_RATE_HZ = 48000
AAC_BIT_RATE = 384_000  # below, noise is replaced by other noise, which ruins what the ears compare
# Samples of a WAV file -> the PCM that holds them unchanged.
_PCM = {"PCM_16": "pcm_s16le", "PCM_24": "pcm_s24le", "FLOAT": "pcm_f32le"}


@dataclass(frozen=True)
class Sound:
    """A sound file of 1 or 2 channels and where it lies on the picture's time line, in seconds.

    codec: "aac" (48 kHz, 384 kbit/s), "flac" (16 bits, else 24) or "pcm" (the file's own samples). start_s: when its
    first sample is heard; may be negative. heard_s: outside this stretch there is silence.
    """

    path: Path
    codec: str = "aac"
    start_s: Fraction = Fraction(0)
    heard_s: tuple[Fraction, Fraction] | None = None


class SoundTrack:
    """Feeds a sound into a container as far as the picture has got, so that the muxer need not keep either in memory."""

    def __init__(self, out: OutputContainer, sound: Sound) -> None:
        """Raises `Sonic4DError` for a sound file that can't be read, or has too many channels."""
        try:
            self._file = soundfile.SoundFile(sound.path)
        except (soundfile.LibsndfileError, OSError):
            raise Sonic4DError(
                "bad_audio", f"{sound.path} is not a sound file.", "Render the audio again."
            ) from None
        if self._file.channels > 2:
            raise Sonic4DError(
                "bad_audio",
                f"{sound.path.name} has {self._file.channels} channels; a movie gets 1 or 2.",
                "Keep it as a file beside the movie.",
            )
        self._whole: Block | None = None
        self.rate_hz = self._file.samplerate
        if sound.codec == "aac" and self.rate_hz != AAC_RATE_HZ:
            samples = self._file.read(dtype="float32", always_2d=True)
            self._whole = soxr.resample(samples, self.rate_hz, AAC_RATE_HZ)
            self.rate_hz = AAC_RATE_HZ
        self._start = round(sound.start_s * self.rate_hz)
        self._heard = [round(edge * self.rate_hz) for edge in sound.heard_s or ()]
        codec, self._format = _codec(sound.codec, self._file.subtype)
        self._out = out
        self._stream = out.add_stream(codec, self.rate_hz, layout="stereo", format=self._format)
        if sound.codec == "aac":
            self._stream.bit_rate = AAC_BIT_RATE
        self._position = 0

    def write_until(self, end_s: Fraction) -> None:
        """Write the sound of the picture up to `end_s`; silence where the file has none."""
        end = round(end_s * self.rate_hz)
        while self._position < end:
            block = self._read(self._position, min(BLOCK, end - self._position))
            frame = av.AudioFrame.from_ndarray(self._encoded(block), self._format, "stereo")
            frame.sample_rate = self.rate_hz
            frame.pts, frame.time_base = self._position, Fraction(1, self.rate_hz)
            self._position += len(block)
            self._out.mux(self._stream.encode(frame))

    def close(self) -> None:
        self._out.mux(self._stream.encode(None))
        self._file.close()

    def _read(self, first: int, count: int) -> Block:
        """(count, 2) samples of the picture's time line: int32 of full scale for integer formats, else float32."""
        dtype = "int32" if self._format in ("s16", "s32") else "float32"
        block = np.zeros((count, 2), dtype)
        begin = first - self._start  # in the file
        length = len(self._whole) if self._whole is not None else self._file.frames
        low, high = max(begin, 0), min(begin + count, length)
        if low < high:
            block[low - begin : high - begin] = self._samples(low, high - low, dtype)
        if self._heard:
            at = np.arange(first, first + count)
            block[(at < self._heard[0]) | (at >= self._heard[1])] = 0
        return block

    def _samples(self, first: int, count: int, dtype: str) -> Block:
        if self._whole is not None:
            return self._whole[first : first + count]
        self._file.seek(first)
        if dtype == "int32" and self._file.subtype in ("FLOAT", "DOUBLE"):
            samples = self._file.read(count, "float64", always_2d=True)
            return (np.clip(np.rint(samples * 2**23), -(2**23), 2**23 - 1)).astype(np.int32) << 8
        return self._file.read(count, dtype, always_2d=True)

    def _encoded(self, block: Block) -> Block:
        """As PyAV wants it: (2, n) for planar formats, else (1, 2 n)."""
        if self._format == "fltp":
            return np.ascontiguousarray(block.T)
        if self._format == "s16":
            block = (block >> 16).astype(np.int16)
        return np.ascontiguousarray(block).reshape(1, -1)


def _codec(codec: str, subtype: str) -> tuple[str, str]:
    """FFmpeg's encoder and the format of samples that it takes."""
    if codec == "aac":
        return "aac", "fltp"
    if codec == "flac":
        return "flac", "s16" if subtype == "PCM_16" else "s32"
    encoder = _PCM.get(subtype, "pcm_f32le")
    return encoder, {"pcm_s16le": "s16", "pcm_s24le": "s32", "pcm_f32le": "flt"}[encoder]
