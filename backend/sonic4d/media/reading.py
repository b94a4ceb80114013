"""Opening and decoding what FFmpeg reads, also where it is damaged. Shared by picture and sound."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import InputContainer

from ..protocol import Sonic4DError

SEEK_MARGIN_S = 0.5  # decoders need a little before the first sample or picture that is wanted


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """A media file, open for reading. Raises `Sonic4DError` where there is none or FFmpeg doesn't know it."""
    if path.is_dir():
        raise Sonic4DError("missing_file", f"{path} is a folder.", "Give a file.")
    if not path.is_file():
        raise Sonic4DError("missing_file", f"There is no file {path}.", "Check the path.")
    try:
        # Only local files: a playlist that poses as a video must not reach the network.
        container = av.open(
            f"file:{path.resolve()}",
            container_options={"protocol_whitelist": "file"},
            metadata_errors="replace",
        )
    except PermissionError:
        raise Sonic4DError(
            "unreadable_file", f"{path} can't be read.", "Check the file's permissions."
        ) from None
    except (av.error.FFmpegError, OSError, ValueError):
        raise Sonic4DError(
            "not_media",
            f"{path} is not a video or sound file that FFmpeg can read, or it is damaged.",
            "Check that the file plays elsewhere, or convert it to MP4.",
        ) from None
    with container:
        yield container


def zero_s(container: InputContainer) -> float:
    """Where a file's own time line begins, in seconds; times everywhere else count from here."""
    return (container.start_time or 0) / av.time_base


def decoded(
    container: InputContainer,
    stream: av.VideoStream | av.AudioStream,
    start_s: float,
) -> Iterator[av.VideoFrame | av.AudioFrame | None]:
    """Decode `stream` from somewhat before `start_s` to its end; None stands for data that can't be decoded.

    Raw streams that can't be searched are decoded from their beginning.
    """
    stream.thread_type = "AUTO"
    if start_s > SEEK_MARGIN_S:
        target_s = start_s - SEEK_MARGIN_S + zero_s(container)
        with contextlib.suppress(av.error.FFmpegError):
            container.seek(int(target_s / stream.time_base), stream=stream)
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            frames = packet.decode() if packet is not None else stream.decode(None)
        except av.error.EOFError:
            return
        except (av.error.FFmpegError, ValueError):
            frames = [None]
        yield from frames
        if packet is None:
            return
