"""The whole of Stages I and II on a small clip, and every way it can end early."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from sonic4d import depth_source, motion_stage, source_stage, unfinished
from sonic4d.bundle import BACKGROUND, BUNDLE_JSON, DEPTH, SOURCE_VIDEO, cloud_file, read_bundle
from sonic4d.generate import generate
from sonic4d.geometry.cameras import project
from sonic4d.geometry.ply import read_ply
from sonic4d.media.audio import write_wav
from sonic4d.media.video import write_video
from sonic4d.monitor import SILENT, Cancelled, Monitor
from sonic4d.protocol import Sonic4DError
from sonic4d.scene.depth import DepthResult
from sonic4d.scene.depth_maps import read_depth_maps
from sonic4d.scene.motion import MotionAnalysis, analyse_motion
from sonic4d.settings import GenerateSettings

WIDTH, HEIGHT, FRAMES, RATE = 128, 96, 16, Fraction(25)
HALL_M, BALL_M = 6.0, 3.0


def ball_left(index: int) -> int:
    return 20 + 4 * index


def hall(seed: int = 0, colour: tuple[float, float, float] = (0.6, 0.6, 0.6)) -> np.ndarray:
    """A textured wall."""
    coarse = np.random.default_rng(seed).uniform(0.3, 1, (HEIGHT // 8, WIDTH // 8, 1))
    return (np.kron(coarse, np.ones((8, 8, 1))) * np.array(colour) * 255).astype(np.uint8)


def clip_frames() -> np.ndarray:
    """A red box of 16 x 16 pixels travels to the right before the wall."""
    frames = np.repeat(hall()[None], FRAMES, 0)
    for index in range(FRAMES):
        frames[index, 40:56, ball_left(index) : ball_left(index) + 16] = (220, 40, 30)
    return frames


def clip_depth() -> np.ndarray:
    depth = np.full((FRAMES, HEIGHT, WIDTH), HALL_M, np.float32)
    for index in range(FRAMES):
        depth[index, 40:56, ball_left(index) : ball_left(index) + 16] = BALL_M
    return depth


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """clip.mp4 with sound, silent.mp4 without, depth.npz, tone.wav."""
    folder = tmp_path_factory.mktemp("media")
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(48000) / 48000)
    write_wav(folder / "tone.wav", tone.astype("f4"), 48000)
    write_video(folder / "clip.mp4", clip_frames(), RATE, folder / "tone.wav")
    write_video(folder / "silent.mp4", clip_frames(), RATE)
    np.savez(folder / "depth.npz", depth=clip_depth())
    return folder


ANALYSED: dict[bytes, MotionAnalysis] = {}


@pytest.fixture(autouse=True, scope="module")
def analyse_only_once() -> Iterator[None]:
    """Many tests here use the same clip; its motion is analysed (really) the first time only."""

    def remembered(frames: np.ndarray, monitor: Monitor) -> MotionAnalysis:
        monitor.progress("motion", 0, 1)
        key = hashlib.sha256(frames.tobytes()).digest()
        if key not in ANALYSED:
            ANALYSED[key] = analyse_motion(frames, monitor)
        return ANALYSED[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sonic4d.motion_stage.analyse_motion", remembered)
        yield


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What interrupted generations leave."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr(unfinished, "user_folder", lambda kind: cache / kind)
    return cache


def settings(media: Path, output: Path, **values: Any) -> GenerateSettings:
    job = {
        "video": str(media / "clip.mp4"),
        "output": str(output),
        "depth": str(media / "depth.npz"),
        "point": f"{ball_left(2) + 8},48@2",
    }
    return GenerateSettings.from_json({**job, **values})


@pytest.fixture(scope="module")
def marked(media: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle made with known depth and a marked source."""
    target = tmp_path_factory.mktemp("out") / "ball.sonic4d"
    return generate(
        settings(media, target, sound_source="Red ball!", fov_deg=50, credits="me"), SILENT
    )


