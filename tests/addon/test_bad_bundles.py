"""What is wrong with a bundle is said in one sentence, and nothing is left half-made."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import pytest


def edited(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        path = folder / "bundle.json"
        data = json.loads(path.read_text())
        change(data)
        path.write_text(json.dumps(data))

    return damage


def cut(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-3])

    return damage


def removed(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


DAMAGES = {
    "no bundle.json": (removed("bundle.json"), "is not a scene bundle"),
    "not JSON": (lambda f: (f / "bundle.json").write_text("{"), "damaged"),
    "not text": (lambda f: (f / "bundle.json").write_bytes(b"\xff\xfe\x00"), "damaged"),
    "a list": (lambda f: (f / "bundle.json").write_text("[]"), "version None"),
    "newer": (edited(lambda d: d.update(sonic4d_bundle=2)), "version 2"),
    "key missing": (edited(lambda d: d.pop("cameras")), "'cameras' is missing"),
    "no frames": (edited(lambda d: d.update(cameras=[], frame_count=0)), "cameras"),
    "frames disagree": (edited(lambda d: d.update(frame_count=3)), "number of frames"),
    "bad rate": (edited(lambda d: d.update(frame_rate="0")), "frame rate is 0"),
    "rate by zero": (edited(lambda d: d.update(frame_rate="1/0")), "bundle.json"),
    "NaN": (edited(lambda d: d["intrinsics"].update(fx=float("nan"))), "fx is not a number"),
    "no lens": (edited(lambda d: d["intrinsics"].update(fy=0)), "focal length"),
    "huge picture": (edited(lambda d: d["intrinsics"].update(width=10**9)), "larger than"),
    "ragged": (edited(lambda d: d["sources"][0].update(positions=[[1], [2, 3]])), "positions"),
    "short": (edited(lambda d: d["sources"][0]["confidence"].pop()), "confidence"),
    "leaves the folder": (edited(lambda d: d["sources"][0].update(audio="../x.wav")), "outside"),
    "strange room": (edited(lambda d: d["room"].update(kind="cave")), "cave"),
    "points missing": (removed("cloud/f_0002.ply"), "f_0002.ply are missing"),
    "points cut off": (cut("cloud/f_0002.ply"), "f_0002.ply are cut off"),
    "background cut off": (cut("background.ply"), "background.ply are cut off"),
    "not points": (lambda f: (f / "background.ply").write_bytes(b"GIF89a"), "not a point file"),
    "sound missing": (removed("audio/bird.wav"), "bird.wav is missing"),
    "video missing": (removed("source.mp4"), "source.mp4 is missing"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named(bundle: Path, name: str) -> None:
    damage, words = DAMAGES[name]
    damage(bundle)
    with pytest.raises(RuntimeError, match="^Error: ") as caught:
        bpy.ops.sonic4d.import_bundle(filepath=str(bundle))
    assert words in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert not bpy.data.objects
    assert not bpy.data.collections
    assert bpy.context.scene.frame_end == 250


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="is not a scene bundle"):
        bpy.ops.sonic4d.import_bundle(filepath=str(tmp_path / "none.sonic4d"))


def test_unreadable_video_costs_only_the_background(bundle: Path) -> None:
    (bundle / "source.mp4").write_bytes(b"no video")
    assert bpy.ops.sonic4d.import_bundle(filepath=str(bundle)) == {"FINISHED"}
    camera = bpy.context.scene.sonic4d.bundle.sonic4d.source_camera.data
    assert not [image for image in camera.background_images if image.clip]


def test_bundle_without_background_or_sources(bundle: Path) -> None:
    edited(lambda d: d.update(has_background=False, sources=[]))(bundle)
    (bundle / "background.ply").unlink()
    shutil.rmtree(bundle / "audio")
    assert bpy.ops.sonic4d.import_bundle(filepath=str(bundle)) == {"FINISHED"}
    names = {item.name for item in bpy.context.scene.sonic4d.bundle.children}
    assert names == {f"{bundle.stem} {part}" for part in ("cloud", "room", "camera")}
