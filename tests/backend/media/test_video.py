"""Reading clips of every kind, and writing them."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from sonic4d.media import video
from sonic4d.media.video import read_clip, read_pictures, write_video
from sonic4d.monitor import Cancelled, Monitor
from sonic4d.protocol import Sonic4DError

ClipMaker = Callable[..., Path]


def indices(frames: np.ndarray) -> list[int]:
    """Which pictures of a default clip these are (see conftest.grey_level)."""
    return [round((float(frame.mean()) - 20) / 6) for frame in frames]


def corners(width: int, height: int) -> np.ndarray:
    """Red, green, blue, white from the upper left corner clockwise, on black."""
    picture = np.zeros((height, width, 3), np.uint8)
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]
    h, w = height // 2, width // 2
    for (row, column), colour in zip([(0, 0), (0, w), (h, w), (h, 0)], colours, strict=True):
        picture[row : row + h, column : column + w] = colour
    return picture


def corner_colours(frame: np.ndarray) -> str:
    """The colours of the four quarters' middles, clockwise from the upper left, as letters."""
    height, width = frame.shape[:2]
    letters = ""
    for y, x in [(1, 1), (1, 3), (3, 3), (3, 1)]:
        pixel = frame[y * height // 4, x * width // 4] > 128
        letters += {(1, 0, 0): "r", (0, 1, 0): "g", (0, 0, 1): "b", (1, 1, 1): "w"}.get(
            tuple(pixel.astype(int)), "?"
        )
    return letters


def test_reads_every_frame_at_the_exact_rate(make_clip: ClipMaker) -> None:
    clip = read_clip(make_clip(frames=30, rate=Fraction(24000, 1001)))
    assert clip.frames.shape == (30, 48, 64, 3)
    assert indices(clip.frames) == list(range(30))
    assert clip.frame_rate == Fraction(24000, 1001)
    assert (clip.start_s, clip.source_size, clip.warnings) == (0.0, (64, 48), ())


def test_matroska_time_stamps_in_milliseconds_lose_no_frame(make_clip: ClipMaker) -> None:
    clip = read_clip(make_clip("clip.mkv", frames=36, rate=Fraction(30000, 1001)))
    assert clip.frame_rate == Fraction(30000, 1001)
    assert indices(clip.frames) == list(range(36))


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_start_and_duration_choose_the_part(make_clip: ClipMaker, name: str) -> None:
    path = make_clip(name, frames=36, rate=25, options={"g": "7"})
    clip = read_clip(path, start_s=0.4, duration_s=0.32)
    assert indices(clip.frames) == list(range(10, 18))
    assert clip.start_s == pytest.approx(0.4, abs=1e-3)
    assert clip.warnings == ()


def test_a_start_between_two_frames_takes_the_nearest(make_clip: ClipMaker) -> None:
    clip = read_clip(make_clip(frames=10, rate=10), start_s=0.26)
    assert indices(clip.frames) == list(range(3, 10))
    assert clip.start_s == pytest.approx(0.3)


def test_a_long_clip_is_cut_with_a_warning(make_clip: ClipMaker) -> None:
    clip = read_clip(make_clip(frames=30), max_frames=12)
    assert len(clip.frames) == 12
    assert "0.00 to 0.48 s" in clip.warnings[0]
    assert "--duration" in clip.warnings[0]


def test_a_clip_of_just_max_frames_is_not_warned_about(make_clip: ClipMaker) -> None:
    clip = read_clip(make_clip(frames=12), max_frames=12)
    assert len(clip.frames) == 12
    assert clip.warnings == ()


def test_only_the_part_asked_for_is_decoded(
    make_clip: ClipMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_clip(frames=600, options={"g": "10"})
    seen = itertools.count()
    monitor = Monitor(
        lambda event: None, lambda: next(seen) > 80
    )  # asked once a decoded frame or so
    clip = read_clip(path, start_s=20, duration_s=0.2, monitor=monitor)
    assert indices(clip.frames) == [i % 36 for i in range(500, 505)]


def test_variable_rate_becomes_constant_by_the_nearest_picture(make_clip: ClipMaker) -> None:
    stamps = [0.0, 0.04, 0.08, 0.20, 0.24, 0.28, 0.32]  # pictures for 0.12 and 0.16 s are missing
    clip = read_clip(make_clip("clip.mkv", frames=7, stamps=stamps, rate=25))
    assert clip.frame_rate == 25
    shown = indices(clip.frames)
    assert shown == [0, 1, 2, 2, 3, 3, 4, 5, 6]


def test_a_nonsense_rate_is_measured_instead(make_clip: ClipMaker) -> None:
    path = make_clip("clip.mkv", frames=20, stamps=[i / 25 for i in range(20)], rate=1000)
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == 1000
    clip = read_clip(path)
    assert clip.frame_rate == 25
    assert indices(clip.frames) == list(range(20))


def test_a_raw_stream_has_its_own_rate_and_is_not_damaged(make_clip: ClipMaker) -> None:
    clip = read_clip(make_clip("clip.h264", frames=20, rate=24))
    assert (len(clip.frames), clip.frame_rate, clip.warnings) == (20, 24, ())


def test_never_enlarges_and_keeps_the_aspect(make_clip: ClipMaker) -> None:
    path = make_clip(frames=2, size=(128, 96))
    assert read_clip(path).frames.shape[1:3] == (96, 128)
    assert read_clip(path, height=48).frames.shape[1:3] == (48, 64)


def test_odd_sizes_become_even(make_clip: ClipMaker) -> None:
    path = make_clip("clip.mkv", frames=2, size=(75, 51), codec="ffv1", pix_fmt="yuv444p")
    clip = read_clip(path)
    assert clip.frames.shape[1:3] == (50, 74)
    assert clip.source_size == (75, 51)


def test_pixels_become_square(make_clip: ClipMaker) -> None:
    clip = read_clip(make_clip(frames=2, size=(64, 96), pixel_aspect=Fraction(2)))
    assert clip.source_size == (128, 96)
    assert clip.frames.shape[1:3] == (96, 128)


@pytest.mark.parametrize(
    ("counter_clockwise", "colours", "size"),
    [(90, "gbwr", (48, 64)), (180, "bwrg", (64, 48)), (-90, "wrgb", (48, 64))],
)
def test_pictures_are_turned_upright(
    make_clip: ClipMaker, counter_clockwise: int, colours: str, size: tuple[int, int]
) -> None:
    path = make_clip(frames=[corners(64, 48)] * 3, rotation=counter_clockwise)
    clip = read_clip(path)
    assert corner_colours(clip.frames[1]) == colours
    assert clip.source_size == size
    assert clip.frames.shape[1:3] == size[::-1]


def test_mirrored_pictures_are_mirrored_back(make_clip: ClipMaker) -> None:
    path = make_clip(frames=[corners(64, 48)] * 3, rotation=180)
    data = path.read_bytes()
    turned, mirrored = (
        b"".join(value.to_bytes(4, "big", signed=True) for value in (a, 0, 0, 0, d))
        for a, d in [(-65536, -65536), (-65536, 65536)]
    )
    assert turned in data
    path.write_bytes(data.replace(turned, mirrored))
    assert corner_colours(read_clip(path).frames[1]) == "grwb"


def test_transparent_parts_are_black(make_clip: ClipMaker) -> None:
    picture = np.full((48, 64, 4), 255, np.uint8)
    picture[:, 32:, 3] = 0
    path = make_clip("clip.mov", frames=[picture] * 2, codec="qtrle", pix_fmt="argb")
    frame = read_clip(path).frames[0]
    assert (frame[:, :30] == 255).all()
    assert (frame[:, 34:] == 0).all()


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "name"),
    [
        ("ffv1", "gray", "clip.mkv"),
        ("ffv1", "yuv420p10le", "clip.mkv"),
        ("ffv1", "gray16le", "clip.mkv"),
        ("mpeg2video", "yuv420p", "clip.mpg"),
        ("libvpx-vp9", "yuv420p", "clip.webm"),
        ("mjpeg", "yuvj420p", "clip.avi"),
        ("gif", "rgb8", "clip.gif"),
    ],
)
def test_formats(make_clip: ClipMaker, codec: str, pix_fmt: str, name: str) -> None:
    clip = read_clip(make_clip(name, codec=codec, pix_fmt=pix_fmt))
    assert len(clip.frames) == 10
    assert clip.frame_rate == 25
    level = clip.frames.mean(axis=(1, 2, 3))
    tolerance = 20 if pix_fmt == "rgb8" else 4
    np.testing.assert_allclose(level, [20 + 6 * i for i in range(10)], atol=tolerance)