def test_the_bundle_is_whole(marked: Path) -> None:
    bundle = read_bundle(marked)
    assert (bundle.name, bundle.frame_count, bundle.frame_rate) == ("ball", FRAMES, RATE)
    assert (bundle.intrinsics.width, bundle.intrinsics.height) == (WIDTH, HEIGHT)
    assert bundle.intrinsics.horizontal_fov_deg == pytest.approx(50)
    assert bundle.depth_info["assumptions"]["field_of_view"] == "as given"
    assert (bundle.metric, bundle.metres_per_unit) == (True, 1)
    assert bundle.credits == "me"
    assert [expert.stage for expert in bundle.provenance] == ["picture", "audio", "depth", "source"]
    assert bundle.provenance[2].name == "depth.npz"
    assert not bundle.has_background
    assert sorted(path.name for path in marked.iterdir()) == sorted(
        ["audio", "cloud", BUNDLE_JSON, DEPTH, SOURCE_VIDEO]
    )


def test_the_source_is_where_it_was_put(marked: Path) -> None:
    """The box is 3 m away; its middle travels 4 pixels a frame."""
    track = read_bundle(marked).sources[0]
    assert (track.name, track.audio, track.found_by) == ("Red ball!", "audio/Red_ball.wav", "point")
    k = read_bundle(marked).intrinsics
    middle = np.array([ball_left(i) + 8 for i in range(FRAMES)])
    expected = (middle - k.cx) / k.fx * BALL_M
    np.testing.assert_allclose(track.positions[:, 0], expected, atol=0.12)
    np.testing.assert_allclose(track.positions[:, 1], BALL_M, rtol=0.01)
    assert not track.filled.any()


def test_the_points_are_the_pixels(marked: Path) -> None:
    bundle = read_bundle(marked)
    for index in (0, FRAMES - 1):
        points = read_ply(marked / cloud_file(index))
        assert len(points) == WIDTH * HEIGHT
        u, _, z = project(points.xyz.astype(float), bundle.intrinsics, bundle.cameras[index])
        red = (points.rgb[:, 0] > 150) & (points.rgb[:, 1] < 90)
        np.testing.assert_allclose(np.median(z[red]), BALL_M, rtol=1e-4)
        assert np.median(u[red]) == pytest.approx(ball_left(index) + 8, abs=1)
        np.testing.assert_allclose(np.median(z[~red]), HALL_M, rtol=1e-4)


def test_stored_depth_and_video(marked: Path) -> None:
    depth_m = np.load(marked / DEPTH)["depth_m"]
    assert depth_m.dtype == np.float16
    np.testing.assert_allclose(depth_m, clip_depth(), rtol=1e-3)
    with av.open(str(marked / SOURCE_VIDEO)) as container:
        assert container.streams.video[0].average_rate == RATE
        assert sum(1 for _ in container.decode(video=0)) == FRAMES
        assert container.streams.audio[0].layout.name == "stereo"


def test_the_sound_has_the_length_of_the_picture(marked: Path) -> None:
    sound, rate_hz = soundfile.read(marked / "audio" / "Red_ball.wav")
    assert (rate_hz, sound.shape) == (48000, (round(FRAMES / RATE * 48000),))
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(len(sound)) / 48000)
    assert np.corrcoef(sound, tone)[0, 1] > 0.99


def test_the_room_holds_source_and_camera(marked: Path) -> None:
    bundle = read_bundle(marked)
    local = bundle.room.to_local(
        np.concatenate([bundle.sources[0].positions, bundle.cameras[:, :3, 3]])
    )
    assert (local > 0.4).all()
    assert (local < np.array(bundle.room.size) - 0.4).all()
    floor_m = bundle.room.center[2] - bundle.room.size[2] / 2
    assert floor_m <= -1.6 + 1e-6
    assert max(bundle.room.size) < 12


