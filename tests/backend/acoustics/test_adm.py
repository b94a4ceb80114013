"""ADM broadcast wave files, read and rendered by the EBU ADM Renderer (ear, ITU-R BS.2127): an independent program."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from scipy import signal
from scipy.spatial.transform import Rotation
from sonic4d.acoustics import audio_files
from sonic4d.acoustics.render import render_shot, render_to_file
from sonic4d.geometry.cameras import LOOKING_NORTH
from sonic4d.monitor import SILENT
from sonic4d.protocol import Sonic4DError
from sonic4d.shot import Normalize, Shot

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from ear.cmdline.render_file import OfflineRenderDriver
    from ear.fileio import openBw64, openBw64Adm
    from ear.fileio.adm.adm import ADM
    from ear.fileio.adm.chna import load_chna_chunk
    from ear.fileio.adm.common_definitions import load_common_definitions
    from ear.fileio.adm.xml import load_axml_string

Array = npt.NDArray[np.float64]
MakeShot = Callable[..., Shot]
RATE_HZ = 48_000

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def adm(make_shot: MakeShot) -> MakeShot:
    def make(**changes: Any) -> Shot:
        usual = {"mode": "hifi", "format": "adm", "sample_rate": RATE_HZ, "kind": "free_field"}
        shot = make_shot(**usual | changes)
        sound = np.random.default_rng(0).uniform(-0.5, 0.5, shot.sample_count)
        soundfile.write(shot.folder / "bell.wav", sound, RATE_HZ, subtype="FLOAT")
        return shot

    return make


def read(path: Path) -> Any:
    """The model that a file tells, with its IDs resolved as the standard asks."""
    model = ADM()
    load_common_definitions(model)
    with openBw64(str(path)) as file:
        load_axml_string(model, file.axml)
        load_chna_chunk(model, file.chna)
    model.validate()
    return model


def heard(path: Path, layout: str) -> Array:
    """(channels, samples) of the EBU's renderer."""
    output = path.with_name("heard.wav")
    OfflineRenderDriver(
        target_layout=layout,
        speakers_file=None,
        output_gain_db=0,
        fail_on_overload=False,
        enable_block_duration_fix=False,
    ).run(str(path), str(output))
    return soundfile.read(output)[0].T


def blocks(model: Any, name: str) -> list[Any]:
    (channel,) = [c for c in model.audioChannelFormats if c.audioChannelFormatName == name]
    return channel.audioBlockFormats


def place(azimuth_deg: float, elevation_deg: float, distance_m: float) -> tuple[float, ...]:
    """In the world, of a direction seen from a camera that looks along +Y."""
    azimuth, elevation = np.radians((azimuth_deg, elevation_deg))
    flat = distance_m * np.cos(elevation)
    return (-flat * np.sin(azimuth), flat * np.cos(azimuth), distance_m * np.sin(elevation))


@pytest.mark.parametrize(
    ("layout", "channel", "azimuth_deg", "elevation_deg"),
    [
        *(("0+5+0", c, a, 0) for c, a in enumerate((30, -30, 0, None, 110, -110)) if c != 3),
        *(("4+7+0", c, a, 0) for c, a in ((4, 90), (5, -90), (6, 135), (7, -135))),
        *(("4+7+0", c, a, 30) for c, a in ((8, 45), (9, -45), (10, 135), (11, -135))),
    ],
)
def test_a_source_where_a_loudspeaker_stands_sounds_from_it_alone(
    adm: MakeShot, layout: str, channel: int, azimuth_deg: float, elevation_deg: float
) -> None:
    """With its direct sound's level, 1 / (4 pi d), up to 20 kHz."""
    shot = adm(positions=place(azimuth_deg, elevation_deg, 2.5), frames=8)
    sound = heard(render_to_file(shot, shot.folder / "shot.wav"), layout)
    energy = (sound[:, 2000:] ** 2).mean(axis=1)
    assert np.argmax(energy) == channel
    assert np.delete(energy, channel).max() < 1e-4 * energy[channel]
    expected = 0.5**2 / 3 * (20 / 24) / (4 * np.pi * 2.5) ** 2
    assert 10 * np.log10(energy[channel] / expected) == pytest.approx(0, abs=0.5)