def test_interlaced_fields_are_merged(make_clip: ClipMaker) -> None:
    """A bar that moves between the fields must not leave a comb."""
    frames = []
    for i in range(6):
        picture = np.zeros((96, 128, 3), np.uint8)
        for field in (0, 1):
            left = 10 + 16 * i + 8 * field
            picture[field::2, left : left + 12] = 255
        frames.append(picture)
    options = {"flags": "+ildct+ilme", "top": "1", "q": "1"}
    path = make_clip("clip.mpg", frames=frames, size=(128, 96), codec="mpeg2video", options=options)
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).interlaced_frame
    clip = read_clip(path)
    assert len(clip.frames) == 6
    comb = np.abs(np.diff(clip.frames[3, 20:80, :, 0].astype(int), axis=0)).mean()
    raw = np.abs(np.diff(frames[3][20:80, :, 0].astype(int), axis=0)).mean()
    assert comb < 0.35 * raw


BT601, BT709 = (0.3441, 0.7141), (0.1873, 0.4681)


@pytest.mark.parametrize(
    ("height", "tag", "shares"),
    [(720, None, BT709), (720, "bt709", BT709), (720, "smpte170m", BT601), (480, None, BT601)],
)
def test_colour_matrix(
    make_clip: ClipMaker, height: int, tag: str | None, shares: tuple[float, float]
) -> None:
    """As tagged; untagged video is BT.709 from 720 lines on, else BT.601."""
    picture = np.full((height, 64, 3), (40, 200, 90), np.uint8)
    options = {"colorspace": tag, "color_range": "tv"} if tag else {}
    path = make_clip(frames=[picture], size=(64, height), options=options)
    with av.open(str(path)) as container:
        planes = next(container.decode(video=0)).to_ndarray().astype(float)
    quarter = height // 4
    luma, blue, red = np.split(planes, [height, height + quarter])
    y, u, v = (luma.mean() - 16) / 219, (blue.mean() - 128) / 224, (red.mean() - 128) / 224
    green = read_clip(path, height=height).frames[0, ..., 1].mean()
    assert green == pytest.approx(255 * (y - shares[0] * u - shares[1] * v), abs=2)