def test_without_any_help(media: Path, tmp_path: Path) -> None:
    """Geometric depth, the source by motion, 60 degrees: what `auto` does on a bare machine."""
    events: list[dict[str, Any]] = []
    job = {"video": str(media / "clip.mp4"), "output": str(tmp_path / "auto"), "max_points": 3000}
    target = generate(
        GenerateSettings.from_json(job), Monitor(lambda event: events.append(event), lambda: False)
    )
    assert target == tmp_path / "auto.sonic4d"
    bundle = read_bundle(target)
    assert bundle.intrinsics.horizontal_fov_deg == pytest.approx(60)
    assert "60 degrees" in bundle.depth_info["assumptions"]["field_of_view"]
    assert bundle.provenance[2].name == "geometric"
    assert "No depth model is on this machine" in bundle.provenance[2].reason
    assert bundle.sources[0].found_by in ("motion", "sound")
    middle = bundle.sources[0].boxes[:, [0, 2]].mean(axis=1) * WIDTH
    seen = np.isfinite(middle)
    assert seen.mean() > 0.7
    expected = np.array([ball_left(i) + 8 for i in range(FRAMES)])
    assert np.abs(middle - expected)[seen].mean() < 8
    for index in range(FRAMES):
        assert len(read_ply(target / cloud_file(index))) <= 3000
    if bundle.has_background:
        assert 0 < len(read_ply(target / BACKGROUND)) <= 9000
    stages = [event["stage"] for event in events if event["event"] == "progress"]
    wanted = ["video", "audio", "motion", "depth", "source", "points", "write"]
    assert [stage for stage in dict.fromkeys(stages) if stage in wanted] == wanted
    assert all(
        0 <= event["done"] <= event["total"] for event in events if event["event"] == "progress"
    )
    assert events[-1] == {"event": "artifact", "kind": "bundle", "path": str(target)}
    warned = [event["message"] for event in events if event["event"] == "log"]
    assert warned == list(bundle.warnings)


def test_metres_per_unit_scales_everything(media: Path, marked: Path, tmp_path: Path) -> None:
    double = generate(settings(media, tmp_path / "a", fov_deg=50, metres_per_unit=2), SILENT)
    one, two = read_bundle(marked), read_bundle(double)
    assert (two.metric, two.metres_per_unit) == (False, 2)
    np.testing.assert_allclose(two.sources[0].positions, 2 * one.sources[0].positions, rtol=1e-6)
    small, large = (read_ply(folder / cloud_file(3)) for folder in (marked, double))
    np.testing.assert_allclose(large.xyz, 2 * small.xyz, rtol=1e-5)
    np.testing.assert_allclose(large.radius_m, 2 * small.radius_m, rtol=1e-5)


def test_a_sound_file_instead_of_the_track(media: Path, tmp_path: Path) -> None:
    sound = np.zeros(48000, np.float32)
    sound[12000] = 1
    write_wav(tmp_path / "click.wav", sound, 48000)
    job = {"video": str(media / "silent.mp4"), "audio": str(tmp_path / "click.wav"), "start_s": 0.2}
    depth = tmp_path / "depth.npz"
    np.savez(depth, depth=clip_depth()[5:])
    bundle = read_bundle(generate(settings(media, tmp_path / "a", **job, depth=str(depth)), SILENT))
    read, _ = soundfile.read(bundle.path(bundle.sources[0].audio))
    assert int(np.abs(read).argmax()) == 12000 - 9600
    assert bundle.provenance[1].name == "click.wav"
    assert not any("silent" in warning for warning in bundle.warnings)


def test_silence_is_warned_about(media: Path, tmp_path: Path) -> None:
    write_wav(tmp_path / "nothing.wav", np.zeros(48000), 48000)
    target = generate(settings(media, tmp_path / "a", audio=str(tmp_path / "nothing.wav")), SILENT)
    assert any("is silent in 0.00-0.64 s" in warning for warning in read_bundle(target).warnings)


@pytest.fixture
def clip_with_a_cut(media: Path, tmp_path: Path) -> Path:
    """6 frames of another place, then the 16 of the clip."""
    frames = np.concatenate([np.repeat(hall(5, (0.1, 0.2, 0.9))[None], 6, 0), clip_frames()])
    write_video(tmp_path / "cut.mp4", frames, RATE, media / "tone.wav")
    depth = np.concatenate([np.full((6, HEIGHT, WIDTH), 20, np.float32), clip_depth()])
    np.savez(tmp_path / "cut.npz", depth=depth)
    return tmp_path / "cut.mp4"


