"""Pictures in and out: any video FFmpeg reads as frames at a constant rate; H.264 with sound as output."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.sidedata.sidedata import Type as SideData
from av.video.reformatter import Colorspace, Interpolation

from ..files import new_file
from ..monitor import SILENT, Monitor
from ..protocol import Sonic4DError
from .reading import decoded, opened, zero_s
from .sound_track import Sound, SoundTrack

Frame = npt.NDArray[np.uint8]  # (H, W, 3) RGB

MAX_CLIP_BYTES = 2 << 30  # of RGB; the stages that follow need several times as much
MIN_SIDE_PX = 32
USUAL_RATES = tuple(
    Fraction(rate)
    for rate in ("24000/1001", "24", "25", "30000/1001", "30", "48", "50", "60000/1001", "60")
) + tuple(Fraction(rate) for rate in ("10", "12", "15", "20", "90", "100", "120000/1001", "120"))
BT709, UNTAGGED = 1, 2  # AVCOL_SPC_BT709, AVCOL_SPC_UNSPECIFIED


@dataclass(frozen=True)
class Clip:
    """A stretch of a video at a constant rate.

    frames (n, H, W, 3) uint8 RGB; H and W are even. Frame i is the picture at `start_s + i / frame_rate` seconds of the file.
    source_size: width and height of the picture as shown, before it was scaled. focal_35mm_mm: 35 mm-equivalent focal
    length where the metadata tell it.
    """

    frames: npt.NDArray[np.uint8]
    frame_rate: Fraction
    start_s: float
    source_size: tuple[int, int]
    focal_35mm_mm: float | None
    warnings: tuple[str, ...]


def read_clip(
    path: Path,
    start_s: float = 0.0,
    duration_s: float | None = None,
    max_frames: int = 300,
    height: int = 360,
    monitor: Monitor = SILENT,
) -> Clip:
    """Read a clip as a player would show it: turned upright, square pixels, on black where it is transparent.

    Pictures are scaled to `height` while they are decoded (never enlarged). Variable frame rates become the constant
    rate nearest to the average, by the picture nearest in time. Only the part asked for is decoded.
    Raises `Sonic4DError`.
    """
    with opened(path) as container:
        stream = _video_stream(container, path)
        rate = _constant_rate(stream, path)
        wanted = math.inf if duration_s is None else max(1, round(duration_s * rate))
        limit = int(min(wanted, max_frames))
        length_s = _length_s(container, stream)
        there = math.inf if length_s is None else math.ceil((length_s - start_s) * rate)
        expected = max(1, int(min(limit, there)))

        tally = _Tally()
        shown = _shown(container, stream, rate, start_s, tally, monitor)
        pictures = _at_constant_rate(shown, rate, start_s)
        first = next(pictures, None)
        if first is None:
            raise _nothing_there(path, start_s, tally.last_s)
        begin_s, frame = first
        source_size = _shown_size(frame, stream.sample_aspect_ratio)
        size = _scaled_size(source_size, height, path)
        _check_memory(expected, size)
        frames: list[Frame] = []
        converted = None
        for _, frame in itertools.chain([first], itertools.islice(pictures, limit - 1)):
            # A picture that is shown longer than one frame is converted once.
            frames.append(frames[-1] if frame is converted else _rgb(frame, size))
            converted = frame
            _check_memory(len(frames), size)
            monitor.progress("video", len(frames), max(expected, len(frames)))
        goes_on = len(frames) == max_frames < wanted and next(pictures, None) is not None
        focal = _focal_35mm_mm(container, stream)

    end_s = float(begin_s + len(frames) / rate)
    warnings = []
    if goes_on:
        warnings.append(
            f"The clip is longer than {max_frames} frames: only {float(begin_s):.2f} to {end_s:.2f} s "
            "are used. Choose the part with --start and --duration, or raise --max-frames."
        )
    # Lengths in headers include the sound, which may be a little longer.
    incomplete = length_s is not None and len(frames) < expected - max(2, rate / 2)
    if tally.undecodable or incomplete:
        warnings.append(
            f"The video is damaged or incomplete; {len(frames)} frames up to {end_s:.2f} s could be read."
        )
    return Clip(np.stack(frames), rate, float(begin_s), source_size, focal, tuple(warnings))


def read_pictures(
    path: Path, start_s: float, numbers: Sequence[int], height: int, monitor: Monitor = SILENT
) -> Iterator[tuple[int, Frame]]:
    """Some frames of the clip that `read_clip` reads from `start_s` on, one at a time, at another `height`.

    numbers: of the frames, ascending, from 0. Where the file ends early, its last picture stands for the rest. Raises
    `Sonic4DError`.
    """
    with opened(path) as container:
        stream = _video_stream(container, path)
        rate = _constant_rate(stream, path)
        tally = _Tally()
        shown = _shown(container, stream, rate, start_s, tally, monitor)
        pictures = enumerate(_at_constant_rate(shown, rate, start_s))
        index, frame = -1, None
        for number in numbers:
            while index < number and (following := next(pictures, None)) is not None:
                index, (_, frame) = following
            if frame is None:
                raise _nothing_there(path, start_s, tally.last_s)
            shown_size = _shown_size(frame, stream.sample_aspect_ratio)
            yield number, _rgb(frame, _scaled_size(shown_size, height, path))


@dataclass
class _Tally:
    """What happened while a stream was decoded."""

    undecodable: int = 0
    last_s: float = -math.inf


def _shown(
    container: InputContainer,
    stream: av.VideoStream,
    rate: Fraction,
    start_s: float,
    tally: _Tally,
    monitor: Monitor,
) -> Iterator[tuple[float, av.VideoFrame]]:
    """Pictures with ascending times."""
    for frame in _progressive(decoded(container, stream, start_s)):
        monitor.check()
        if frame is None:
            tally.undecodable += 1
            continue
        time_s = max(tally.last_s, -1 / rate) + 1 / rate
        if frame.time is not None:
            time_s = frame.time - zero_s(container)
        if time_s > tally.last_s:
            tally.last_s = time_s
            yield time_s, frame


def _check_memory(count: int, size: tuple[int, int]) -> None:
    if count * size[0] * size[1] * 3 > MAX_CLIP_BYTES:
        raise Sonic4DError(
            "too_large",
            f"{count} frames of {size[0]}x{size[1]} pixels do not fit into memory.",
            "Give a smaller --height, --max-frames or --duration.",
        )


def _video_stream(container: InputContainer, path: Path) -> av.VideoStream:
    """The first video stream that isn't a cover picture."""
    for stream in container.streams.video:
        cover = av.stream.Disposition.attached_pic in stream.disposition
        if not cover and stream.codec_context is not None:
            return stream
    raise Sonic4DError("no_video", f"{path} has no picture.", "Give a video file.")


