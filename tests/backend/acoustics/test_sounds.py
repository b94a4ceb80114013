"""Loops, and the files that rendering leaves: dithered samples, the report, stems."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from sonic4d.acoustics.audio_files import write_audio
from sonic4d.acoustics.levels import loudness_range_lu
from sonic4d.acoustics.render import render_to_file
from sonic4d.acoustics.sounds import load_sound
from sonic4d.monitor import SILENT
from sonic4d.shot import Normalize, Shot

MakeShot = Callable[..., Shot]
Array = npt.NDArray[np.float64]


def looped(shot: Shot, start_s: float = 0.0) -> npt.NDArray[np.float32]:
    return load_sound(shot, replace(shot.sources[0], loop=True, start_s=start_s))


def test_a_loop_repeats_sample_by_sample(make_shot: MakeShot) -> None:
    shot = make_shot()
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, 1000)
    soundfile.write(shot.folder / "bell.wav", sound, 8000, subtype="FLOAT")
    expected = np.resize(sound, 4000).astype(np.float32)
    np.testing.assert_allclose(looped(shot), expected, atol=1e-7)
    late = looped(shot, start_s=0.1)
    assert not late[:800].any()
    np.testing.assert_allclose(late[800:], expected[:3200], atol=1e-7)
    np.testing.assert_allclose(
        looped(shot, start_s=-0.05), np.roll(np.resize(sound, 5000), -400)[:4000], atol=1e-6
    )


@pytest.mark.parametrize(("file_rate_hz", "samples"), [(44_100, 4410), (22_050, 1764), (6000, 601)])
def test_a_loop_at_another_rate_has_no_seam_and_does_not_drift(
    make_shot: MakeShot, file_rate_hz: int, samples: int
) -> None:
    """A tone with a whole number of periods in the loop goes on for ever, at exactly its own frequency."""
    shot = make_shot(frames=48)
    periods = 30
    soundfile.write(
        shot.folder / "bell.wav",
        0.5 * np.sin(2 * np.pi * periods * np.arange(samples) / samples),
        file_rate_hz,
        subtype="FLOAT",
    )
    time_s = np.arange(shot.sample_count) / 8000
    expected = 0.5 * np.sin(2 * np.pi * periods * file_rate_hz / samples * time_s)
    np.testing.assert_allclose(looped(shot), expected, atol=2e-4)


@pytest.mark.parametrize(("sample_format", "bits"), [("pcm16", 16), ("pcm24", 24)])
@pytest.mark.parametrize("name", ["out.wav", "out.flac"])
def test_dither_leaves_an_even_noise_and_no_distortion(
    tmp_path: Path, sample_format: str, bits: int, name: str
) -> None:
    """A tone of a fifth of a step: it survives, and the error is 1/4 of a step squared (TPDF) whatever the signal."""
    step = 2.0 ** (1 - bits)
    time = np.arange(1 << 16)
    tone = (0.2 * step * np.sin(2 * np.pi * 0.01 * time)).astype(np.float32)
    write_audio(tmp_path / name, np.stack([tone, tone]), 48_000, sample_format, 0, SILENT)
    found, _ = soundfile.read(tmp_path / name, dtype="float64")
    assert soundfile.info(tmp_path / name).subtype == f"PCM_{bits}"
    error = (found - tone[:, None]) / step
    assert (error**2).mean() == pytest.approx(0.25, rel=0.03)
    assert 2 * (found[:, 0] @ np.sin(2 * np.pi * 0.01 * time)) / len(time) == pytest.approx(
        0.2 * step, rel=0.1
    )
    assert abs(np.corrcoef(error.T)[0, 1]) < 0.02


def test_integers_never_wrap_and_silence_stays_silent(tmp_path: Path) -> None:
    loud = np.array([[2.0, -2.0, 1.0, -1.0, 0.0]], np.float32)
    write_audio(tmp_path / "out.wav", loud, 48_000, "pcm16", 0, SILENT)
    found, _ = soundfile.read(tmp_path / "out.wav", dtype="int16")
    assert found[0] == 32767
    assert found[1] == -32768
    assert found[2] >= 32765
    assert found[3] <= -32766
    assert found[4] == 0


def test_the_same_dither_for_a_seed(tmp_path: Path) -> None:
    tone = np.full((1, 3000), 0.1, np.float32)
    for name, seed in (("a.wav", 1), ("b.wav", 1), ("c.wav", 2)):
        write_audio(tmp_path / name, tone, 48_000, "pcm16", seed, SILENT)
    first, second, third = ((tmp_path / name).read_bytes() for name in ("a.wav", "b.wav", "c.wav"))
    assert first == second != third


@pytest.fixture
def duet(make_shot: MakeShot) -> Callable[..., Shot]:
    def make(**settings: Any) -> Shot:
        shot = make_shot(**settings)
        time_s = np.arange(4000) / 8000
        for name, tone_hz in (("bell.wav", 440), ("horn.wav", 220)):
            soundfile.write(shot.folder / name, 0.3 * np.sin(2 * np.pi * tone_hz * time_s), 8000)
        horn = replace(
            shot.sources[0],
            name="bell",
            audio="horn.wav",
            positions=shot.sources[0].positions + 0.7,
        )
        slashed = replace(horn, name="../bell", gain_db=-3.0)
        return replace(shot, sources=(shot.sources[0], horn, slashed))

    return make


@pytest.mark.parametrize("mode", ["hifi", "paper", "fast"])
def test_stems_add_up_to_the_whole(duet: MakeShot, mode: str) -> None:
    """Also with names that are alike or lead out of the folder."""
    shot = duet(mode=mode, stems=True, normalize=Normalize("loudness"), rt60_s=0.3)
    output = render_to_file(shot, shot.folder / "take.wav", SILENT)
    whole, _ = soundfile.read(output)
    stems = sorted(shot.folder.glob("take.stem-*.wav"))
    assert len(stems) == 3
    total = sum(soundfile.read(stem)[0] for stem in stems)
    np.testing.assert_allclose(total, whole, atol=2e-6)
    assert not list(shot.folder.parent.glob("*.stem-*"))


def test_the_report_tells_levels_and_channels(duet: MakeShot) -> None:
    shot = duet(mode="hifi", frames=120, format="5.1", normalize=Normalize("loudness", -23.0))
    shot = replace(shot, sources=tuple(replace(source, loop=True) for source in shot.sources))
    render_to_file(shot, shot.folder / "take.wav", SILENT)
    report = json.loads((shot.folder / "take.report.json").read_text())
    audio, rate_hz = soundfile.read(shot.folder / "take.wav")
    assert report["channels"] == ["L", "R", "C", "LFE", "Ls", "Rs"]
    assert report["samples"] == len(audio)
    assert report["sample_rate"] == rate_hz
    assert report["loudness_lufs"] == pytest.approx(-23, abs=0.1)
    assert report["sample_peak_dbfs"] == pytest.approx(20 * np.log10(np.abs(audio).max()), abs=0.01)
    assert report["true_peak_dbtp"] >= report["sample_peak_dbfs"]
    assert report["loudness_range_lu"] < 5
    assert report["warnings"] == []


def test_loudness_range_of_the_documented_tone() -> None:
    """EBU Tech 3342, table 1, case 1: 1 kHz at -20 dBFS for 20 s, then at -30 dBFS: 10 LU, within 1."""
    rate_hz = 48_000
    tone = np.sin(2 * np.pi * 1000 * np.arange(20 * rate_hz) / rate_hz)
    steps = np.concatenate([tone * 10 ** (level / 20) for level in (-20, -30)])
    found = loudness_range_lu(np.stack([steps, steps]).astype(np.float32), rate_hz)
    assert found == pytest.approx(10, abs=1)
