"""`enhance` from bundle and shot to the movie: frames, rate, size, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import wall_scene
from sonic4d import cli
from sonic4d.bundle import Bundle
from sonic4d.enhance import EnhanceSettings, enhance
from sonic4d.monitor import SILENT, Cancelled, Monitor
from sonic4d.protocol import Sonic4DError

COUNT = 9


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("enhance")


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Bundle:
    return wall_scene.write_bundle(folder / "wall.sonic4d", COUNT)


@pytest.fixture(scope="module")
def shot(folder: Path, bundle: Bundle) -> Path:
    return wall_scene.write_shot(folder / "shot.json", bundle, wall_scene.moved_right(0.8, COUNT))


@pytest.fixture
def job(bundle: Bundle, shot: Path, tmp_path: Path) -> dict[str, Any]:
    return {"bundle": str(bundle.folder), "shot": str(shot), "output": str(tmp_path / "out.mp4")}


def run(job: dict[str, Any]) -> Path:
    return enhance(EnhanceSettings.from_json(job), SILENT)


def pictures(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as movie:
        return [frame.to_ndarray(format="rgb24") for frame in movie.decode(video=0)]


def test_the_movie_has_the_shots_frames_rate_and_size(job: dict[str, Any]) -> None:
    with av.open(str(run(job))) as movie:
        stream = movie.streams.video[0]
        assert stream.average_rate == wall_scene.RATE
        assert (stream.width, stream.height) == (96, 64)
        assert stream.duration * stream.time_base == COUNT / wall_scene.RATE
    shown = pictures(Path(job["output"]))
    assert len(shown) == COUNT
    assert min(picture.mean() for picture in shown) > 90  # no holes
    assert sorted(path.name for path in Path(job["output"]).parent.iterdir()) == [
        "out.mp4",
        "out.report.json",
    ]


def test_the_report_tells_what_made_the_picture(job: dict[str, Any]) -> None:
    report = json.loads(run(job).with_name("out.report.json").read_text())["picture"]
    assert report["name"] == "fill"
    assert report["licence"] == "GPL-3.0-or-later"
    assert "invents nothing" in report["reason"]


def test_another_camera_and_another_time(job: dict[str, Any], bundle: Bundle) -> None:
    """The lens of Blender's camera, and a scene that runs backwards."""
    k = wall_scene.lens(72, 48)
    job["lens"] = {**k.to_json(), "fx": 2 * k.fx, "fy": 2 * k.fy}
    job["shown"] = [*range(COUNT)][::-1]
    shown = pictures(run(job))
    assert [picture.shape for picture in shown] == [(48, 72, 3)] * COUNT
    board = [np.abs(picture.astype(int) - wall_scene.GREY).max(-1) < 8 for picture in shown]
    places = [np.median(np.nonzero(mask)[1]) for mask in board[3:6]]  # where all of it is in view
    assert np.diff(places).max() < -8


def test_width_and_sound(job: dict[str, Any], bundle: Bundle) -> None:
    path = run({**job, "width_px": 50, "audio": str(bundle.path("audio/board.wav"))})
    with av.open(str(path)) as movie:
        assert (movie.streams.video[0].width, movie.streams.video[0].height) == (50, 34)
        assert len(movie.streams.audio) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shown": [0] * 8}, "9 frames"),
        ({"shown": [0] * 8 + [9]}, "number 9"),
        ({"shown": "all"}, "a list of frames"),
        ({"shown": [-1] * 9}, "shown: -1 is outside"),
        ({"seed": -1}, "seed: -1 is outside"),
        ({"steps": 0}, "steps: 0 is outside"),
        ({"width_px": 8}, "width_px: 8 is outside"),
        ({"expert": "magic"}, '"magic"'),
        ({"lens": {"width": 4}}, "lens"),
        ({"lens": {**wall_scene.lens().to_json(), "height": 60000}}, "lens.height: 60000 is"),
        ({"audio": "none.wav"}, "none.wav"),
        ({"output": "out.avi"}, "no MP4"),
        ({"more": 1}, 'unknown key "more"'),
    ],
)
def test_what_cannot_be_is_refused(
    job: dict[str, Any], change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(Sonic4DError, match=message):
        run({**job, **change})
    assert not list(tmp_path.iterdir())


def test_a_shot_of_another_rate_or_length_is_refused(job: dict[str, Any], folder: Path) -> None:
    shot = json.loads(Path(job["shot"]).read_text())
    for change in ({"frame_rate": "25"}, {"frame_end": 8}):
        other = {**shot, **change}
        count = other["frame_end"]
        other["listener"] = {"poses": shot["listener"]["poses"][:count]}
        other["sources"] = [{**s, "positions": s["positions"][:count]} for s in shot["sources"]]
        path = folder / "other.json"
        path.write_text(json.dumps(other))
        if "frame_end" in change:  # the first frames only: that is possible
            assert len(pictures(run({**job, "shot": str(path)}))) == 8
            continue
        with pytest.raises(Sonic4DError, match="25 fps"):
            run({**job, "shot": str(path)})


def test_stopped_it_leaves_nothing(job: dict[str, Any], tmp_path: Path) -> None:
    calls = 0

    def stop() -> bool:
        nonlocal calls
        calls += 1
        return calls > 40

    with pytest.raises(Cancelled):
        enhance(EnhanceSettings.from_json(job), Monitor(lambda event: None, stop))
    assert not list(tmp_path.iterdir())


def test_from_the_command_line(job: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [job["bundle"], "--shot", job["shot"], "-o", job["output"], "--expert", "fill"]
    assert cli.main(["enhance", *arguments]) == 0
    assert capsys.readouterr().out == f"{job['output']}\n"
    assert cli.main(["enhance", *arguments, "--seed", "-1"]) == 2
    assert "--seed" in capsys.readouterr().err