def _length_s(container: InputContainer, stream: av.VideoStream) -> float | None:
    """How far the pictures reach on the file's time line, where the file says so."""
    if stream.duration is not None and stream.start_time is not None:
        return float((stream.start_time + stream.duration) * stream.time_base) - zero_s(container)
    return None if container.duration is None else container.duration / av.time_base


def _nothing_there(path: Path, start_s: float, last_s: float) -> Sonic4DError:
    if start_s > 0:
        where = (
            f"its last picture is at {last_s:.2f} s" if math.isfinite(last_s) else "it ends before"
        )
        return Sonic4DError(
            "bad_start",
            f"{path.name} has no picture at {start_s:g} s; {where}.",
            "Give an earlier --start.",
        )
    return Sonic4DError(
        "no_frames",
        f"{path.name} has no picture that can be decoded.",
        "Check that the file plays elsewhere, or convert it to MP4.",
    )


def _constant_rate(stream: av.VideoStream, path: Path) -> Fraction:
    """The exact rate a stream is read at: the usual rate nearest to its average if within 2 %, else the average itself."""
    told = (stream.average_rate, stream.guessed_rate)
    if stream.duration is None and stream.container.duration is None:
        told = told[::-1]  # a raw stream without times: its average is the demuxer's default
    rate = next((r for r in told if r and 1 <= r <= 240), None) or _measured_rate(path)
    usual = min(USUAL_RATES, key=lambda known: abs(known / rate - 1))
    return usual if abs(usual / rate - 1) <= 0.02 else rate.limit_denominator(1001)


