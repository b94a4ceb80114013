"""A shot's finished file: in time, of the right length and level, and clear words where it can't be made."""

from __future__ import annotations

import math
import resource
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyloudnorm
import pytest
import soundfile
from sonic4d.acoustics import levels, render
from sonic4d.acoustics.image_source import SPEED_OF_SOUND
from sonic4d.acoustics.levels import true_peak
from sonic4d.acoustics.render import render_shot, render_to_file
from sonic4d.monitor import SILENT, Cancelled, Monitor
from sonic4d.protocol import Sonic4DError
from sonic4d.shot import Normalize, Shot

MakeShot = Callable[..., Shot]


def write(shot: Shot, samples: np.ndarray, rate: int | None = None, name: str = "bell.wav") -> None:
    path = shot.folder / name
    subtype = "FLOAT" if path.suffix == ".wav" else None
    soundfile.write(path, samples, rate or shot.render.sample_rate, subtype=subtype)


def with_source(shot: Shot, **changes: object) -> Shot:
    return replace(shot, sources=(replace(shot.sources[0], **changes),))


def impulse(samples: int, at: int) -> np.ndarray:
    signal = np.zeros(samples, dtype=np.float32)
    signal[at] = 0.5
    return signal


def noise(samples: int, level: float = 0.1) -> np.ndarray:
    return level * np.random.default_rng(0).standard_normal(samples).astype(np.float32)


@pytest.mark.parametrize("mic_spacing_m", [0.0, 2.0])
@pytest.mark.parametrize("segments", ["per_frame", 1])
def test_an_impulse_arrives_when_its_sound_has_travelled(
    make_shot: MakeShot, mic_spacing_m: float, segments: str | int
) -> None:
    shot = make_shot(
        positions=(0.3, 2.1, 0.4), segments=segments, mic_spacing_m=mic_spacing_m, sample_rate=48000
    )
    write(shot, impulse(20000, 4321))
    path = render_to_file(shot, shot.folder / "out.wav", SILENT)
    audio, rate = soundfile.read(path)
    assert rate == 48000
    for ear, side in enumerate((-1, 1)):
        distance_m = math.dist((side * mic_spacing_m / 2, 0, 0), (0.3, 2.1, 0.4))
        arrival = 4321 + round(distance_m / SPEED_OF_SOUND * 48000)
        assert np.abs(audio[:, ear]).argmax() == arrival


def test_other_rates_are_resampled_in_time(make_shot: MakeShot) -> None:
    shot = make_shot(kind="free_field", mic_spacing_m=0, sample_rate=48000)
    write(shot, impulse(22050, 11025), 44100)
    audio = render_shot(with_source(shot, start_s=-0.1), SILENT).audio
    arrival = 12000 - 4800 + 2 / SPEED_OF_SOUND * 48000
    assert np.abs(audio[0]).argmax() == round(arrival)


@pytest.mark.parametrize(
    ("frame_rate", "frames"), [("24000/1001", 7), ("30000/1001", 101), ("25", 1), ("60", 61)]
)
@pytest.mark.parametrize("sample_rate", [48000, 44100])
def test_the_file_is_as_long_as_the_shot(
    make_shot: MakeShot, frame_rate: str, frames: int, sample_rate: int
) -> None:
    shot = make_shot(
        kind="free_field", frame_rate=frame_rate, frames=frames, sample_rate=sample_rate
    )
    write(shot, noise(1000))
    path = render_to_file(shot, shot.folder / "out.wav", SILENT)
    expected = round(frames / shot.frame_rate * sample_rate)
    assert soundfile.info(path).frames == expected
    assert soundfile.info(path).subtype == "FLOAT"


@pytest.mark.parametrize(("start_s", "first"), [(0.25, 2000), (-0.05, 0), (0.0, 0)])
def test_a_source_starts_when_it_should(make_shot: MakeShot, start_s: float, first: int) -> None:
    shot = make_shot(kind="free_field", mic_spacing_m=0)
    write(shot, np.arange(1, 1201, dtype=np.float32) / 1200)
    delay = round(2 / SPEED_OF_SOUND * 8000)
    audio = render_shot(with_source(shot, start_s=start_s), SILENT).audio[0] * 4 * np.pi * 2
    skipped = max(0, -round(start_s * 8000))
    assert audio[first + delay + 500] == pytest.approx((skipped + 501) / 1200, abs=2e-3)
    assert np.abs(audio[: max(0, first + delay - 40)]).max(initial=0) < 1e-6


def test_a_shot_from_the_middle_of_a_long_sound(make_shot: MakeShot) -> None:
    """Exactly the samples that would have been rendered had the shot begun with the sound."""
    shot = make_shot(kind="free_field", sample_rate=16000)
    samples = noise(12 * 22050)
    write(shot, samples, 22050)
    found = render_shot(with_source(shot, start_s=-7.0), SILENT).audio
    long = make_shot(kind="free_field", sample_rate=16000, frames=24 * 9)
    expected = render_shot(long, SILENT).audio[:, 7 * 16000 :][:, : found.shape[1]]
    # Before that, what sounded before the shot is still arriving.
    first = round(2 / SPEED_OF_SOUND * 16000) + 70
    error = np.abs(found - expected)[:, first:].max()
    assert error < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("start_s", [1e6, -1e6])