@pytest.mark.parametrize(
    ("point", "frames", "distance_m", "words"),
    [
        (f"{ball_left(2) + 8},48@8", FRAMES, BALL_M, "0.24-0.88 s is used, the one"),
        ("40,40@3", 6, 20, "0.00-0.24 s is used, the one that was marked"),
    ],
)
def test_a_cut(
    clip_with_a_cut: Path, media: Path, point: str, frames: int, distance_m: float, words: str
) -> None:
    job = {"video": str(clip_with_a_cut), "depth": str(clip_with_a_cut.with_suffix(".npz"))}
    target = clip_with_a_cut.parent / "a.sonic4d"
    bundle = read_bundle(generate(settings(media, target, **job, point=point), SILENT))
    assert bundle.frame_count == frames
    assert any(words in warning for warning in bundle.warnings)
    np.testing.assert_allclose(bundle.sources[0].positions[:, 1], distance_m, rtol=0.02)
    sound, _ = soundfile.read(bundle.path(bundle.sources[0].audio))
    assert len(sound) == round(frames / RATE * 48000)


def test_one_frame(media: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", depth=clip_depth()[:1])
    point = f"{ball_left(0) + 8},48"
    target = generate(
        settings(media, tmp_path / "a", max_frames=1, depth=str(tmp_path / "one.npz"), point=point),
        SILENT,
    )
    assert read_bundle(target).frame_count == 1


# What can go wrong: one clear sentence, and nothing left behind


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def failing(media: Path, folder: Path, **values: Any) -> Sonic4DError:
    """The error of a job; checks that nothing is left behind."""
    before = listing(folder)
    with pytest.raises(Sonic4DError) as caught:
        generate(settings(media, folder / "out.sonic4d", **values), SILENT)
    assert listing(folder) == before
    assert caught.value.hint
    assert "Traceback" not in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"video": "none.mp4"}, "missing_file"),
        ({"video": "{media}/depth.npz"}, "not_media"),
        ({"video": "{media}/tone.wav"}, "no_video"),
        ({"video": "{media}/silent.mp4"}, "no_audio"),
        ({"audio": "none.wav"}, "missing_file"),
        ({"audio": "{media}/depth.npz"}, "not_media"),
        ({"depth": "none.npz"}, "missing_file"),
        ({"depth": "{media}/tone.wav"}, "bad_depth"),
        ({"start_s": 100}, "bad_start"),
        ({"point": "500,20"}, "outside_picture"),
        ({"point": "-5,20"}, "outside_picture"),
        ({"point": "20,20@99"}, "bad_frame"),
        ({"max_frames": 5}, "wrong_depth_count"),
        ({"metres_per_unit": 100_000}, "scene_too_large"),
        ({"grounding": "qwen-vl", "point": None}, "missing_model"),
        ({"grounding": "psychic", "point": None}, "unknown_model"),
    ],
)
def test_bad_input(media: Path, tmp_path: Path, values: dict[str, Any], code: str) -> None:
    values = {
        key: value.format(media=media) if isinstance(value, str) else value
        for key, value in values.items()
    }
    assert failing(media, tmp_path, **values).code == code


def test_no_sound_names_the_choice(media: Path, tmp_path: Path) -> None:
    assert "--audio FILE" in failing(media, tmp_path, video=str(media / "silent.mp4")).hint


def test_depth_without_a_number(media: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "nan.npz", depth=np.full((FRAMES, HEIGHT, WIDTH), np.nan))
    assert failing(media, tmp_path, depth=str(tmp_path / "nan.npz")).code == "bad_depth"


def test_depth_unknown_where_the_source_is(media: Path, tmp_path: Path) -> None:
    depth = clip_depth()
    depth[depth == BALL_M] = np.nan
    np.savez(tmp_path / "holes.npz", depth=depth)
    assert failing(media, tmp_path, depth=str(tmp_path / "holes.npz")).code == "source_not_seen"


def test_an_existing_bundle_is_kept(media: Path, tmp_path: Path) -> None:
    (tmp_path / "out.sonic4d").mkdir()
    assert failing(media, tmp_path).code == "exists"


def test_an_unwritable_place(media: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Sonic4DError, match="can't be written"):
        generate(settings(media, tmp_path / "file" / "a.sonic4d"), SILENT)


