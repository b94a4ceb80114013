"""SELD metrics: by hand, and against numbers of the challenge's own evaluation (docs/seld.md says how they were made)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sonic4d.cli import main
from sonic4d.evaluate.seld import fold_azimuth, score
from sonic4d.evaluate.seld_labels import Event, Labels, read_labels, write_labels

FROZEN_2024 = {  # seed: F, DOA error, distance error, relative distance error, recall, SELD; macro
    0: (0.38974358974358975, 25.098839023381423, 2.2791925697455224, 0.7910237467509864, 0.6166666666666666, 0.5958448909381181),
    1: (0.5082417582417582, 12.596402774631034, 1.74000141573595, 0.40712085099223444, 0.5717948717948718, 0.4791478189876617),
    2: (0.4653846153846154, 22.521213501821453, 1.9488844373753176, 0.6336948810889578, 0.8525641025641024, 0.4311427061640797),
    3: (0.5001831501831501, 14.923137005012107, 1.6675247920790794, 0.3867870796890852, 0.6538461538461539, 0.4016473437907337),
    4: (0.3762515262515262, 13.635220760866293, 4.4935941995959325, 0.7609076910098601, 0.6132478632478632, 0.5464609807892423),
}  # fmt: skip
FROZEN_2025 = {  # seed: F, azimuth error, distance error, relative distance error; macro
    0: (0.38974358974358975, 25.125312142520954, 2.2791925697455224, 0.7910237467509864),
    1: (0.4826007326007326, 12.51107228081361, 1.74000141573595, 0.40712085099223444),
    2: (0.4589743589743589, 13.878039546355858, 1.9488844373753176, 0.6336948810889578),
}


def random_labels(
    rng: np.random.Generator, frames: int, classes: int, density: float
) -> tuple[Labels, Labels]:
    """Truth and an estimate that misses, invents, misplaces and misnames some of it."""
    truth: Labels = {}
    estimate: Labels = {}
    for frame in range(frames):
        for _ in range(rng.poisson(density)):
            kind, track = int(rng.integers(classes)), int(rng.integers(3))
            azimuth, elevation = float(rng.integers(-180, 181)), float(rng.integers(-60, 61))
            distance = float(rng.integers(30, 800)) / 100
            truth.setdefault(frame, []).append(Event(kind, track, azimuth, elevation, distance))
            if rng.random() < 0.8:
                seen = kind if rng.random() < 0.9 else int(rng.integers(classes))
                found = Event(
                    seen,
                    track,
                    azimuth + rng.normal(0, 15),
                    float(np.clip(elevation + rng.normal(0, 10), -90, 90)),
                    distance * float(np.exp(rng.normal(0, 0.6))),
                )
                estimate.setdefault(frame, []).append(found)
        for _ in range(rng.poisson(density * 0.3)):
            kind = int(rng.integers(classes))
            places = [float(rng.uniform(*span)) for span in ((-180, 180), (-90, 90), (0.2, 6))]
            estimate.setdefault(frame, []).append(Event(kind, 0, *places))
    return truth, estimate


def one(azimuth: float = 0, distance: float = 2, kind: int = 0, frames: int = 10) -> Labels:
    """One event in every frame; the truth's last frame is not scored."""
    return {frame: [Event(kind, 0, azimuth, 0, distance)] for frame in range(frames + 1)}


@pytest.mark.parametrize("seed", FROZEN_2024)
def test_scores_are_those_of_dcase2024(seed: int) -> None:
    scores = score([random_labels(np.random.default_rng(seed), 20, 13, 1.5)])
    found = [
        scores.f20,
        scores.doae_deg,
        scores.distance_error_m,
        scores.relative_distance_error,
        scores.recall,
        scores.seld,
    ]
    assert found == pytest.approx(FROZEN_2024[seed], abs=1e-9)


@pytest.mark.parametrize("seed", FROZEN_2025)
def test_stereo_scores_are_those_of_dcase2025(seed: int) -> None:
    scores = score([random_labels(np.random.default_rng(seed), 20, 13, 1.5)], stereo=True)
    found = [
        scores.f20,
        scores.doae_deg,
        scores.distance_error_m,
        scores.relative_distance_error,
    ]
    assert found == pytest.approx(FROZEN_2025[seed], abs=1e-9)


