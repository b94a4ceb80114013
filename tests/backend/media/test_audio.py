"""Sound tracks and files as mono, in time with the picture."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sonic4d.media.audio import mono_gains, read_mono, write_wav
from sonic4d.media.video import read_clip
from sonic4d.protocol import Sonic4DError

ClipMaker = Callable[..., Path]
RATE = 48000


def tone(seconds: float, hz: float = 500.0, rate: int = RATE) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype("f4")


def clicks(seconds: float, *at_s: float) -> np.ndarray:
    """A short smooth pulse at each time."""
    sound = np.zeros(round(seconds * RATE), np.float32)
    pulse = np.hanning(33)
    for time_s in at_s:
        middle = round(time_s * RATE)
        sound[middle - 16 : middle + 17] = 0.8 * pulse
    return sound


def test_a_wav_is_read_exactly(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-0.9, 0.9, RATE).astype("f4")
    write_wav(tmp_path / "a.wav", noise, RATE)
    np.testing.assert_allclose(read_mono(tmp_path / "a.wav", 0, 1), noise, atol=1e-6)


def test_a_part_of_it_and_silence_around(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-0.9, 0.9, RATE).astype("f4")
    write_wav(tmp_path / "a.wav", noise, RATE)
    part = read_mono(tmp_path / "a.wav", 0.75, 0.5)
    assert part.shape == (RATE // 2,)
    np.testing.assert_allclose(part[: RATE // 4], noise[-RATE // 4 :], atol=1e-6)
    assert not part[RATE // 4 + 100 :].any()


def test_length_is_that_of_the_frames(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", tone(3), RATE)
    rate = Fraction(30000, 1001)
    assert len(read_mono(tmp_path / "a.wav", 0.1, 49 / rate)) == round(49 / rate * RATE)


@pytest.mark.parametrize("rate_hz", [8000, 22050, 44100, 96000])
def test_other_rates_are_resampled_in_place(tmp_path: Path, rate_hz: int) -> None:
    soundfile.write(tmp_path / "a.wav", tone(1, rate=rate_hz), rate_hz, subtype="FLOAT")
    middle = slice(RATE // 10, RATE // 2)
    np.testing.assert_allclose(
        read_mono(tmp_path / "a.wav", 0.25, 0.6)[middle], tone(0.85)[RATE // 4 :][middle], atol=2e-3
    )


def test_surround_is_downmixed(make_clip: ClipMaker) -> None:
    """FL FR FC LFE BL BR: half the sum of Lo and Ro (ITU-R BS.775)."""
    hz = (300, 450, 600, 60, 750, 900)
    sound = 0.3 * np.stack([tone(1, f) for f in hz])
    path = make_clip("clip.mkv", frames=25, sound=sound, layout="5.1", sound_codec="flac")
    mono = read_mono(path, 0, 1)
    spectrum = np.abs(np.fft.rfft(mono)) / (RATE / 2) / 0.15
    surround = 0.5 * math.sqrt(0.5)
    expected = [0.5, 0.5, math.sqrt(0.5), 0.0, surround, surround]
    np.testing.assert_allclose([spectrum[f] for f in hz], expected, atol=0.01)


@pytest.mark.parametrize(
    ("channels", "gains"),
    [
        (("FC",), [1]),
        (("LFE",), [1]),
        (("FL", "FR"), [0.5, 0.5]),
        (("UNK0", "UNK1", "UNK2", "UNK3"), [0.25] * 4),
    ],
)
def test_gains(channels: tuple[str, ...], gains: list[float]) -> None:
    np.testing.assert_allclose(mono_gains(channels), gains)


@pytest.mark.parametrize("count", [7, 8, 9, 16])
def test_many_channels(count: int, tmp_path: Path) -> None:
    """In one after the other, so that none is left out and none counts twice."""
    sound = np.zeros((RATE, count), np.float32)
    for channel in range(count):
        sound[2000 * channel + 4000, channel] = 0.5
    soundfile.write(tmp_path / "a.wav", sound, RATE, subtype="FLOAT")
    mono = read_mono(tmp_path / "a.wav", 0, 1)
    gains = mono[4000 : 4000 + 2000 * count : 2000] / 0.5
    np.testing.assert_allclose(gains, np.full(count, 1 / count), atol=1e-3)


def test_more_than_full_scale_is_brought_down(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", 5 * tone(1), RATE)
    mono = read_mono(tmp_path / "a.wav", 0, 1)
    np.testing.assert_allclose(mono, 2 * tone(1), atol=1e-3)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("clip.mp4", "aac"), ("clip.mkv", "aac"), ("clip.mkv", "libopus"), ("clip.avi", "mp3")],
)
def test_sound_stays_in_time_through_lossy_codecs(
    make_clip: ClipMaker, name: str, codec: str
) -> None:
    sound = np.tile(clicks(3, 0.5, 1.5, 2.5), (2, 1))
    path = make_clip(name, frames=75, sound=sound, sound_codec=codec, options={"g": "10"})
    for start_s in (0.0, 1.0):
        mono = read_mono(path, start_s, 1)
        allowed = 1200 if name.endswith("avi") else 60  # AVI knows no encoder delay
        assert abs(int(np.abs(mono).argmax()) - RATE // 2) < allowed


def test_sound_that_begins_later_than_the_picture(make_clip: ClipMaker) -> None:
    sound = np.tile(clicks(1, 0.25), (2, 1))
    path = make_clip("clip.mkv", frames=50, sound=sound, sound_codec="flac", sound_start_s=0.4)
    mono = read_mono(path, read_clip(path).start_s, 2)
    assert int(mono.argmax()) == pytest.approx(0.65 * RATE, abs=50)
    assert not mono[: int(0.39 * RATE)].any()


def test_milliseconds_in_time_stamps_make_no_clicks(make_clip: ClipMaker) -> None:
    """Matroska rounds time stamps; blocks must follow each other without gaps all the same."""
    path = make_clip("clip.mkv", frames=50, sound=tone(2)[None], layout="mono", sound_codec="flac")
    mono = read_mono(path, 0, 2)
    np.testing.assert_allclose(mono[:-100], tone(2)[:-100], atol=1e-4)


def test_no_sound_track_names_the_choice(make_clip: ClipMaker) -> None:
    with pytest.raises(Sonic4DError, match="no sound track.*--audio FILE") as caught:
        read_mono(make_clip(), 0, 0.4)
    assert caught.value.code == "no_audio"


def test_a_silent_track_is_allowed(make_clip: ClipMaker) -> None:
    path = make_clip(frames=25, sound=np.zeros((2, RATE)))
    assert not read_mono(path, 0, 1).any()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_a_number(tmp_path: Path, value: float) -> None:
    sound = tone(1)
    sound[1000] = value
    soundfile.write(tmp_path / "a.wav", sound, RATE, subtype="FLOAT")
    with pytest.raises(Sonic4DError, match="not numbers"):
        read_mono(tmp_path / "a.wav", 0, 1)


def test_a_file_that_ends_before_the_part_is_silent(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(1), RATE)
    assert not read_mono(tmp_path / "a.wav", 5, 1).any()


def test_an_empty_file_is_told(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(0), RATE)
    with pytest.raises(Sonic4DError, match=r"a\.wav is empty"):
        read_mono(tmp_path / "a.wav", 0, 1)


def test_a_cut_off_file_is_silent_after_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 3 * RATE), RATE)
    path.write_bytes(path.read_bytes()[:-150_000])
    mono = read_mono(path, 0, 3)
    assert mono[:RATE].std() > 0.2
    assert not mono[-RATE // 10 :].any()


def test_what_is_no_sound(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with pytest.raises(Sonic4DError, match="no file"):
        read_mono(path, 0, 1)
    path.write_text("hello")
    with pytest.raises(Sonic4DError, match="not a video or sound file"):
        read_mono(path, 0, 1)


def test_wav_channels_and_precision(tmp_path: Path) -> None:
    stereo = np.stack([tone(0.1), -2 * tone(0.1)])
    write_wav(tmp_path / "a.wav", stereo, 44100)
    read, rate_hz = soundfile.read(tmp_path / "a.wav", dtype="float32")
    assert rate_hz == 44100
    np.testing.assert_array_equal(read.T, stereo)
    assert [file.name for file in tmp_path.iterdir()] == ["a.wav"]


def test_wav_into_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(Sonic4DError, match="no folder"):
        write_wav(tmp_path / "no" / "a.wav", tone(0.1), RATE)
