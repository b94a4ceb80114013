"""A small shot to vary: a source 2 m in front of a still camera in the middle of a room that reverberates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from sonic4d.acoustics import hrtf, late_field
from sonic4d.acoustics.early_images import make_walls
from sonic4d.acoustics.hand_over import HandOver
from sonic4d.acoustics.receivers import make_receiver
from sonic4d.geometry.cameras import LOOKING_NORTH
from sonic4d.monitor import SILENT
from sonic4d.room import Room
from sonic4d.shot import Normalize, RenderSettings, Shot, ShotSource

FRAMES = 12


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prepared heads go to the tests' own folder, not to the user's."""
    folder = tmp_path_factory.getbasetemp() / "hrtf-cache"
    monkeypatch.setattr(hrtf, "_cache_folder", lambda: folder)


@pytest.fixture
def make_shot(tmp_path: Path) -> Callable[..., Shot]:
    """`make_shot(kind="free_field", positions=(12, 3), poses=(12, 4, 4), rt60_s=..., frame_rate=..., **render)`."""

    def make(
        *,
        kind: str = "shoebox",
        rt60_s: float = 0.2,
        yaw_deg: float = 0.0,
        positions: np.ndarray | tuple[float, float, float] = (0, 2, 0),
        poses: np.ndarray = LOOKING_NORTH,
        frame_rate: str = "24",
        frames: int = FRAMES,
        **render: object,
    ) -> Shot:
        source = ShotSource(
            "bell", "bell.wav", np.broadcast_to(positions, (frames, 3)).astype(float)
        )
        settings = RenderSettings(mode="paper", sample_rate=8000, normalize=Normalize("none"))
        return Shot(
            name="test",
            frame_rate=Fraction(frame_rate),
            frame_start=1,
            frame_end=frames,
            listener_poses=np.broadcast_to(poses, (frames, 4, 4)),
            sources=(source,),
            room=Room(kind, (0.0, 1.0, 0.1), (4.0, 5.0, 3.0), yaw_deg, rt60_s),
            render=replace(settings, **render),
            folder=tmp_path,
        )

    return make


@pytest.fixture
def late_response(monkeypatch: pytest.MonkeyPatch) -> Callable[..., np.ndarray]:
    """`late_response(shot, axes=(3, 3))`: the late field's impulse response (channels, samples) for a head that looks along
    the room's x axis, or else; as if there were no early reflections."""

    def respond(shot: Shot, axes: np.ndarray | None = None) -> np.ndarray:
        alone = HandOver(np.array([0.0, 1]), np.zeros((1, 2, 8)), np.ones((2, 8)))
        monkeypatch.setattr(late_field, "make_hand_over", lambda *_: alone)
        late_field._prepared.cache_clear()
        render = shot.render
        walls = make_walls(shot.room, SILENT)
        assert walls is not None
        receiver = make_receiver(render, shot.folder)
        piece, lead = 1 << 14, receiver.memory
        click = np.zeros(piece, np.float32)
        click[0] = 1
        late = late_field.LateField(
            shot.room.size, 3, walls, receiver, render.sample_rate, render.seed, piece, lead,
            lambda number: click if number == 0 else np.zeros_like(click),
        )  # fmt: skip
        late_field._prepared.cache_clear()
        knots = (piece + lead) // 64 + 1
        looking = np.broadcast_to(np.eye(3) if axes is None else axes, (1, knots, 3, 3))
        count = -(-late.length // piece)
        pieces = [late.hear(number, looking, np.ones((1, knots))) for number in range(count)]
        return np.concatenate(pieces, axis=1)

    return respond