@pytest.mark.parametrize(
    ("azimuth", "distance", "f20"), [(19, 2, 1), (21, 2, 0), (0, 3.9, 1), (0, 4.1, 0), (0, 1, 1)]
)
def test_a_match_must_be_near_in_angle_and_distance(
    azimuth: float, distance: float, f20: float
) -> None:
    scores = score([(one(), one(azimuth, distance))], classes=1)
    assert scores.f20 == pytest.approx(f20)
    assert scores.doae_deg == pytest.approx(azimuth, abs=1e-3)  # the challenge's soft norm
    assert scores.distance_error_m == pytest.approx(abs(distance - 2))
    assert scores.relative_distance_error == pytest.approx(abs(distance - 2) / 2)


def test_half_missed_is_two_thirds() -> None:
    scores = score([(one(), one(frames=4))], classes=1)
    assert scores.f20 == pytest.approx(2 / 3)
    assert scores.recall == pytest.approx(0.5)


def test_macro_is_over_classes_and_micro_over_events() -> None:
    truth = {f: [Event(0, 0, 0, 0, 2), Event(1, 0, 90, 0, 2)] for f in range(11)}
    pairs = [(truth, one())]
    assert score(pairs, classes=2).f20 == pytest.approx(0.5)
    assert score(pairs, classes=4).f20 == pytest.approx(0.25)  # classes without an event count as 0
    assert score(pairs, classes=4, average="micro").f20 == pytest.approx(2 / 3)
    assert set(score(pairs, classes=4).per_class) == {0, 1}


def test_nothing_found_has_no_errors() -> None:
    scores = score([(one(), {})], classes=1)
    assert scores.f20 == 0
    assert math.isnan(scores.doae_deg)
    assert scores.to_json()["doae_deg"] is None


def test_folding() -> None:
    azimuths = np.array([0, 45, 90, 135, 180, -135, -90, 270.0])
    assert fold_azimuth(azimuths).tolist() == [0, 45, 90, 45, 0, -45, -90, -90]


def test_labels_survive_a_file(tmp_path: Path) -> None:
    truth, _ = random_labels(np.random.default_rng(7), 30, 13, 1.0)
    write_labels(tmp_path / "a.csv", truth)
    read = read_labels(tmp_path / "a.csv")
    assert read == truth


def test_cartesian_and_stereo_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("3,1,0,0,2,0,150\n")
    assert read_labels(path) == {3: [Event(1, 0, 90, 0, 1.5)]}
    path.write_text("frame,class,source,azimuth,distance,onscreen\n3,1,0,-30,250,1\n")
    assert read_labels(path) == {3: [Event(1, 0, -30, 0, 2.5)]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,2\n", "line 1, has 2 columns"),
        ("1,2,0,10,0,100\n1,2,0,x,0,100\n", "line 2, has something that is no number"),
        ("1,2,0,nan,0,100\n", "isn't finite"),
        ("-1,2,0,10,0,100\n", "out of range"),
        ("1.5,2,0,10,0,100\n", "no whole number"),
        ("1,2,0,10,0,-5\n", "a negative distance"),
        ("time,what\n", "unknown columns"),
        ("1,99999999,0,10,0,5\n", "out of range"),
        ("99999999999,1,0,10,0,5\n", "out of range"),
    ],
)
def test_bad_files_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    assert main(["evaluate", "seld", str(path), str(path)]) == 1
    assert words in capsys.readouterr().err


@pytest.fixture
def folders(tmp_path: Path) -> Callable[[int], Path]:
    def make(seed: int) -> Path:
        truth, estimate = random_labels(np.random.default_rng(seed), 20, 13, 1.5)
        for name, labels in (("truth", truth), ("estimate", estimate)):
            (tmp_path / name).mkdir(exist_ok=True)
            write_labels(tmp_path / name / f"{seed}.csv", labels)
        return tmp_path

    return make


def test_command_scores_folders(
    folders: Callable[[int], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folders(0)
    folder = folders(1)
    command = ["evaluate", "seld", str(folder / "truth"), str(folder / "estimate")]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    sets = [random_labels(np.random.default_rng(seed), 20, 13, 1.5) for seed in (0, 1)]
    assert found["f20"] == pytest.approx(score(sets).f20, abs=1e-3)
    assert found["doae_deg"] == pytest.approx(score(sets).doae_deg, abs=0.02)
    assert main(command) == 0
    assert "DOA error" in capsys.readouterr().out


def test_command_tells_what_is_missing(
    folders: Callable[[int], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folders(0)
    assert main(["evaluate", "seld", str(folder / "nowhere.csv"), "b"]) == 1
    assert "There is no file" in capsys.readouterr().err
    assert main(["evaluate", "seld", str(folder / "truth"), str(folder / "nowhere")]) == 1
    assert "is not a folder" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["evaluate"])