def test_focal_length_of_a_phone(make_clip: ClipMaker) -> None:
    path = make_clip(
        "clip.mov",
        metadata={"com.apple.quicktime.camera.focal_length.35mm_equivalent": "26"},
        container_options={"movflags": "use_metadata_tags"},
    )
    assert read_clip(path).focal_35mm_mm == 26
    assert read_clip(make_clip()).focal_35mm_mm is None


@pytest.mark.parametrize("value", ["abc", "1/0", "nan", "1e400", "-5", "9" * 400])
def test_nonsense_focal_length_is_ignored(make_clip: ClipMaker, value: str) -> None:
    path = make_clip(
        "clip.mov",
        metadata={"com.apple.quicktime.camera.focal_length.35mm_equivalent": value},
        container_options={"movflags": "use_metadata_tags"},
    )
    assert read_clip(path).focal_35mm_mm is None


def test_one_frame(make_clip: ClipMaker) -> None:
    clip = read_clip(make_clip(frames=1))
    assert len(clip.frames) == 1
    assert clip.warnings == ()


def test_a_picture_is_a_clip_of_one_frame(make_clip: ClipMaker) -> None:
    clip = read_clip(make_clip("still.png", frames=1, codec="png", pix_fmt="rgb24"))
    assert clip.frames.shape == (1, 48, 64, 3)