@pytest.mark.parametrize("call", [3, FRAMES + 1, FRAMES + 3])
def test_a_full_disk(
    media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    """Among the points, at the sound, at the depth."""
    calls = iter(range(1000))

    def fsync(handle: int) -> None:
        if next(calls) >= call:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", fsync)
    error = failing(media, tmp_path)
    assert "No space left" in error.message
    assert "disk" in error.hint


STAGES = ["video", "audio", "motion", "depth", "source", "points", "write"]


@pytest.mark.parametrize("stage", STAGES)
def test_cancelling_leaves_nothing_behind(media: Path, tmp_path: Path, stage: str) -> None:
    reached: list[str] = []
    monitor = Monitor(
        lambda event: reached.append(event.get("stage", "")), lambda: stage in reached
    )
    with pytest.raises(Cancelled):
        generate(settings(media, tmp_path / "a"), monitor)
    assert listing(tmp_path) == []


def interrupted(media: Path, output: Path, **values: Any) -> None:
    reached: list[str] = []
    monitor = Monitor(
        lambda event: reached.append(event.get("stage", "")), lambda: "points" in reached
    )
    with pytest.raises(Cancelled):
        generate(settings(media, output, **values), monitor)


def test_an_interrupted_generation_is_taken_up_again(
    media: Path, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its motion is not analysed, its depth not measured, its source not looked for again; the scene is the same as in one go."""
    clip, given = media / "clip.mp4", {"depth": "geometric"}
    whole = generate(settings(media, tmp_path / "whole", **given), SILENT)
    assert not unfinished.is_unfinished(clip)
    interrupted(media, tmp_path / "a", **given)
    assert unfinished.is_unfinished(clip)
    assert not unfinished.is_unfinished(media / "none.mp4")
    with monkeypatch.context() as patch:
        patch.setattr(motion_stage, "analyse_motion", None)
        patch.setattr(depth_source, "geometric_depth", None)
        patch.setattr(source_stage, "find_sources", None)
        again = generate(settings(media, tmp_path / "again", **given), SILENT)
    assert not unfinished.is_unfinished(clip)
    names = sorted(path.relative_to(whole) for path in whole.rglob("*.*"))
    assert names == sorted(path.relative_to(again) for path in again.rglob("*.*"))
    for file in names:
        if file.name != BUNDLE_JSON:
            assert (again / file).read_bytes() == (whole / file).read_bytes(), file
    texts = [
        (folder / BUNDLE_JSON).read_text().replace(folder.stem, "") for folder in (whole, again)
    ]
    assert texts[0] == texts[1]


def test_with_other_settings_it_begins_anew(
    media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(media, tmp_path / "a", depth="geometric")
    monkeypatch.setattr(depth_source, "geometric_depth", None)
    with pytest.raises(TypeError):
        generate(settings(media, tmp_path / "b", depth="geometric", fov_deg=40), SILENT)


def test_what_nobody_goes_on_with_is_removed(media: Path, tmp_path: Path, own_cache: Path) -> None:
    interrupted(media, tmp_path / "a", depth="geometric")
    [left] = (own_cache / "cache/unfinished").iterdir()
    old_s = time.time() - (unfinished.KEPT_DAYS + 1) * 86400
    unfinished.forget(media / "silent.mp4")
    assert left.exists()
    os.utime(left, (old_s, old_s))
    unfinished.forget(media / "silent.mp4")
    assert not left.exists()


def test_bundle_json_is_strict_json(marked: Path) -> None:
    def refuse(text: str) -> Callable[[str], None]:
        raise AssertionError(text)

    json.loads((marked / BUNDLE_JSON).read_text(), parse_constant=refuse)


@pytest.mark.parametrize(
    ("choice", "horizon", "kind"),
    [
        ("auto", "sky", "half_space"),
        ("auto", "walkers", "shoebox"),
        ("shoebox", "sky", "shoebox"),
        ("free_field", "default", "free_field"),
    ],
)
def test_under_an_open_sky_only_the_ground_sounds_back(
    choice: str,
    horizon: str,
    kind: str,
    media: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def seen(*args: Any) -> DepthResult:
        result = read_depth_maps(*args)
        return replace(result, assumptions={"horizon_found_by": horizon})

    monkeypatch.setattr("sonic4d.depth_source.read_depth_maps", seen)
    bundle = read_bundle(generate(settings(media, tmp_path / "out", room=choice), SILENT))
    assert bundle.room.kind == kind


def test_a_room_of_no_known_kind_is_refused() -> None:
    with pytest.raises(Sonic4DError, match="cave"):
        GenerateSettings.from_json({"video": "a", "output": "b", "room": "cave"})