def _measured_rate(path: Path) -> Fraction:
    """From the time stamps of the first pictures, where the header tells nothing or nonsense. 25 for a single picture."""
    with opened(path) as container:
        stream = _video_stream(container, path)
        packets = itertools.islice(container.demux(stream), 200)
        stamps = sorted({packet.pts for packet in packets if packet.pts is not None})
        if len(stamps) < 2:
            return Fraction(25)
        step_s = stream.time_base * (stamps[-1] - stamps[0]) / (len(stamps) - 1)
        return min(max(1 / step_s, Fraction(1)), Fraction(240))


def _at_constant_rate(
    shown: Iterable[tuple[float, av.VideoFrame]], rate: Fraction, start_s: float
) -> Iterator[tuple[Fraction, av.VideoFrame]]:
    """Pictures with ascending times in seconds -> (time, picture) every 1 / rate seconds, by the picture nearest in time.

    The first is the one nearest to `start_s`; the grid lies on its own time, so that a constant rate stays untouched.
    """
    step = 1 / rate
    target = previous = None
    for time_s, frame in shown:
        current = (Fraction(time_s), frame)
        before = previous or current
        if target is None:
            if time_s < start_s:
                previous = current
                continue
            nearest = min(before, current, key=lambda item: abs(item[0] - Fraction(start_s)))
            near = nearest[0] <= start_s + step and (nearest[0] >= start_s - step)
            target = nearest[0] if near or previous is None else Fraction(start_s)
        while target <= current[0]:
            yield target, (before if target - before[0] < current[0] - target else current)[1]
            target += step
        previous = current
    if previous is None:
        return
    if target is None:
        target = previous[0] if previous[0] >= start_s - step else math.inf
    while target <= previous[0] + step / 2:
        yield target, previous[1]
        target += step


def _progressive(frames: Iterable[av.VideoFrame | None]) -> Iterator[av.VideoFrame | None]:
    """Interlaced pictures with their fields merged into one picture (FFmpeg's yadif); others as they are."""
    frames = iter(frames)
    first = next((frame for frame in frames if frame is not None), None)
    if first is None:
        return
    frames = itertools.chain([first], frames)
    if not first.interlaced_frame:
        yield from frames
        return
    graph = av.filter.Graph()
    chain = [
        graph.add_buffer(
            width=first.width, height=first.height, format=first.format, time_base=first.time_base
        ),
        graph.add("yadif", "deint=interlaced"),
        graph.add("buffersink"),
    ]
    graph.link_nodes(*chain).configure()
    for frame in itertools.chain(frames, [None]):
        graph.push(frame)
        while True:
            try:
                yield graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                break


