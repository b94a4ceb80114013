"""`blender --command sonic4d …`: status, messages, files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
import sound
from sonic4d_extension.blender_addon import cli, tasks
from sonic4d_extension.blender_addon.client.jobs import Job
from sonic4d_extension.blender_addon.sequencer import strips


def test_import_render_audio_and_export(bundle: Path, tmp_path: Path) -> None:
    sound.noise(bundle / "audio/bird.wav", 0.2)
    blend, movie = tmp_path / "new/s 010.blend", tmp_path / "s010.mp4"
    importing = ["import", str(bundle), "-o", str(blend), "--move", "orbit:10"]
    assert cli.main([*importing, "--frame-start", "11", "--resolution", "64x36"]) == 0
    assert cli.main(["render-audio", str(blend)]) == 0
    assert cli.main(["export-shot", str(blend), "-o", str(movie), "--samples", "1"]) == 0

    bpy.ops.wm.open_mainfile(filepath=str(blend))
    scene = bpy.context.scene
    assert (scene.frame_start, scene.frame_end) == (11, 14)
    assert scene.camera == scene.sonic4d.shot_camera
    [strip] = strips.take_strips(scene)
    assert strip.sound.filepath.startswith("//sonic4d_takes/")
    assert [path.name for path in blend.parent.iterdir() if path.is_file()] == ["s 010.blend"]
    assert sound.describe(movie)[:4] == ["24", "4", "64", "36"]
    take = sound.read_audio(Path(bpy.path.abspath(strip.sound.filepath)))
    heard = sound.read_audio(movie)[:, : take.shape[1]]
    assert np.corrcoef(heard[0], take[0])[0, 1] > 0.95


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ([], 2, "COMMAND"),
        (["dance"], 2, "invalid choice"),
        (["export-shot", "a.blend"], 2, "-o"),
        (["export-shot", "a.blend", "-o", "a.mp4", "--resolution", "64"], 2, "expected"),
        (["export-shot", "a.blend", "-o", "a.mp4", "--samples", "0"], 2, "from 1 to"),
        (["render-audio", "nowhere.blend"], 1, "There is no file"),
        (["import", "nowhere.sonic4d", "-o", "a.blend"], 1, "is not a scene bundle"),
        (["import", "nowhere.sonic4d", "-o", "a.txt"], 1, "ending in .blend"),
        (["--help"], 0, ""),
    ],
)
def test_bad_usage_and_bad_input(
    arguments: list[str],
    status: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == status
    assert said in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_move_that_is_not_understood_leaves_no_file(
    bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    blend = tmp_path / "a.blend"
    assert cli.main(["import", str(bundle), "-o", str(blend), "--move", "jump"]) == 1
    assert '"jump" is not understood' in capfd.readouterr().err
    assert not blend.exists()


def test_a_file_that_is_no_blend_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    blend = tmp_path / "a.blend"
    blend.write_bytes(b"no")
    assert cli.main(["render-audio", str(blend)]) == 1
    assert "can't be opened" in capfd.readouterr().err
    assert blend.read_bytes() == b"no"


def test_existing_files_are_kept(bundle: Path, tmp_path: Path) -> None:
    blend = tmp_path / "a.blend"
    blend.write_bytes(b"dear")
    assert cli.main(["import", str(bundle), "-o", str(blend)]) == 1
    assert blend.read_bytes() == b"dear"


def test_generate_makes_a_bundle_and_a_file_of_it(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The worker's part is replaced: it takes long and has its own tests."""
    asked: list[dict[str, Any]] = []

    def job(request: dict[str, Any], _activity: tasks.Activity) -> tasks.Steps[Job]:
        asked.append(request)
        shutil.copytree(bundle, request["output"])
        yield
        return Job(1, request, "done", results=[Path(request["output"])])

    monkeypatch.setattr(tasks, "job", job)
    blend = tmp_path / "new/a.blend"
    options = ["--point", "3,4@1", "--start", "0.5", "--height", "240", "--move", "orbit:10"]
    assert cli.main(["generate", "clip.mp4", "-o", str(blend), *options]) == 0
    assert asked == [
        {
            "kind": "generate",
            "video": str(Path("clip.mp4").absolute()),
            "output": str(blend.with_suffix(".sonic4d")),
            "point": "3,4@1",
            "start_s": 0.5,
            "height": 240,
        }
    ]
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    assert bpy.context.scene.sonic4d.bundle.sonic4d.bundle_path == "//a.sonic4d"
    assert cli.main(["generate", "clip.mp4", "-o", str(blend)]) == 1
    assert "exists already" in capfd.readouterr().err


def test_the_open_file_is_meant_where_none_is_named(
    bundle: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["render-audio"]) == 1
    assert "No .blend file is open" in capfd.readouterr().err
    sound.noise(bundle / "audio/bird.wav", 0.2)
    blend = tmp_path / "a.blend"
    assert cli.main(["import", str(bundle), "-o", str(blend)]) == 0
    assert cli.main(["render-audio"]) == 0
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    assert len(strips.take_strips(bpy.context.scene)) == 1
