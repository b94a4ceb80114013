"""A movie's picture, copied packet by packet, with another sound."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av

from ..files import new_file
from ..monitor import Monitor
from ..protocol import Sonic4DError
from .reading import opened
from .sound_track import Sound, SoundTrack


def copy_picture(
    source: Path, target: Path, sound: Callable[[Fraction], Sound], monitor: Monitor
) -> None:
    """Write `target` with the picture of `source`, unchanged and beginning at 0, and the sound that `sound` gives for its
    frame rate. Raises `Sonic4DError`; then nothing is left behind.
    """
    with opened(source) as movie, new_file(target) as work:
        stream = next(iter(movie.streams.video), None)
        if stream is None or not stream.average_rate:
            raise Sonic4DError("no_video", f"{source} has no picture.", "Give a movie.")
        rate, total = stream.average_rate, stream.frames
        options = {"movflags": "+faststart"} if target.suffix.lower() != ".mkv" else {}
        try:
            with av.open(str(work), "w", options=options) as out:
                copied = _copy_of(out, stream)
                track = SoundTrack(out, sound(rate))
                begin = stream.start_time or 0
                count = 0
                for packet in movie.demux(stream):
                    if packet.dts is None:  # the end
                        continue
                    packet.dts -= begin
                    packet.pts -= begin
                    packet.stream = copied
                    out.mux(packet)
                    count += 1
                    track.write_until(count / rate)
                    monitor.progress("mux", count, max(total, count))
                track.close()
        except av.error.FFmpegError as error:
            raise OSError(error.errno, error.strerror or str(error)) from None
        if not count:
            raise Sonic4DError("no_video", f"{source} has no picture.", "Render it again.")


def _copy_of(out: av.container.OutputContainer, stream: av.VideoStream) -> av.VideoStream:
    try:
        return out.add_stream_from_template(stream)
    except ValueError:
        raise Sonic4DError(
            "bad_container",
            f"A picture in {stream.codec_context.name} can't go into {Path(out.name).suffix}.",
            "Choose .mkv or .mov.",
        ) from None