def test_in_a_room_it_sounds_as_our_own_loudspeaker_format(adm: MakeShot) -> None:
    """A source that moves and one that doesn't, their reflections and a camera that turns. Between four loudspeakers the two
    pan a little differently."""
    u = np.arange(36) / 36
    positions = np.stack([2 * np.sin(3 * u), 1 + 2 * np.cos(3 * u), 0.5 * u], axis=1)
    poses = np.tile(LOOKING_NORTH, (36, 1, 1))
    poses[:, :3, :3] = Rotation.from_euler("z", 0.7 * u[:, None]).as_matrix() @ poses[:, :3, :3]
    shot = adm(kind="shoebox", rt60_s=0.4, positions=positions, poses=poses, frames=36)
    still = replace(shot.sources[0], name="still", positions=np.tile([1.0, 1, 1], (36, 1)))
    shot = replace(shot, sources=(*shot.sources, still))
    theirs = heard(render_to_file(shot, shot.folder / "shot.wav"), "4+7+0")
    own = render_shot(replace(shot, render=replace(shot.render, format="7.1.4"))).audio
    assert theirs.shape == own.shape
    assert 10 * np.log10(((theirs - own) ** 2).sum() / (own**2).sum()) < -25
    levels = [10 * np.log10((x**2).mean(axis=1) + 1e-12) for x in (theirs, own)]
    np.testing.assert_allclose(*levels, atol=0.2)


def test_a_model_that_stands_the_standards_tests(adm: MakeShot) -> None:
    shot = adm(kind="shoebox", positions=place(-70, 20, 2.0))
    name = 'wind & <rain> \x00 "é"'
    shot = replace(shot, sources=(replace(shot.sources[0], name=name),), name="s&1")
    path = render_to_file(shot, shot.folder / "shot.wav")
    model = read(path)
    (programme,) = model.audioProgrammes
    assert programme.audioProgrammeName == "s&1"
    assert [c.audioContentName for c in programme.audioContents] == ["Objects", "Reflections"]
    (item,) = programme.audioContents[0].audioObjects
    assert item.audioObjectName == name.replace("\x00", "")
    (bed,) = programme.audioContents[1].audioObjects
    assert bed.audioPackFormats[0].audioPackFormatName == "11.1_7.1.4_(4+7+0)"
    assert [t.trackIndex for t in model.audioTrackUIDs] == list(range(1, 14))
    (only,) = blocks(model, item.audioObjectName)
    assert only.position.azimuth == pytest.approx(-70, abs=0.01)
    assert only.position.elevation == pytest.approx(20, abs=0.01)
    distance_m = only.position.distance * item.audioPackFormats[0].absoluteDistance
    assert distance_m == pytest.approx(2.0, abs=0.01)
    assert float(only.duration) == pytest.approx(shot.sample_count / RATE_HZ, abs=1e-5)
    info = soundfile.info(path)
    assert (info.samplerate, info.channels, info.subtype) == (RATE_HZ, 13, "PCM_24")
    report = json.loads((shot.folder / "shot.report.json").read_text())
    assert len(report["channels"]) == 13
    with openBw64Adm(str(path)) as file:
        assert len(file.selected_items) == 13


def test_blocks_follow_what_is_heard(adm: MakeShot) -> None:
    """Positions between two blocks, linear in time, are those where the sound was sent that is heard then."""
    frames = 48
    u = np.linspace(0, 1, frames)
    positions = np.stack([4 * u - 2, 1.5 - u**2, 0.3 + u], axis=1)
    shot = adm(positions=positions, frames=frames)
    model = read(render_to_file(shot, shot.folder / "shot.wav"))
    found = blocks(model, "bell")
    farthest_m = model.audioPackFormats[-1].absoluteDistance
    assert 10 < len(found) < 100
    starts = np.array([float(b.rtime) for b in found])
    ends = starts + [float(b.duration) for b in found]
    np.testing.assert_allclose(starts[1:], ends[:-1], atol=1e-9)
    assert starts[0] == 0
    assert ends[-1] == pytest.approx(2, abs=1e-5)
    assert [b.jumpPosition.flag for b in found] == [True] + [False] * (len(found) - 1)
    places = [place(b.position.azimuth, b.position.elevation, b.position.distance) for b in found]
    times_s = np.arange(0.1, 1.9, 0.013)
    stated = farthest_m * np.stack([np.interp(times_s, ends, p) for p in np.array(places).T], 1)
    sent_s = times_s.copy()
    for _ in range(5):
        truth = np.stack([np.interp(sent_s * 24, np.arange(frames), p) for p in positions.T], 1)
        sent_s = times_s - np.linalg.norm(truth, axis=1) / 343
    cosine = (
        (stated * truth).sum(1) / np.linalg.norm(stated, axis=1) / np.linalg.norm(truth, axis=1)
    )
    assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).max() < 1.0
    np.testing.assert_allclose(
        np.linalg.norm(stated, axis=1), np.linalg.norm(truth, axis=1), rtol=0.03
    )


