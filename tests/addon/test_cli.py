"""`blender --command sonic4d …`: status, messages, files."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
import sound
from sonic4d_extension.blender_addon import cli
from sonic4d_extension.blender_addon.sequencer import strips


def test_import_render_audio_and_export(bundle: Path, tmp_path: Path) -> None:
    sound.noise(bundle / "audio/bird.wav", 0.2)
    blend, movie = tmp_path / "new/s 010.blend", tmp_path / "s010.mp4"
    importing = ["import", str(bundle), "-o", str(blend), "--move", "orbit:10"]
    assert cli.main([*importing, "--frame-start", "11", "--resolution", "64x36"]) == 0
    assert cli.main(["render-audio", str(blend)]) == 0
    assert cli.main(["export", str(blend), "-o", str(movie), "--samples", "1"]) == 0

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
        (["export", "a.blend"], 2, "-o"),
        (["export", "a.blend", "-o", "a.mp4", "--resolution", "64"], 2, "expected"),
        (["export", "a.blend", "-o", "a.mp4", "--samples", "0"], 2, "from 1 to"),
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