def _orientation(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """(transpose, then flip the columns, flip the rows) by the display matrix of ISO 14496-12."""
    data = frame.side_data.get(SideData.DISPLAYMATRIX)
    if data is None:
        return False, False, False
    a, b, _, c, d = np.frombuffer(bytes(data), "<i4")[:5].tolist()
    if abs(a) >= abs(b):
        return False, a < 0, d < 0
    return True, c < 0, b < 0


def _shown_size(frame: av.VideoFrame, pixel_aspect: Fraction | None) -> tuple[int, int]:
    """Width and height of the upright picture with square pixels."""
    aspect = pixel_aspect if pixel_aspect and 0.1 <= pixel_aspect <= 10 else Fraction(1)
    width, height = max(1, round(frame.width * aspect)), frame.height
    return (height, width) if _orientation(frame)[0] else (width, height)


def _scaled_size(shown: tuple[int, int], height: int, path: Path) -> tuple[int, int]:
    """The size to work at: even, at most `height` high, same aspect."""
    even_height = min(height, shown[1]) // 2 * 2
    even_width = 2 * round(shown[0] * even_height / shown[1] / 2)
    if min(even_width, even_height) < MIN_SIDE_PX:
        raise Sonic4DError(
            "too_small",
            f"The picture of {path.name} would be {even_width}x{even_height} pixels small.",
            f"It needs at least {MIN_SIDE_PX} pixels each way; raise --height or use another clip.",
        )
    return even_width, even_height


def _rgb(frame: av.VideoFrame, size: tuple[int, int]) -> Frame:
    """A decoded picture, upright and scaled to `size` (width, height)."""
    transpose, flip_columns, flip_rows = _orientation(frame)
    width, height = reversed(size) if transpose else size
    # Untagged video follows the convention of its size: BT.709 from 720 lines on, else BT.601.
    untagged_hd = frame.colorspace == UNTAGGED and frame.height >= 720
    transparent = any(component.is_alpha for component in frame.format.components)
    picture = frame.reformat(
        width,
        height,
        "rgba" if transparent else "rgb24",
        src_colorspace=Colorspace.ITU709 if untagged_hd else None,
        interpolation=Interpolation.BICUBIC,
    ).to_ndarray()
    if transparent:
        alpha = picture[..., 3:].astype(np.uint16)
        picture = ((picture[..., :3] * alpha + 127) // 255).astype(np.uint8)
    if transpose:
        picture = picture.transpose(1, 0, 2)
    return picture[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]


def _focal_35mm_mm(container: InputContainer, stream: av.VideoStream) -> float | None:
    """35 mm-equivalent focal length as phones write it (com.apple.quicktime…, EXIF's FocalLengthIn35mmFilm)."""
    for key, value in {**container.metadata, **stream.metadata}.items():
        if "focal" in key.lower() and "35mm" in key.lower().replace("_", "").replace("-", ""):
            try:
                focal = float(Fraction(value.lower().removesuffix("mm").strip()[:20]))
            except (ValueError, ZeroDivisionError, OverflowError):
                continue
            if 4 <= focal <= 2000:
                return focal
    return None


def write_video(
    path: Path,
    frames: Iterable[Frame],
    rate: Fraction,
    audio: Path | Sound | None = None,
    monitor: Monitor = SILENT,
    total: int = 0,
    stage: str = "write",
) -> None:
    """Write (H, W, 3) RGB frames of even size as H.264 (yuv420p, BT.709, CRF 18), in MP4 or what the suffix says, with a
    sound file, as AAC if it is given as a path.

    `total`: how many frames, for the progress. The sound is as long as the pictures: cut, or followed by silence.
    Raises `Sonic4DError` where it can't be written; then nothing is left behind.
    """
    frames = iter(frames)
    first = next(frames)
    with new_file(path) as work:
        try:
            with av.open(str(work), "w", options={"movflags": "+faststart"}) as out:
                video = out.add_stream("libx264", rate, options={"crf": "18"})
                video.height, video.width = first.shape[:2]
                video.pix_fmt = "yuv420p"
                video.codec_context.time_base = 1 / rate
                video.codec_context.colorspace = BT709
                sound = None
                if audio is not None:
                    sound = SoundTrack(out, Sound(audio) if isinstance(audio, Path) else audio)
                for index, picture in enumerate(itertools.chain([first], frames)):
                    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
                    frame = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
                    frame.pts, frame.time_base = index, 1 / rate
                    out.mux(video.encode(frame))
                    if sound is not None:
                        sound.write_until((index + 1) / rate)
                    monitor.progress(stage, index + 1, total)
                out.mux(video.encode(None))
                if sound is not None:
                    sound.close()
        except av.error.FFmpegError as error:
            raise OSError(error.errno, error.strerror or str(error)) from None