def test_a_source_that_never_sounds_is_silent_and_told(make_shot: MakeShot, start_s: float) -> None:
    shot = make_shot(normalize=Normalize("peak"))
    write(shot, noise(1000))
    rendered = render_shot(with_source(shot, start_s=start_s), SILENT)
    assert not rendered.audio.any()
    assert "silent" in rendered.warnings[0]


def test_gain_and_mixing_down(make_shot: MakeShot) -> None:
    shot = make_shot(kind="free_field")
    samples = noise(3000)
    write(shot, samples)
    plain = render_shot(shot, SILENT).audio
    write(shot, np.stack([samples * 1.5, samples * 0.5, samples], axis=1))
    louder = render_shot(with_source(shot, gain_db=6.0), SILENT).audio
    assert np.allclose(louder, plain * 10 ** (6 / 20), atol=1e-6)


def test_peak_normalisation_is_equation_13(make_shot: MakeShot) -> None:
    shot = make_shot(positions=(1, 1, 0))
    write(shot, noise(4000))
    raw = render_shot(shot, SILENT).audio
    shot = replace(shot, render=replace(shot.render, normalize=Normalize("peak")))
    rendered = render_shot(shot, SILENT)
    assert np.abs(rendered.audio).max() == 1
    assert rendered.levels.peak == 1
    assert np.allclose(rendered.audio, raw / np.abs(raw).max(), atol=1e-6)


def test_loudness_is_met(make_shot: MakeShot) -> None:
    normalize = Normalize("loudness", lufs=-23, true_peak_dbtp=-1)
    shot = make_shot(frames=48, sample_rate=48000, kind="free_field", normalize=normalize)
    write(shot, noise(96000))
    rendered = render_shot(shot, SILENT)
    assert pyloudnorm.Meter(48000).integrated_loudness(rendered.audio.T) == pytest.approx(
        -23, abs=0.1
    )
    assert rendered.levels.loudness_lufs == pytest.approx(-23, abs=0.1)
    assert rendered.levels.true_peak == pytest.approx(true_peak(rendered.audio), rel=1e-4)


@pytest.mark.parametrize("frames", [48, 6])
def test_true_peak_limits_the_loudness_and_levels_short_clips(
    make_shot: MakeShot, frames: int
) -> None:
    normalize = Normalize("loudness", lufs=0, true_peak_dbtp=-6)
    shot = make_shot(frames=frames, sample_rate=48000, kind="free_field", normalize=normalize)
    tone = np.sin(2 * np.pi * 12000 / 48000 * np.arange(96000) + np.pi / 4)  # peaks between samples
    write(shot, tone)
    rendered = render_shot(shot, SILENT)
    assert 20 * np.log10(true_peak(rendered.audio)) == pytest.approx(-6, abs=0.05)
    assert rendered.levels.peak < rendered.levels.true_peak
    assert (rendered.levels.loudness_lufs is None) == (frames == 6)


def test_true_peak_of_a_tone_between_its_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "_CHUNK", 1000)
    tone = np.sin(2 * np.pi * np.arange(4800) / 4 + np.pi / 4).astype(np.float32)
    fade = np.minimum(1, np.minimum(np.arange(4800), np.arange(4800)[::-1]) / 500)
    assert 20 * np.log10(true_peak((tone * fade).astype(np.float32)[None])) == pytest.approx(
        0, abs=0.02
    )


def test_the_tail_is_kept_only_where_asked(make_shot: MakeShot) -> None:
    shot = make_shot(rt60_s=0.3)
    write(shot, noise(shot.sample_count))
    assert render_shot(shot, SILENT).audio.shape[1] == shot.sample_count
    shot = replace(shot, render=replace(shot.render, tail=True))
    tail = render_shot(shot, SILENT).audio[:, shot.sample_count :]
    assert tail.shape[1] == 2399
    assert tail.any()


@pytest.mark.parametrize(
    ("setting", "known"),
    [
        ({"format": "7.1.4"}, '"binaural"'),
        ({"engine": "cuda"}, '"native"'),
    ],
)
def test_what_is_not_available_is_named_with_what_is(
    make_shot: MakeShot, setting: dict[str, str], known: str
) -> None:
    shot = make_shot(**setting)
    write(shot, noise(10))
    with pytest.raises(Sonic4DError, match="not available yet") as caught:
        render_shot(shot, SILENT)
    assert known in caught.value.hint


