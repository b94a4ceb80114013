"""What a source's sound becomes before it is rendered: pitch, envelope, trimming, sound tracks of movies."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from sonic4d.acoustics.early_images import make_walls
from sonic4d.acoustics.sounds import load_sound
from sonic4d.materials import WALLS, reverberation_time_s
from sonic4d.monitor import SILENT
from sonic4d.protocol import Sonic4DError
from sonic4d.room import Room
from sonic4d.shot import Shot, shot_from_json

MakeShot = Callable[..., Shot]
RATE_HZ = 8000  # of the shots


def tone(hz: float, seconds: float) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)


@pytest.mark.parametrize("loop", [False, True])
def test_pitch_plays_faster_and_so_higher(make_shot: MakeShot, loop: bool) -> None:
    shot = make_shot()
    soundfile.write(shot.folder / "bell.wav", tone(400, 0.4), RATE_HZ, subtype="FLOAT")
    heard = load_sound(shot, replace(shot.sources[0], pitch=2.0, loop=loop))
    expected = tone(800, shot.sample_count / RATE_HZ)
    np.testing.assert_allclose(heard[100:1500], expected[100:1500], atol=2e-3)
    assert bool(heard[2000:].any()) == loop  # 0.4 s at twice the pitch last 0.2 s


def test_an_envelope_is_linear_between_frames(make_shot: MakeShot) -> None:
    shot = make_shot()
    soundfile.write(shot.folder / "bell.wav", np.full(4000, 0.5), RATE_HZ, subtype="FLOAT")
    gains = np.linspace(2, 0, shot.frame_count)
    heard = load_sound(shot, replace(shot.sources[0], envelope=gains))
    last = round((shot.frame_count - 1) / float(shot.frame_rate) * RATE_HZ)
    np.testing.assert_allclose(heard[: last + 1], np.linspace(1, 0, last + 1), atol=2e-4)
    assert not heard[last:].any()


def test_a_sound_is_heard_only_between_two_times(make_shot: MakeShot) -> None:
    shot = make_shot()
    soundfile.write(shot.folder / "bell.wav", np.full(4000, 0.5), RATE_HZ, subtype="FLOAT")
    heard = load_sound(shot, replace(shot.sources[0], heard_s=(0.1, 0.25)))
    expected = np.zeros(shot.sample_count)
    expected[800:2000] = 0.5
    np.testing.assert_array_equal(heard, expected.astype(np.float32))
    assert not load_sound(shot, replace(shot.sources[0], heard_s=(-2, -1))).any()


def write_movie(path: Path, sound: np.ndarray) -> None:
    with av.open(str(path), "w") as file:
        stream = file.add_stream("flac" if path.suffix == ".mkv" else "aac", rate=RATE_HZ)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(
            np.round(sound * 32767).astype("<i2")[None], format="s16", layout="mono"
        )
        frame.rate, frame.pts = RATE_HZ, 0
        for packet in (*stream.encode(frame), *stream.encode(None)):
            file.mux(packet)


@pytest.mark.parametrize("loop", [False, True])
def test_the_sound_track_of_a_movie_is_a_sound(make_shot: MakeShot, loop: bool) -> None:
    shot = make_shot()
    write_movie(shot.folder / "clip.mkv", tone(400, 0.3))
    heard = load_sound(shot, replace(shot.sources[0], audio="clip.mkv", loop=loop))
    np.testing.assert_allclose(heard[:2400], tone(400, 0.3), atol=1e-4)
    assert bool(heard[2500:].any()) == loop


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pitch", 0),
        ("pitch", 11),
        ("envelope", [1.0]),
        ("envelope", [-1.0] * 12),
        ("heard_s", [1.0]),
        ("heard_s", 3),
    ],
)
def test_what_is_not_possible_is_refused(make_shot: MakeShot, key: str, value: Any) -> None:
    shot = make_shot()
    data = json.loads(json.dumps(shot.to_json()))
    data["sources"][0][key] = value
    with pytest.raises(Sonic4DError, match=rf"sources\[0\]\.{key}"):
        shot_from_json(data, shot.folder)


def test_a_shot_keeps_them_in_its_file(make_shot: MakeShot) -> None:
    shot = make_shot()
    source = replace(
        shot.sources[0], pitch=1.5, heard_s=(0.5, 1.0), envelope=np.ones(shot.frame_count)
    )
    data = json.loads(json.dumps(replace(shot, sources=(source,)).to_json()))
    again = shot_from_json(data, shot.folder).sources[0]
    assert (again.pitch, again.heard_s) == (1.5, (0.5, 1.0))
    np.testing.assert_array_equal(again.envelope, source.envelope)


@pytest.mark.parametrize("material", ["brick", "curtain", "thick_carpet"])
def test_the_time_told_of_a_room_is_the_one_rendered(material: str) -> None:
    walls = {**dict.fromkeys(WALLS, material), "floor": "wooden_floor"}
    size_m = (7.0, 5.0, 3.0)
    rendered = make_walls(Room("shoebox", (0, 0, 0), size_m, 0.0, None, walls), SILENT)
    decay_per_s = rendered.decay_per_s(np.array([1000.0]))[0]
    assert reverberation_time_s(size_m, walls) == pytest.approx(6 * np.log(10) / decay_per_s, 0.01)


def test_open_windows_all_around_do_not_reverberate() -> None:
    assert reverberation_time_s((3, 4, 5), dict.fromkeys(WALLS, "open")) == 0