@pytest.mark.parametrize("keep", [0.5, 0.7])
@pytest.mark.parametrize("name", ["clip.mkv", "clip.mp4", "clip.ts"])
def test_a_cut_off_file_keeps_what_can_be_decoded(
    make_clip: ClipMaker, name: str, keep: float
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (60, 96, 128, 3), np.uint8)
    faststart = {"movflags": "faststart"} if name.endswith("mp4") else None
    path = make_clip(name, list(noise), (128, 96), options={"g": "10"}, container_options=faststart)
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    clip = read_clip(path)
    assert 60 * keep * 0.6 < len(clip.frames) < 60
    if name != "clip.ts":  # a stream that tells no length can't be seen to be too short
        assert "damaged or incomplete" in clip.warnings[0]


def test_garbage_in_the_middle(make_clip: ClipMaker) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (40, 96, 128, 3), np.uint8)
    path = make_clip("clip.mov", list(noise), (128, 96), codec="png", pix_fmt="rgb24")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    path.write_bytes(data)
    clip = read_clip(path)
    assert len(clip.frames) >= 38
    assert "damaged" in clip.warnings[0]


def bad_file(path: Path, content: bytes | None) -> Path:
    if content is not None:
        path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "missing_file"),
        (b"", "not_media"),
        (b"hello, this is a text\n" * 50, "not_media"),
        (bytes(5000), "not_media"),
        (b"\x00\x00\x00\x20ftypisom" + bytes(100), "not_media"),
    ],
)
def test_what_is_no_video(tmp_path: Path, content: bytes | None, code: str) -> None:
    with pytest.raises(Sonic4DError) as caught:
        read_clip(bad_file(tmp_path / "clip.mp4", content))
    assert caught.value.code == code
    assert caught.value.hint


def test_a_folder_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(Sonic4DError, match="is a folder"):
        read_clip(tmp_path)


def test_a_playlist_does_not_reach_the_network(tmp_path: Path) -> None:
    playlist = tmp_path / "clip.mp4"
    playlist.write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"
    )
    with pytest.raises(Sonic4DError):
        read_clip(playlist)


def test_a_sound_file_has_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    soundfile.write(path, np.zeros(4800), 48000)
    with pytest.raises(Sonic4DError) as caught:
        read_clip(path)
    assert caught.value.code == "no_video"


@pytest.mark.parametrize("name", ["clip.mp4", "clip.ts"])
def test_start_beyond_the_end(make_clip: ClipMaker, name: str) -> None:
    path = make_clip(name, frames=10)
    with pytest.raises(Sonic4DError) as caught:
        read_clip(path, start_s=7)
    assert caught.value.code == "bad_start"


def test_memory_guard_names_the_options(
    make_clip: ClipMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "MAX_CLIP_BYTES", 64 * 48 * 3 * 9)
    path = make_clip(frames=10)
    with pytest.raises(Sonic4DError, match="--height, --max-frames or --duration"):
        read_clip(path)
    assert len(read_clip(path, max_frames=9).frames) == 9


def test_large_pictures_are_scaled_as_they_come(
    make_clip: ClipMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "MAX_CLIP_BYTES", 2 << 20)
    big = np.zeros((2160, 3840, 3), np.uint8)
    path = make_clip(frames=[big] * 2, size=(3840, 2160), options={"preset": "ultrafast"})
    assert read_clip(path, height=270).frames.shape == (2, 270, 480, 3)


def test_too_small(make_clip: ClipMaker) -> None:
    with pytest.raises(Sonic4DError) as caught:
        read_clip(make_clip(size=(16, 16)))
    assert caught.value.code == "too_small"


