"""Three scenes of the ground-truth set, rendered now: what is true of them, what is found in them, what is heard of them.

The thresholds are a gate: figures of the whole set are in docs/evaluation.md.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sonic4d.cli import main
from sonic4d.evaluate.geometry import Found, locate, scores
from sonic4d.evaluate.ground_truth.truth import DEPTH, Truth, read_set
from sonic4d.evaluate.signal import LISTENINGS, Listening, against_reference, lateral_errors_deg
from sonic4d.geometry.cameras import back_project
from sonic4d.monitor import SILENT

SCENES = ("right-to-left", "behind-a-pillar", "pan")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("truth") / "set"
    options = ["-o", str(output), "--blender", os.environ["SONIC4D_BPY_PYTHON"]]
    assert main(["evaluate", "make-set", *options, "--scenes", ",".join(SCENES)]) == 0
    return output


@pytest.fixture(scope="session")
def truths(folder: Path) -> Sequence[Truth]:
    found = read_set(folder)
    assert [truth.name for truth in found] == [*SCENES]
    return found


@pytest.fixture(scope="session")
def marked(truths: Sequence[Truth]) -> list[Found]:
    """Marked in the first frame, tracked, with true depth."""
    return [one for truth in truths for one in locate(truth, "truth", "box", SILENT)]


def test_depth_is_that_of_the_described_scene(truths: Sequence[Truth]) -> None:
    for truth in truths:
        with np.load(truth.folder / DEPTH) as stored:
            depth_m = stored["depth_m"]
        k, floor_m = truth.camera, truth.room.center[2] - truth.room.size[2] / 2
        assert depth_m.shape == (truth.frame_count, k.height, k.width)
        for frame in (0, truth.frame_count - 1):
            u, v = k.width - 10.5, k.height - 3.5
            place = back_project(u, v, depth_m[frame, int(v), int(u)], k, truth.cameras[frame])
            assert place[2] == pytest.approx(floor_m, abs=0.02)


def test_bodies_stand_where_the_truth_says(truths: Sequence[Truth]) -> None:
    for truth in truths:
        with np.load(truth.folder / DEPTH) as stored:
            depth_m = stored["depth_m"]
        source = truth.sources[0]
        for frame in (0, truth.frame_count - 1):
            x0, y0, x1, y1 = source.boxes[frame]
            u, v = (x0 + x1) / 2, (y0 + y1) / 2
            front = back_project(
                u, v, depth_m[frame, int(v), int(u)], truth.camera, truth.cameras[frame]
            )
            assert (
                np.linalg.norm(front - source.positions[frame]) < 0.35
            )  # the body's radius and more


def test_marked_sources_are_found_where_they_are(marked: list[Found]) -> None:
    figures = scores(marked)
    assert not any(one.problem for one in marked)
    assert figures.f20 > 0.99
    assert figures.doae_deg < 2
    assert figures.relative_distance_error < 0.1


def test_without_a_mark_or_depth_the_direction_still_holds(truths: Sequence[Truth]) -> None:
    found = locate(truths[0], "geometric", "motion", SILENT)
    assert scores(found).doae_deg < 8


@pytest.mark.parametrize("listening", LISTENINGS, ids=lambda listening: listening.name)
def test_sound_comes_from_where_the_source_is(
    truths: Sequence[Truth], listening: Listening, tmp_path: Path
) -> None:
    truth = truths[0]
    source = truth.sources[0]
    limits_deg = {"free_field": 2.0}
    if listening.format != "ambix1":  # energy is drawn to the middle by what the walls send back
        limits_deg["shoebox"] = 5.0
    for kind, limit_deg in limits_deg.items():
        room = replace(truth.room, kind=kind)
        errors = lateral_errors_deg(
            truth, source, source.positions, room, listening, tmp_path, SILENT
        )
        assert len(errors) > 25
        assert abs(errors).mean() < limit_deg


def test_an_independent_program_hears_the_same(truths: Sequence[Truth]) -> None:
    outdoors = truths[SCENES.index("behind-a-pillar")]
    found = against_reference(outdoors, "fast", SILENT)
    assert found["level_db"] < 0.2
    assert found["correlation"] > 0.99
    # Indoors moving sources are a matter of how responses are crossfaded; levels must still agree.
    assert against_reference(truths[0], "fast", SILENT)["level_db"] < 1.5


def test_report_of_a_scene(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "report"
    command = ["evaluate", "run", str(folder), "-o", str(output), "--scenes", SCENES[0]]
    assert main(command) == 0
    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    assert {(row["depth"], row["finder"]) for row in report["geometry"]} == {
        (depth, finder) for depth in ("truth", "geometric") for finder in ("box", "motion")
    }
    assert all(row["mean"] is not None for row in report["signal"])
    assert report["end_to_end"]
    page = (output / "report.html").read_text(encoding="utf-8")
    for name in (f"{SCENES[0]}.png", "errors.png"):
        assert name in page
        assert (output / name).read_bytes().startswith(b"\x89PNG")
