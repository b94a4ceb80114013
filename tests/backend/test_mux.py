"""A picture and a sound as one movie: the picture as it was, the sound sample for sample."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import soundfile
from sonic4d.media.video import write_video
from sonic4d.monitor import SILENT, Cancelled, Monitor
from sonic4d.mux import MuxSettings, mux
from sonic4d.protocol import Sonic4DError

RATE = Fraction(24000, 1001)
COUNT = 12
SAMPLES = round(COUNT / RATE * 48000)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A silent movie with B-frames."""
    frames = np.random.default_rng(1).integers(0, 256, (COUNT, 48, 64, 3), dtype=np.uint8)
    write_video(tmp_path / "picture.mp4", frames, RATE)
    return tmp_path / "picture.mp4"


def wav(path: Path, subtype: str = "FLOAT", samples: int = SAMPLES) -> np.ndarray:
    """Stereo noise, as (samples, 2) in the file's own steps."""
    noise = np.random.default_rng(2).uniform(-0.9, 0.9, (samples, 2))
    soundfile.write(path, noise, 48000, subtype=subtype)
    return soundfile.read(path, dtype="float64")[0]


def heard(path: Path) -> np.ndarray:
    """(samples, 2) float64, as decoded."""
    with av.open(str(path)) as movie:
        to_double = av.AudioResampler(format="dbl")
        parts = [new for old in movie.decode(audio=0) for new in to_double.resample(old)]
    return np.concatenate([part.to_ndarray().reshape(-1, 2) for part in parts])


def packets(path: Path) -> list[tuple[bytes, float, float]]:
    with av.open(str(path)) as movie:
        found = [p for p in movie.demux(video=0) if p.dts is not None]
        return [(bytes(p), float(p.pts * p.time_base), float(p.dts * p.time_base)) for p in found]


def run(**settings: Any) -> Path:
    texts = {
        key: str(value) if isinstance(value, Path) else value for key, value in settings.items()
    }
    return mux(MuxSettings.from_json(texts), SILENT)


@pytest.mark.parametrize(
    ("subtype", "codec", "suffix", "step"),
    [
        ("FLOAT", "pcm", ".mov", 0.0),
        ("PCM_24", "pcm", ".mov", 0.0),
        ("PCM_16", "pcm", ".mkv", 0.0),
        ("PCM_24", "flac", ".mp4", 0.0),
        ("PCM_16", "flac", ".mkv", 0.0),
        ("FLOAT", "flac", ".mp4", 2**-24),
    ],
)
def test_lossless_sound_is_the_files_own(
    tmp_path: Path, picture: Path, subtype: str, codec: str, suffix: str, step: float
) -> None:
    samples = wav(tmp_path / "a.wav", subtype)
    movie = run(
        picture=picture, audio=tmp_path / "a.wav", output=tmp_path / f"m{suffix}", codec=codec
    )
    told = heard(movie)
    assert len(told) == SAMPLES
    assert np.abs(told - samples).max() <= step * 1.001


def test_the_picture_is_copied_packet_by_packet(tmp_path: Path, picture: Path) -> None:
    wav(tmp_path / "a.wav")
    movie = run(picture=picture, audio=tmp_path / "a.wav", output=tmp_path / "m.mp4")
    old, new = packets(picture), packets(movie)
    assert [data for data, *_ in new] == [data for data, *_ in old]
    assert np.allclose([times for _, *times in new], [times for _, *times in old], atol=1e-4)
    with av.open(str(movie)) as container:
        assert container.streams.video[0].average_rate == RATE
        sound = container.streams.audio[0]
        assert (sound.codec_context.name, sound.rate) == ("aac", 48000)
        assert sound.codec_context.bit_rate > 300_000


def test_where_the_sound_lies(tmp_path: Path, picture: Path) -> None:
    """It begins 2 frames after the picture, is heard from frame 3 to 5, and the rest is silence."""
    samples = wav(tmp_path / "a.wav", samples=4000)
    job = {"picture": picture, "audio": tmp_path / "a.wav", "codec": "pcm"}
    told = heard(run(**job, output=tmp_path / "later.mov", audio_start=2, heard=[3, 5]))
    first, begin, end = (round(n / RATE * 48000) for n in (2, 3, 5))
    assert np.array_equal(told[begin : first + 4000], samples[begin - first :][: end - begin])
    assert not told[:begin].any()
    assert not told[first + 4000 :].any()
    early = heard(run(**job, output=tmp_path / "early.mov", audio_start=-1))
    cut = round(1 / RATE * 48000)
    assert np.array_equal(early[: 4000 - cut], samples[cut:])


def test_a_folder_of_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "größe"
    folder.mkdir()
    for i in range(9, 12):
        data = cv2.imencode(".png", np.full((33, 65, 3), 20 * i, np.uint8))[1]
        (folder / f"v2_shot_{i}.png").write_bytes(data)
    (folder / "notes.txt").touch()
    samples = wav(tmp_path / "a.wav", samples=6000)
    job = {"picture": folder, "audio": tmp_path / "a.wav", "codec": "flac"}
    movie = run(**job, output=tmp_path / "m.mp4", frame_rate="24")
    with av.open(str(movie)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert [frame.shape for frame in frames] == [(32, 64, 3)] * 3
    assert [round(frame.mean()) for frame in frames] == pytest.approx([180, 200, 220], abs=2)
    assert np.abs(heard(movie) - samples).max() <= 2**-24 * 1.001
    with pytest.raises(Sonic4DError, match="frame_rate"):
        run(**job, output=tmp_path / "m2.mp4")
    (folder / "v2_shot_10.png").write_bytes(b"no picture")
    with pytest.raises(Sonic4DError, match="damaged"):
        run(**job, output=tmp_path / "m2.mp4", frame_rate="24")
    (folder / "v2_shot_10.png").unlink()
    with pytest.raises(Sonic4DError, match="v2_shot_11.png follows number 9"):
        run(**job, output=tmp_path / "m2.mp4", frame_rate="24")
    assert not (tmp_path / "m2.mp4").exists()


def test_what_does_not_fit_is_told(tmp_path: Path, picture: Path) -> None:
    sound = tmp_path / "a.wav"
    wav(sound)
    job = {"picture": picture, "audio": sound, "output": tmp_path / "m.mp4"}
    for change, words in (
        ({"codec": "pcm"}, "pcm sound goes into .mov or .mkv"),
        ({"output": tmp_path / "m.avi"}, "aac sound goes into"),
        ({"picture": sound}, "no picture"),
        ({"picture": tmp_path / "none.mp4"}, "There is no file"),
        ({"audio": picture}, "is not a sound file"),
        ({"output": tmp_path / "no" / "m.mp4"}, "There is no folder"),
        ({"heard": [1]}, "heard"),
        ({"audio_start": 1.5}, "audio_start"),
    ):
        with pytest.raises(Sonic4DError, match=words):
            run(**{**job, **change})
    soundfile.write(sound, np.zeros((100, 4)), 48000)
    with pytest.raises(Sonic4DError, match="4 channels"):
        run(**job)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", "picture.mp4"]


def test_it_can_be_stopped(tmp_path: Path, picture: Path) -> None:
    wav(tmp_path / "a.wav")
    settings = MuxSettings(picture, tmp_path / "a.wav", tmp_path / "m.mp4")
    calls = iter([False] * 3)
    with pytest.raises(Cancelled):
        mux(settings, Monitor(lambda event: None, lambda: next(calls, True)))
    assert not list(tmp_path.glob("*m.mp4*"))