def test_reading_can_be_cancelled(make_clip: ClipMaker) -> None:
    asked = itertools.count()
    monitor = Monitor(lambda event: None, lambda: next(asked) > 3)
    with pytest.raises(Cancelled):
        read_clip(make_clip(frames=30), monitor=monitor)


# Writing


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    frames = np.stack([np.roll(np.tile(ramp[:, None], (48, 1, 3)), i, 1) for i in range(12)])
    path = tmp_path / "out.mp4"
    write_video(path, frames, Fraction(30000, 1001))
    clip = read_clip(path)
    assert clip.frame_rate == Fraction(30000, 1001)
    assert np.abs(clip.frames.astype(int) - frames).mean() < 4
    assert [file.name for file in tmp_path.iterdir()] == ["out.mp4"]


def test_colours_survive(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    colours = np.array([[200, 40, 30], [30, 180, 60], [40, 50, 220], [230, 220, 40]], np.uint8)
    picture = np.repeat(np.repeat(colours.reshape(2, 2, 3), 32, 0), 32, 1)
    write_video(path, [picture] * 3, Fraction(25))
    read = read_clip(path).frames[1]
    for y, x in itertools.product((16, 48), (16, 48)):
        np.testing.assert_allclose(read[y, x].astype(int), picture[y, x], atol=5)


@pytest.mark.parametrize("rate_hz", [48000, 44100])
def test_sound_goes_along(tmp_path: Path, rate_hz: int) -> None:
    time = np.arange(rate_hz) / rate_hz
    sound = tmp_path / "sound.wav"
    soundfile.write(sound, 0.5 * np.sin(2 * np.pi * 440 * time), rate_hz, subtype="FLOAT")
    path = tmp_path / "out.mp4"
    write_video(path, np.zeros((20, 48, 64, 3), np.uint8), Fraction(25), sound)
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        assert (stream.rate, stream.layout.name, stream.codec.name) == (48000, "stereo", "aac")
        decoded = np.concatenate([f.to_ndarray() for f in container.decode(stream)], axis=1)
    assert decoded.shape[1] == pytest.approx(0.8 * 48000, abs=1024)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(38000) / 48000)
    for channel in decoded[:, :38000]:
        assert np.corrcoef(channel, expected)[0, 1] > 0.99


def test_a_failing_source_of_frames_leaves_nothing_behind(tmp_path: Path) -> None:
    def frames() -> Iterator[np.ndarray]:
        yield np.zeros((48, 64, 3), np.uint8)
        raise Cancelled

    with pytest.raises(Cancelled):
        write_video(tmp_path / "out.mp4", frames(), Fraction(25))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_and_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.mp4"
    path.write_text("old")

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(Sonic4DError, match="No space left"):
        write_video(path, np.zeros((3, 48, 64, 3), np.uint8), Fraction(25))
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["out.mp4"]


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(Sonic4DError, match="no folder"):
        write_video(tmp_path / "no" / "out.mp4", np.zeros((1, 48, 64, 3), np.uint8), Fraction(25))


def test_some_pictures_of_a_clip_at_another_size(make_clip: ClipMaker) -> None:
    """The numbers are those of the clip read from the same place; beyond the end the last one stays."""
    path = make_clip(frames=12, size=(96, 64), rate=25)
    clip = read_clip(path, 0.2, height=32)
    found = dict(read_pictures(path, clip.start_s, [1, 4, 6, 9], 1000))
    assert [*found] == [1, 4, 6, 9]
    assert all(picture.shape == (64, 96, 3) for picture in found.values())
    for number in (1, 4, 6):
        assert abs(int(found[number].mean()) - int(clip.frames[number].mean())) <= 2
    assert np.array_equal(found[9], found[6])


def test_no_pictures_are_wanted(make_clip: ClipMaker) -> None:
    assert [*read_pictures(make_clip(), 0.0, [], 100)] == []


def test_pictures_after_the_end(make_clip: ClipMaker) -> None:
    with pytest.raises(Sonic4DError, match=r"no picture at 9 s"):
        next(read_pictures(make_clip(), 9.0, [0], 100))
