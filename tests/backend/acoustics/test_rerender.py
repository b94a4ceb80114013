"""Rendering in pieces, and again after an edit: always the same bytes as all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.spatial.transform import Rotation
from sonic4d.acoustics import rerender
from sonic4d.acoustics.early_sound import PIECE, EarlySound
from sonic4d.acoustics.hifi import Pieces, render_hifi, stream_hifi
from sonic4d.acoustics.rerender import render_hifi_again
from sonic4d.directivity import Directivity
from sonic4d.geometry.cameras import LOOKING_NORTH
from sonic4d.monitor import SILENT, Monitor
from sonic4d.shot import Shot

Float32 = npt.NDArray[np.float32]
MakeShot = Callable[..., Shot]
FRAMES = 240


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    rerender.forget()
    yield
    rerender.forget()


@pytest.fixture
def walk(make_shot: MakeShot) -> Callable[..., Shot]:
    """Ten seconds at 16 kHz: a source that circles, a camera that walks and turns."""

    def make(**settings: Any) -> Shot:
        u = np.arange(FRAMES) / FRAMES
        positions = np.stack([1.5 * np.cos(7 * u), 1 + np.sin(7 * u), 0.4 * np.sin(9 * u)], axis=1)
        poses = np.tile(LOOKING_NORTH, (FRAMES, 1, 1))
        poses[:, :3, :3] = Rotation.from_euler("z", 2 * u[:, None]).as_matrix() @ poses[:, :3, :3]
        poses[:, 0, 3] = 0.8 * u
        defaults = {"mode": "hifi", "sample_rate": 16_000, "rt60_s": 0.5}
        return make_shot(frames=FRAMES, positions=positions, poses=poses, **defaults | settings)

    return make


def noise(shot: Shot, seed: int = 0) -> Float32:
    return np.random.default_rng(seed).standard_normal(shot.sample_count).astype(np.float32)


def moved(shot: Shot, frames: slice, by: tuple[float, float, float]) -> Shot:
    positions = shot.sources[0].positions.copy()
    positions[frames] += by
    return replace(shot, sources=(replace(shot.sources[0], positions=positions),))


def with_camera(shot: Shot, frames: slice) -> Shot:
    poses = shot.listener_poses.copy()
    poses[frames, :3, :3] = Rotation.from_euler("z", 0.2).as_matrix() @ poses[frames, :3, :3]
    poses[frames, 2, 3] += 0.1
    return replace(shot, listener_poses=poses)


def again(shot: Shot, sound: Float32) -> tuple[Float32, str]:
    said: list[dict[str, Any]] = []
    audio = render_hifi_again(shot, [sound], Monitor(said.append, lambda: False))
    return audio, " ".join(event.get("message", "") for event in said)


EDITS: dict[str, Callable[[Shot], Shot]] = {
    "source": lambda shot: moved(shot, slice(100, 110), (0.1, 0.2, 0)),
    "a jump of the source": lambda shot: moved(shot, slice(100, 110), (1.5, 0.5, 0)),
    "camera": lambda shot: with_camera(shot, slice(60, 63)),
    "one frame": lambda shot: moved(shot, slice(100, 101), (0, 0, 0.05)),
    "the first frames": lambda shot: with_camera(shot, slice(0, 3)),
    "the last frame": lambda shot: with_camera(shot, slice(FRAMES - 1, FRAMES)),
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("name", ["binaural", "ambix1"])
def test_an_edit_changes_only_what_it_is_heard_in(walk: MakeShot, edit: str, name: str) -> None:
    shot = walk(format=name)
    sound = noise(shot)
    again(shot, sound)
    edited = EDITS[edit](shot)
    found, said = again(edited, sound)
    assert found.tobytes() == render_hifi(edited, [sound], SILENT).tobytes()
    assert "pieces are rendered again" in said


def test_the_same_shot_costs_nothing(walk: MakeShot) -> None:
    shot = walk()
    first, said = again(shot, noise(shot))
    assert said.strip() == ""
    second, said = again(shot, noise(shot))
    assert second.tobytes() == first.tobytes()
    assert said.strip().startswith("0 of")


@pytest.mark.parametrize("pattern", ["omni", "voice"])
def test_changed_sound_rings_on(walk: MakeShot, pattern: str) -> None:
    shot = walk(tail=True)
    shot = replace(shot, sources=(replace(shot.sources[0], directivity=Directivity(pattern)),))
    sound = noise(shot)
    again(shot, sound)
    sound = sound.copy()
    sound[70_000:70_010] *= -1
    found, said = again(shot, sound)
    assert found.tobytes() == render_hifi(shot, [sound], SILENT).tobytes()
    assert "pieces" in said


@pytest.mark.parametrize(
    "change",
    [
        lambda shot: replace(shot, room=replace(shot.room, rt60_s=0.3)),
        lambda shot: replace(shot, room=replace(shot.room, materials={"all": "brick"})),
        lambda shot: replace(shot, render=replace(shot.render, reflection_order=1)),
        lambda shot: replace(shot, render=replace(shot.render, seed=9)),
        lambda shot: replace(
            shot, sources=(replace(shot.sources[0], directivity=Directivity("cardioid")),)
        ),
        lambda shot: moved(shot, slice(0, FRAMES), (0, 30, 0)),
    ],
)
def test_what_changes_everything_is_rendered_anew(
    walk: MakeShot, change: Callable[[Shot], Shot]
) -> None:
    shot = walk()
    sound = noise(shot)
    again(shot, sound)
    changed = change(shot)
    found, _ = again(changed, sound)
    assert found.tobytes() == render_hifi(changed, [sound], SILENT).tobytes()


def test_what_a_sound_was_filtered_to_is_kept(
    walk: MakeShot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same sound, wherever its source goes; what the walls are made of colours it."""
    filtered: list[tuple[int, int]] = []
    block = EarlySound._filtered_block
    monkeypatch.setattr(
        EarlySound,
        "_filtered_block",
        lambda self, place: (filtered.append(place), block(self, place))[1],
    )
    # Not near the head, where the same filters are taken for all walls.
    shot = moved(walk(), slice(None), (0, 3, 0))
    shot = replace(shot, room=replace(shot.room, size=(8.0, 12.0, 3.0)))
    sound = noise(shot)
    again(shot, sound)
    other_place = moved(shot, slice(None), (0.5, 0.1, 0))
    walls = replace(shot.room, materials={"all": "curtain"}, rt60_s=None)
    other_room = replace(other_place, room=walls)
    for edited, is_kept in ((other_place, True), (other_room, False)):
        filtered.clear()
        audio, _ = again(edited, sound)
        assert (not filtered) == is_kept
        np.testing.assert_array_equal(audio, render_hifi(edited, [sound], SILENT))


def test_any_pieces_are_those_of_the_whole(walk: MakeShot) -> None:
    """From wherever rendering starts, with reverberation that is longer than a piece."""
    shot = walk(rt60_s=3.0)
    sound = noise(shot)
    pieces = Pieces(shot, [sound], SILENT)
    assert pieces.late_samples > PIECE
    whole = list(pieces.render(0, pieces.count))
    for first, last in ((1, 2), (2, pieces.count), (3, 5)):
        for number, piece in enumerate(pieces.render(first, last), first):
            assert piece.tobytes() == whole[number].tobytes()


@pytest.mark.parametrize("block", [64, 1000, 4096, PIECE, 100_000, 10_000_000])
def test_blocks_of_any_size_are_the_whole(walk: MakeShot, block: int) -> None:
    shot = walk(tail=True)
    sound = noise(shot)
    blocks = list(stream_hifi(shot, [sound], block, SILENT))
    assert all(part.shape[1] == block for part in blocks[:-1])
    whole = render_hifi(shot, [sound], SILENT)
    assert np.concatenate(blocks, axis=1).tobytes() == whole.tobytes()
