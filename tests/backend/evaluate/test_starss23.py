"""The reader of STARSS23, on a tiny made-up copy in its format."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sonic4d.cli import main
from sonic4d.evaluate.starss23 import CAMERA, INSTRUMENT, read_starss23, views, write_view
from sonic4d.media.video import read_clip, write_video
from sonic4d.monitor import SILENT

PART = Path("dev-train-sony") / "fold3_room21_mix001"
AZIMUTH_DEG = 100
RATE = Fraction(10)
SECONDS = 6


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """One recording: a guitar at 100 degrees that is a red patch in the panorama, and somebody who talks for 2 seconds."""
    folder = tmp_path / "starss23"
    for name, suffix in (("metadata_dev", ".csv"), ("foa_dev", ".wav"), ("video_dev", ".mp4")):
        (folder / name / PART.parent).mkdir(parents=True)
        path = (folder / name / PART).with_suffix(suffix)
        if suffix == ".csv":
            lines = [f"{f},{INSTRUMENT},0,{AZIMUTH_DEG + f // 20},-5,210" for f in range(51)]
            lines += [f"{f},1,1,-60,10,150" for f in range(10, 30)]
            path.write_text("\n".join(lines) + "\n")
        elif suffix == ".wav":
            sound = np.random.default_rng(0).normal(0, 0.1, (24000 * SECONDS, 4))
            soundfile.write(path, sound, 24000, subtype="PCM_16")
        else:
            picture = np.full((240, 480, 3), 90, np.uint8)
            column = round((0.5 - AZIMUTH_DEG / 360) * 480)
            picture[112:136, column - 10 : column + 10] = (220, 30, 30)
            frames = [picture] * (10 * SECONDS)
            write_video(path, frames, RATE, None, SILENT, len(frames))
    return folder


def test_recordings_are_found_with_their_labels(copy: Path) -> None:
    (recording,) = read_starss23(copy)
    assert recording.name == PART.name
    assert len(recording.labels) == 51
    assert recording.labels[0][0].distance_m == pytest.approx(2.1)


def test_view_shows_the_instrument_where_the_labels_say(copy: Path, tmp_path: Path) -> None:
    (recording,) = read_starss23(copy)
    (view,) = views(recording)
    assert view.azimuth_deg == pytest.approx(AZIMUTH_DEG + 1, abs=1)
    clip = read_clip(write_view(tmp_path, view, SILENT), height=CAMERA.height)
    assert clip.frames.shape == (50, CAMERA.height, CAMERA.width, 3)
    red = (clip.frames[0, :, :, 0] > 150) & (clip.frames[0, :, :, 1] < 100)
    v, u = (axis.mean() + 0.5 for axis in np.nonzero(red))
    azimuth_deg = np.degrees(np.arctan2(CAMERA.cx - u, CAMERA.fx))
    assert azimuth_deg == pytest.approx(view.labels[0][0].azimuth_deg, abs=1.5)
    assert abs(v - CAMERA.cy) < 30


def test_command_reports_every_clip(copy: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    assert main(["evaluate", "starss23", str(copy), "-o", str(output)]) == 0
    report = json.loads((output / "report.json").read_text())
    (row,) = report["clips"]
    assert row["problem"]  # nothing moves in the made-up picture, and nothing is marked
    assert row["f20"] == 0
    assert (output / row["clip"] / "labels.csv").is_file()


def test_other_folders_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "starss23", str(tmp_path), "-o", str(tmp_path / "out")]) == 1
    assert "no copy of STARSS23" in capsys.readouterr().err