def test_hostile_sound_files(make_shot: MakeShot) -> None:
    shot = make_shot()
    sound = shot.folder / "bell.wav"

    def message() -> str:
        with pytest.raises(Sonic4DError) as caught:
            render_shot(shot, SILENT)
        assert str(sound) in caught.value.message
        return caught.value.message

    assert "There is no" in message()
    sound.mkdir()
    assert "There is no" in message()
    sound.rmdir()
    for content in (b"", b"RIFF", b"not a sound" * 100):
        sound.write_bytes(content)
        assert "no sound file" in message()
    write(shot, np.zeros(0, np.float32))
    assert "is empty" in message()
    write(shot, np.array([0, np.nan, 0], np.float32))
    assert "not numbers" in message()
    write(shot, np.array([0, np.inf, 0], np.float32))
    assert "not numbers" in message()


@pytest.mark.parametrize("name", ["bell.wav", "bell.flac"])
def test_a_truncated_file_is_refused(make_shot: MakeShot, name: str) -> None:
    shot = with_source(make_shot(), audio=name)
    write(shot, noise(4000), name=name)
    path = shot.folder / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(Sonic4DError) as caught:
        render_shot(shot, SILENT)
    assert "cut short" in caught.value.message or "damaged" in caught.value.message


def test_absurd_gain_is_refused(make_shot: MakeShot) -> None:
    shot = with_source(make_shot(), gain_db=200.0)
    write(shot, np.full(100, 3e38, np.float32))
    with pytest.raises(Sonic4DError, match="Lower its gain"):
        render_shot(shot, SILENT)


def test_a_streamed_wav_without_a_length_is_fine(make_shot: MakeShot) -> None:
    shot = make_shot()
    write(shot, noise(4000))
    expected = render_shot(shot, SILENT).audio
    path = shot.folder / "bell.wav"
    content = path.read_bytes()
    place = content.index(b"data") + 4
    path.write_bytes(content[:place] + b"\xff" * 4 + content[place + 4 :])
    assert np.array_equal(render_shot(shot, SILENT).audio, expected)


def test_absurd_length_is_refused_before_anything_is_read(make_shot: MakeShot) -> None:
    shot = make_shot(frames=1000, frame_rate="1/1000", sample_rate=48000)
    with pytest.raises(Sonic4DError, match="Render it in parts"):
        render_shot(shot, SILENT)


def test_flac_and_a_warning_where_it_clips(make_shot: MakeShot) -> None:
    shot = with_source(make_shot(kind="free_field"), gain_db=60.0)
    write(shot, noise(1000))
    said: list[dict] = []
    monitor = Monitor(said.append, lambda: False)
    path = render_to_file(shot, shot.folder / "out.flac", monitor)
    assert soundfile.info(path).subtype == "PCM_24"
    assert any("clipped" in event.get("message", "") for event in said)
    assert {"event": "artifact", "kind": "audio", "path": str(path)} in said


@pytest.mark.parametrize("name", ["out.mp3", "out", "missing/out.wav", "folder.wav"])
def test_output_that_cannot_be_written_is_told_before_the_work(
    make_shot: MakeShot, name: str
) -> None:
    shot = make_shot()
    (shot.folder / "folder.wav").mkdir()
    with pytest.raises(Sonic4DError) as caught:  # and not that the sound file is missing
        render_to_file(shot, shot.folder / name, SILENT)
    assert caught.value.code in {"bad_option", "missing_folder", "exists"}


def test_a_full_disk_leaves_nothing_behind(make_shot: MakeShot) -> None:
    shot = make_shot(frames=24)
    write(shot, noise(8000))
    before = sorted(shot.folder.iterdir())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(Sonic4DError, match="can't be written"):
            render_to_file(shot, shot.folder / "out.wav", SILENT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(shot.folder.iterdir()) == before


def test_cancelling_leaves_the_old_file(make_shot: MakeShot) -> None:
    shot = make_shot()
    write(shot, noise(8000))
    output = shot.folder / "out.wav"
    output.write_bytes(b"old")
    asked: list[int] = []

    def should_stop() -> bool:
        asked.append(1)
        return len(asked) > 2

    with pytest.raises(Cancelled):
        render_to_file(shot, output, Monitor(lambda event: None, should_stop))
    assert output.read_bytes() == b"old"
    assert len(list(shot.folder.iterdir())) == 2


def test_warnings_come_with_the_result(make_shot: MakeShot) -> None:
    shot = make_shot(positions=(0, 9, 0))
    write(shot, noise(8000))
    assert "enlarged" in render_shot(shot, SILENT).warnings[0]


def test_modes_share_one_table(make_shot: MakeShot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        render.MODES, "fast", lambda shot, signals, monitor: np.stack([*signals] * 2)
    )
    shot = make_shot(mode="fast")
    write(shot, noise(4000))
    assert np.array_equal(render_shot(shot, SILENT).audio[1], noise(4000))


def test_a_file_says_nothing_of_when_it_was_written(make_shot: MakeShot) -> None:
    shot = make_shot(sample_rate=48000)
    write(shot, noise(20000))
    content = render_to_file(shot, shot.folder / "out.wav", SILENT).read_bytes()
    stamp = content.index(b"PEAK") + 12
    assert content[stamp : stamp + 4] == bytes(4)
