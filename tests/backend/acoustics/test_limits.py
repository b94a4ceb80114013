"""Shots at the edge of what is possible: finite sound or a clear error, in every mode, never a hang."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from sonic4d.acoustics.render import MODES, render_shot
from sonic4d.geometry.cameras import LOOKING_NORTH
from sonic4d.monitor import Monitor
from sonic4d.protocol import Sonic4DError
from sonic4d.room import Room
from sonic4d.shot import MAX_SOURCES, Shot, ShotSource, shot_from_json

MakeShot = Callable[..., Shot]
Array = npt.NDArray[np.float64]

pytestmark = pytest.mark.timeout(120)


def write_bell(folder: Path, rate_hz: int = 8000, samples: int = 4000) -> None:
    time_s = np.arange(samples) / rate_hz
    soundfile.write(folder / "bell.wav", 0.5 * np.sin(2 * np.pi * 440 * time_s), rate_hz)


def render(shot: Shot) -> tuple[npt.NDArray[np.float32], str]:
    """The sound, and what was said."""
    events: list[dict[str, Any]] = []
    rendered = render_shot(shot, Monitor(events.append, lambda: False))
    assert np.isfinite(rendered.audio).all()
    return rendered.audio, " ".join(event.get("message", "") for event in events)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("side_m", [0.1, 1000.0])
def test_the_smallest_and_a_huge_room(make_shot: MakeShot, mode: str, side_m: float) -> None:
    """The smallest is enlarged around two microphones that don't fit into it, and that is said."""
    shot = make_shot(mode=mode, positions=(0, 0.04, 0), rt60_s=0.3, segments=2)
    write_bell(shot.folder)
    room = Room("shoebox", (0.0, 0.02, 0.0), (side_m,) * 3, 0.0, 0.3 if side_m < 1 else 8.0)
    audio, said = render(replace(shot, room=room))
    assert audio.any()
    assert ("enlarged" in said) == (side_m < 1 and mode != "hifi")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rate_hz", [8000, 192_000])
def test_slow_and_fast_sound_files_keep_time_and_pitch(
    make_shot: MakeShot, mode: str, rate_hz: int
) -> None:
    shot = make_shot(mode=mode, kind="free_field", sample_rate=48_000)
    write_bell(shot.folder, rate_hz, rate_hz // 2)
    audio, _ = render(shot)
    heard = audio[0, 2000:14_000].astype(float)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard)), 1 << 17))
    assert np.argmax(spectrum) * 48_000 / (1 << 17) == pytest.approx(440, abs=1)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rate_hz", [8000, 192_000])
def test_slow_and_fast_shots(make_shot: MakeShot, mode: str, rate_hz: int) -> None:
    shot = make_shot(mode=mode, sample_rate=rate_hz, segments=2)
    write_bell(shot.folder)
    audio, _ = render(shot)
    assert audio.shape == (2, rate_hz // 2)
    assert audio.any()


@pytest.mark.parametrize("mode", MODES)
def test_a_hundred_sources_are_the_sum_of_each(make_shot: MakeShot, mode: str) -> None:
    """Each a hundredth as loud and in the same place: as one."""
    shot = make_shot(mode=mode, segments=1)
    write_bell(shot.folder)
    quiet = replace(shot.sources[0], gain_db=-40.0)
    many = replace(shot, sources=tuple(replace(quiet, name=f"bell {i}") for i in range(100)))
    together, _ = render(many)
    alone, _ = render(shot)
    np.testing.assert_allclose(together, alone, atol=1e-4 * np.abs(alone).max())


@pytest.mark.parametrize("mode", MODES)
def test_a_sound_of_no_length(make_shot: MakeShot, mode: str) -> None:
    shot = make_shot(mode=mode)
    soundfile.write(shot.folder / "bell.wav", np.zeros(0), 8000)
    with pytest.raises(Sonic4DError, match="is empty"):
        render(shot)


@pytest.mark.parametrize("mode", MODES)
def test_a_sound_of_one_sample(make_shot: MakeShot, mode: str) -> None:
    shot = make_shot(mode=mode, kind="free_field")
    soundfile.write(shot.folder / "bell.wav", np.ones(1), 8000)
    audio, _ = render(shot)
    assert audio.any()


@pytest.mark.parametrize("mode", MODES)
def test_a_shot_of_one_frame(make_shot: MakeShot, mode: str) -> None:
    shot = make_shot(mode=mode, frames=1)
    write_bell(shot.folder)
    assert render(shot)[0].shape == (2, round(8000 / 24))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "here"])
@pytest.mark.parametrize("where", ["position", "pose"])
def test_what_is_no_place_is_refused_by_name(make_shot: MakeShot, where: str, value: Any) -> None:
    data = make_shot().to_json()
    if where == "position":
        data["sources"][0]["positions"][3][1] = value
    else:
        data["listener"]["poses"][3][1][3] = value
    named = r"sources\[0\]\.positions" if where == "position" else r"listener\.poses"
    with pytest.raises(Sonic4DError, match=named):
        shot_from_json(data, Path())


@pytest.mark.parametrize("what", ["source", "listener"])
def test_teleporting_is_crossfaded_and_said(make_shot: MakeShot, what: str) -> None:
    """From one side of the room to the other between two frames: no sample jumps more than the tone itself does."""
    far = np.repeat([[-1.5, 2, 0], [1.5, -0.5, 0.5]], 12, axis=0).astype(float)
    poses = np.tile(LOOKING_NORTH, (24, 1, 1))
    if what == "listener":
        poses[:, :3, 3] = far / 2
        shot = make_shot(mode="hifi", frames=24, poses=poses, sample_rate=48_000)
    else:
        shot = make_shot(mode="hifi", frames=24, positions=far, sample_rate=48_000)
    write_bell(shot.folder, 48_000, 48_000)
    audio, said = render(shot)
    assert "crossfaded" in said
    still, _ = render(make_shot(mode="hifi", frames=24, sample_rate=48_000))
    steepest = np.abs(np.diff(audio, axis=1)).max() / np.abs(audio).max()
    usual = np.abs(np.diff(still, axis=1)).max() / np.abs(still).max()
    assert steepest < 3 * usual


def test_more_sources_than_can_be_are_refused(make_shot: MakeShot) -> None:
    shot = make_shot()
    many = replace(shot, sources=shot.sources * (MAX_SOURCES + 1))
    with pytest.raises(Sonic4DError, match="sources"):
        shot_from_json(many.to_json(), Path())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["shoebox", "half_space"])
@pytest.mark.parametrize(
    "place", [(0.0, 0.0, 0.0), (2.0, 1.0, 0.0), (0.0, 1.0, -1.4), (50.0, 0.0, 0.0)]
)
def test_anywhere(
    make_shot: MakeShot, mode: str, kind: str, place: tuple[float, float, float]
) -> None:
    """On top of the listener, on a wall, on the floor, outside: finite and heard."""
    shot = make_shot(mode=mode, kind=kind, positions=place, segments=2)
    write_bell(shot.folder)
    assert render(shot)[0].any()


def test_a_source_is_any_sound_that_can_be_opened(make_shot: MakeShot) -> None:
    """Two channels, 24 bits, 44.1 kHz FLAC."""
    shot = make_shot(mode="hifi", kind="free_field", sample_rate=48_000)
    both = np.random.default_rng(0).uniform(-0.5, 0.5, (22_050, 2))
    soundfile.write(shot.folder / "bell.flac", both, 44_100, subtype="PCM_24")
    source = ShotSource("bell", "bell.flac", shot.sources[0].positions)
    assert render(replace(shot, sources=(source,)))[0].any()