def test_a_jump_is_one(adm: MakeShot) -> None:
    positions = np.repeat([place(90, 0, 2), place(-90, 0, 2)], 12, axis=0)
    shot = adm(positions=positions, frames=24)
    path = render_to_file(shot, shot.folder / "shot.wav")
    found = blocks(read(path), "bell")
    assert [b.position.azimuth for b in found] == pytest.approx([90, -90], abs=0.01)
    assert all(b.jumpPosition.flag for b in found)
    assert float(found[1].rtime) == pytest.approx(11.5 / 24, abs=1e-4)
    sound = heard(path, "4+7+0")
    for half, channel in ((sound[:, 2000:22_000], 4), (sound[:, 25_000:47_000], 5)):
        assert np.argmax((half**2).sum(axis=1)) == channel


@pytest.mark.parametrize("order", [0, 1])
def test_with_and_without_reflections(adm: MakeShot, order: int) -> None:
    for kind, channels in (("free_field", 1), ("half_space", 1 + 12 * order), ("shoebox", 13)):
        shot = adm(kind=kind, reflection_order=order, tail=True)
        rendered = render_shot(shot)
        assert len(rendered.audio) == len(rendered.channels) == channels
        assert rendered.audio.shape[1] > shot.sample_count
        assert rendered.audio[0].any()


def test_levels_and_files(adm: MakeShot, monkeypatch: pytest.MonkeyPatch) -> None:
    shot = adm(kind="shoebox", normalize=Normalize("loudness", -23, -1), sample_format="pcm16")
    monkeypatch.setattr(audio_files, "MAX_WAV_BYTES", 1000)
    path = render_to_file(shot, shot.folder / "shot.wav")
    assert path.read_bytes()[:4] == b"BW64"
    with openBw64(str(path)) as file:
        assert (file.bitdepth, file.channels, len(file)) == (16, 13, shot.sample_count)
    loudspeakers = replace(shot, render=replace(shot.render, format="7.1.4"))
    expected = render_shot(loudspeakers).levels
    report = json.loads((shot.folder / "shot.report.json").read_text())
    assert report["loudness_lufs"] == pytest.approx(-23, abs=0.01)
    assert report["gain_db"] == pytest.approx(expected.gain_db, abs=0.01)


def test_no_channel_goes_beyond_the_true_peak(adm: MakeShot) -> None:
    """Of a source between loudspeakers, whose own channel is louder than any of theirs; by another 4 times oversampling."""
    shot = adm(kind="free_field", positions=(0.6, 2, 0), normalize=Normalize("loudness", 0, -1))
    audio, _ = soundfile.read(render_to_file(shot, shot.folder / "out.wav"))
    between = signal.resample_poly(audio, 4, 1, axis=0)
    assert 20 * np.log10(np.abs(between).max()) == pytest.approx(-1, abs=0.1)
    assert np.abs(audio).max() < 1


def test_what_adm_is_not(adm: MakeShot) -> None:
    with pytest.raises(Sonic4DError, match="48 kHz"):
        render_shot(adm(sample_rate=44_100))
    with pytest.raises(Sonic4DError, match="object"):
        render_shot(adm(stems=True))
    shot = adm()
    with pytest.raises(Sonic4DError, match="broadcast wave"):
        render_to_file(shot, shot.folder / "shot.flac", SILENT)
