"""Obstacles against formulas: what passes through, what goes around, what is in whose way, and never a click."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from scipy import fft, signal
from scipy.spatial.transform import Rotation
from sonic4d.acoustics import rerender
from sonic4d.acoustics.early_images import make_images
from sonic4d.acoustics.hifi import render_hifi, stream_hifi
from sonic4d.acoustics.hifi_scene import place
from sonic4d.acoustics.obstacles import make_obstacles, make_work, meet
from sonic4d.acoustics.occlusion import Occlusion
from sonic4d.acoustics.render import render_shot
from sonic4d.acoustics.rerender import render_hifi_again
from sonic4d.materials import MATERIALS
from sonic4d.monitor import SILENT, Monitor
from sonic4d.occluders import Occluder, occluders_from_json
from sonic4d.room import Room
from sonic4d.shot import Shot, shot_from_json

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
MakeShot = Callable[..., Shot]
OCTAVES_HZ = 125.0 * 2.0 ** np.arange(8)
LOSS_DB = [3, 6, 9, 12, 18, 24, 30, 36]
C = 343.0


def triangles(vertices: Any, faces: Any, loss_db: Any = 60.0) -> dict[str, Any]:
    return {
        "name": "obstacle",
        "kind": "triangles",
        "vertices": np.asarray(vertices, float).tolist(),
        "faces": np.asarray(faces).tolist(),
        "transmission_loss_db": np.broadcast_to(loss_db, 8).tolist(),
    }


def box(low: Any, high: Any, loss_db: Any = 60.0) -> dict[str, Any]:
    """A closed box of 12 triangles."""
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    faces = [(0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1)]
    faces += [(2, 3, 7), (2, 7, 6), (0, 2, 6), (0, 6, 4), (1, 5, 7), (1, 7, 3)]
    return triangles(np.array(low) + corners * (np.array(high) - low), faces, loss_db)


def screen(y: float, loss_db: Any = 60.0, top: float = 30.0) -> dict[str, Any]:
    """A plane across the y axis, as good as endless but for its upper edge."""
    plane = [(-30, y, -30), (30, y, -30), (30, y, top), (-30, y, top)]
    return triangles(plane, [(0, 1, 2), (0, 2, 3)], loss_db)


def cells(kind: str, filled: Any, cell_m: float, loss_db: Any = 60.0) -> dict[str, Any]:
    return {
        "name": "obstacle",
        "kind": kind,
        "cell_m": cell_m,
        "cells" if kind == "voxels" else "points": np.asarray(filled).tolist(),
        "transmission_loss_db": np.broadcast_to(loss_db, 8).tolist(),
    }


def read(*entries: dict[str, Any]) -> tuple[Occluder, ...]:
    return occluders_from_json(list(entries), Path(), "occluders")


@pytest.fixture
def heard(make_shot: MakeShot) -> Callable[..., Array]:
    """`heard(*obstacles, positions=..., **shot)`: gains (images, 8) in dB where nothing moves."""

    def gains(*entries: dict[str, Any], **changes: Any) -> Array:
        shot = make_shot(**{"mode": "hifi", "kind": "free_field"} | changes)
        scene = place(replace(shot, occluders=read(*entries)), SILENT)
        assert scene.obstacles is not None
        occlusion = Occlusion(scene.obstacles, scene.images, scene.room)
        found = occlusion.gains(scene.paths[0], 0, np.linspace(0, 0.2, 7))
        assert np.ptp(found, axis=0).max() < 1e-6
        return 20 * np.log10(np.maximum(found[0], 1e-30))

    return gains


def passes(obstacles: Any, start: Any, end: Any) -> int:
    loss, seen = np.zeros(8), np.zeros(3)
    ends = np.array(start, float), np.array(end, float)
    return meet(*ends, True, True, obstacles, make_work(), loss, seen)


def test_every_triangle_on_the_way_is_met() -> None:
    """Against each triangle by itself: the line passes on the same side of its three edges (Plücker coordinates)."""
    rng = np.random.default_rng(0)
    corners = rng.uniform(-2, 2, (3000, 1, 3)) + rng.normal(0, 0.3, (3000, 3, 3))
    obstacles = make_obstacles(
        read(triangles(corners.reshape(-1, 3), np.arange(9000).reshape(-1, 3)))
    )

    def crossed(start: Array, end: Array) -> int:
        way = end - start
        edges = np.roll(corners, -1, axis=1) - corners
        side = np.einsum(
            "nki,nki->nk", np.cross(corners - start, edges), np.broadcast_to(way, edges.shape)
        )
        normal = np.cross(edges[:, 0], edges[:, 1])
        heights = [np.einsum("ni,ni->n", p - corners[:, 0], normal) for p in (start, end)]
        same = (side > 0).all(axis=1) | (side < 0).all(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            at_m = heights[0] / (heights[0] - heights[1]) * np.linalg.norm(way)
        within = (at_m > 0.01) & (at_m < np.linalg.norm(way) - 0.01)  # see docs/shot.md
        return int((same & within).sum())

    found = []
    for start, end in rng.uniform(-3, 3, (200, 2, 3)):
        found.append(crossed(start, end))
        assert passes(obstacles, start, end) == found[-1]
    assert max(found) > 10


def test_what_counts_as_one_pass() -> None:
    plane, solid = screen(1.0), box((-1, 1, -1), (1, 1.5, 1))
    thick = [(i, 4 + j, k) for i in range(-9, 9) for j in range(3) for k in range(-9, 9)]
    assert passes(make_obstacles(read(plane)), (0, 0, 0.1), (0, 3, 0.2)) == 1
    assert passes(make_obstacles(read(solid)), (0, 0, 0.1), (0, 3, 0.2)) == 1
    assert passes(make_obstacles(read(solid)), (0, 1.2, 0.1), (0, 3, 0.2)) == 1  # from inside
    assert passes(make_obstacles(read(solid)), (0, 0, 1.1), (0, 3, 1.2)) == 0
    assert passes(make_obstacles(read(plane, solid)), (0, 0, 0.1), (0, 3, 0.2)) == 2
    assert passes(make_obstacles(read(plane)), (0, 0.995, 0), (0, 3, 0)) == 0  # it lies on it
    for kind, filled in (("voxels", thick), ("points", 0.25 * (np.array(thick) + 0.5))):
        grid = make_obstacles(read(cells(kind, filled, 0.25)))
        assert passes(grid, (0.1, 0, 0.1), (0.1, 3, 0.2)) == 1
        assert passes(grid, (-1, 0, -1.3), (1.3, 3, 1.1)) == 1
        assert passes(grid, (0.1, 1.1, 0.1), (0.1, 3, 0.2)) == 0  # its own body
        assert passes(grid, (0.1, 0, 0.1), (0.1, 1.1, 0.1)) == 0
        assert passes(grid, (0.1, 0, 2.3), (0.1, 3, 2.3)) == 0
        assert passes(grid, (0.1, 0, 0.1), (0.1, 0.9, 0.2)) == 0


def test_obstacles_of_nothing() -> None:
    empty = triangles(np.zeros((0, 3)), np.zeros((0, 3), int))
    assert make_obstacles(()) is None
    assert make_obstacles(read(empty, cells("points", [], 0.1))) is None
    assert passes(make_obstacles(read(empty, screen(1))), (0, 0, 0), (0, 3, 0)) == 1


def test_through_a_wall_without_end_goes_what_it_transmits(heard: Callable[..., Array]) -> None:
    np.testing.assert_allclose(heard(screen(1, LOSS_DB))[0], -np.array(LOSS_DB), atol=0.01)
    twice = heard(screen(0.7, LOSS_DB), screen(1.3, 5))[0]
    np.testing.assert_allclose(twice, -np.array(LOSS_DB) - 5, atol=0.01)
    concrete = dict(screen(1)) | {"material": "concrete"}
    del concrete["transmission_loss_db"]
    mass_kg_m2 = MATERIALS["concrete"].surface_mass_kg_m2
    law = np.clip(20 * np.log10(OCTAVES_HZ * mass_kg_m2) - 47, 0, 60)
    np.testing.assert_allclose(heard(concrete)[0], -law, atol=0.01)


@pytest.mark.parametrize("height_m", [0.05, 0.3, 1.0, 2.5])
@pytest.mark.parametrize("distances_m", [(1.0, 1.0), (0.6, 3.0)])
def test_around_an_edge_maekawa_holds(
    heard: Callable[..., Array], height_m: float, distances_m: tuple[float, float]
) -> None:
    """10 lg(3 + 20 N) behind a screen whose edge is so much above the line of sight."""
    near, far = distances_m
    detour = np.hypot(near, height_m) + np.hypot(far, height_m) - near - far
    expected = -10 * np.log10(3 + 20 * 2 * detour * OCTAVES_HZ / C)
    found = heard(screen(near, 200, top=height_m), positions=(0, near + far, 0))[0]
    np.testing.assert_allclose(found, expected, atol=0.4)


def test_the_nearest_edge_counts_whichever_way_it_lies(heard: Callable[..., Array]) -> None:
    """The same screen, turned about the line of sight."""
    corners = np.array([(-9, 1, -9), (9, 1, -9), (9, 1, 0.4), (-9, 1, 0.4)])
    expected = -10 * np.log10(3 + 20 * 4 * (np.hypot(1, 0.4) - 1) * OCTAVES_HZ / C)
    for angle_deg in range(0, 180, 15):
        turned = Rotation.from_euler("y", angle_deg, degrees=True).apply(corners)
        found = heard(triangles(turned, [(0, 1, 2), (0, 2, 3)], 200))[0]
        np.testing.assert_allclose(found, expected, atol=0.9)


def test_the_shadow_has_a_soft_edge_that_is_wider_for_low_notes(
    heard: Callable[..., Array],
) -> None:
    """-4.8 dB where the edge touches the line of sight, nothing from N = -0.1 on, and everything in between."""
    edge = heard(screen(1, 200, top=-0.001))[0]
    np.testing.assert_allclose(edge, -4.8, atol=0.3)
    before = edge
    for height_m in np.arange(-0.02, -1.0, -0.04):
        now = heard(screen(1, 200, top=height_m))[0]
        assert (now >= before - 0.15).all()
        assert np.abs(now - before).max() < 5
        fresnel = -4 * (np.hypot(1, height_m) - 1) * OCTAVES_HZ / C
        assert np.abs(now[fresnel < -0.115]).max(initial=0) == 0
        law = -10 * np.log10(np.maximum(1, 3 + 20 * fresnel))
        np.testing.assert_allclose(now[fresnel > -0.08], law[fresnel > -0.08], atol=0.8)
        before = now
    assert not before.any()


def test_beside_a_long_wall_nothing_is_lost(heard: Callable[..., Array]) -> None:
    """What runs along the path has no edge to bend around."""
    beside = [(0.1, -50, -30), (0.1, 50, -30), (0.1, 50, 30), (0.1, -50, 30)]
    found = heard(triangles(beside, [(0, 1, 2), (0, 2, 3)]))
    assert np.abs(found).max() < 0.5


def test_a_glass_pane_lets_through_more_than_goes_around(heard: Callable[..., Array]) -> None:
    """Energies add: V + (1 - V) T."""
    around = 1 / (3 + 20 * 4 * (np.hypot(1, 0.5) - 1) * OCTAVES_HZ / C)
    through = 10 ** (-np.array(LOSS_DB) / 10)
    found = heard(screen(1, LOSS_DB, top=0.5))[0]
    np.testing.assert_allclose(found, 10 * np.log10(around + (1 - around) * through), atol=0.3)


@pytest.mark.parametrize("yaw_deg", [0.0, 30.0])
@pytest.mark.parametrize("wall", range(6))
def test_first_reflections_are_hidden_one_by_one(
    heard: Callable[..., Array], yaw_deg: float, wall: int
) -> None:
    """A plate near one wall, where the mirror would show the source, hides that reflection alone."""
    size, center = np.array([4.0, 5, 3]), np.array([0, 1, 0.1])
    turn = Rotation.from_euler("z", yaw_deg, degrees=True).as_matrix()
    source, listener = np.array([-0.6, 1.9, 0.3]), np.zeros(3)
    ends = [turn.T @ (p - center) for p in (source, listener)]
    axis, side = wall // 2, 1.0 if wall % 2 else -1.0
    plane = side * size[axis] / 2
    share = (plane - ends[0][axis]) / (2 * plane - ends[0][axis] - ends[1][axis])
    at = ends[0] + share * (ends[1] - ends[0])
    at[axis] = plane - 0.2 * side
    spread = np.full(3, 0.35)
    spread[axis] = 0.02
    plate = box(at - spread, at + spread)
    plate["vertices"] = (np.array(plate["vertices"]) @ turn.T + center).tolist()
    found = heard(plate, kind="shoebox", positions=tuple(source), yaw_deg=yaw_deg)
    assert len(found) == 7
    # the path meets the plate on its way to the wall, on its way back or both times
    hidden = found[:, 4] < -6
    assert hidden.sum() == 1
    assert not hidden[0]
    hits = make_images(Room("shoebox", tuple(center), tuple(size), yaw_deg, 0.2), 1).hits
    assert hits[np.flatnonzero(hidden)[0], axis, wall % 2] == 1


def test_an_obstacle_that_is_the_rooms_own_wall_hides_nothing(
    heard: Callable[..., Array],
) -> None:
    """A mesh of the whole room, a few centimetres off."""
    found = heard(box((-2.01, -1.52, -1.43), (2.02, 3.51, 1.58)), kind="shoebox")
    assert np.abs(found).max() < 0.3


def test_the_ground_reflects_behind_a_low_wall(heard: Callable[..., Array]) -> None:
    """Half space: a wall of 1 m between two who stand 1.4 m above the ground hides the reflection only."""
    low_wall = box((-20, 0.9, -1.4), (20, 1.1, -0.4))
    found = heard(low_wall, kind="half_space")
    assert len(found) == 2
    assert np.abs(found[0, 3:]).max() < 0.1
    assert found[1, 4] < -8


def noise(shot: Shot) -> Float32:
    return np.random.default_rng(0).standard_normal(shot.sample_count).astype(np.float32)


@pytest.mark.parametrize("name", ["binaural", "ambix1", "5.1", "stereo"])
def test_what_is_rendered_is_as_much_weaker(make_shot: MakeShot, name: str) -> None:
    """Octave levels of noise behind a wall that has no end, in every kind of format."""
    shot = make_shot(mode="hifi", kind="free_field", format=name, sample_rate=48_000, frames=24)
    sound = noise(shot)
    hidden = replace(shot, occluders=read(screen(1, LOSS_DB)))
    open_air, behind = (
        np.abs(fft.rfft(render_hifi(s, [sound], SILENT)[0, 4800:].astype(float))) ** 2
        for s in (shot, hidden)
    )
    frequencies = np.linspace(0, 24_000, len(open_air))
    for middle_hz, loss_db in zip(OCTAVES_HZ[1:7], LOSS_DB[1:7], strict=True):
        band = np.abs(np.log2(np.maximum(frequencies, 1) / middle_hz)) < 0.15
        assert 10 * np.log10(behind[band].sum() / open_air[band].sum()) == pytest.approx(
            -loss_db, abs=1.0
        )


@pytest.fixture
def past_pillars(make_shot: MakeShot) -> Callable[..., Shot]:
    """Two seconds in which the source passes behind two pillars."""

    def make(**changes: Any) -> Shot:
        frames = 48
        positions = np.zeros((frames, 3))
        positions[:, 0], positions[:, 1] = np.linspace(-1.5, 1.5, frames), 2.2
        usual = {"mode": "hifi", "sample_rate": 48_000, "frames": frames, "positions": positions}
        shot = make_shot(**usual | changes)
        pillars = [box((x, 1.1, -2), (x + 0.15, 1.25, 2), LOSS_DB) for x in (-0.45, 0.2)]
        return replace(shot, occluders=read(*pillars))

    return make


@pytest.mark.parametrize("kind", ["free_field", "shoebox"])
@pytest.mark.parametrize("frequency_hz", [1000, 4000])
def test_passing_behind_pillars_does_not_click(
    past_pillars: MakeShot, kind: str, frequency_hz: int
) -> None:
    """Energy more than 10 % away from a tone; the shadow is heard."""
    shot = past_pillars(kind=kind)
    time = np.arange(shot.sample_count) / 48_000
    tone = np.sin(2 * np.pi * frequency_hz * time).astype(np.float32)
    sound = render_hifi(shot, [tone], SILENT)[0].astype(float)
    if kind == "free_field":
        level = np.abs(signal.hilbert(sound))[9600:-9600]
        assert level.min() < 0.5 * level.max()
    size = 16_384
    away = np.abs(fft.rfftfreq(size, 1 / 48_000) / frequency_hz - 1) > 0.1
    starts = range(24_000, len(sound) - size, size // 4)
    cut = np.stack([sound[s : s + size] for s in starts]) * np.kaiser(size, 20)
    energy = np.abs(fft.rfft(cut)) ** 2
    assert 10 * np.log10(energy[:, away].sum() / energy.sum()) < -90


def test_a_sudden_shadow_comes_within_50_ms(
    past_pillars: MakeShot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step becomes a smooth slope: by three quarters within 50 ms, around the same moment, and never overshoots."""
    scene = place(past_pillars(kind="free_field"), SILENT)
    assert scene.obstacles is not None
    occlusion = Occlusion(scene.obstacles, scene.images, scene.room)
    for step_s in np.linspace(1, 1.03, 7):

        def step(paths: Any, source: int, times_s: Array, step_s: float = step_s) -> Array:
            return np.broadcast_to(
                np.where(times_s < step_s, 1.0, 0.1)[:, None, None], (len(times_s), 1, 8)
            )

        monkeypatch.setattr(occlusion, "_at", step)
        times_s = np.arange(0.9, 1.2, 64 / 48_000)
        gain = occlusion.gains(scene.paths[0], 0, times_s)[:, 0, 6].astype(float)
        assert (np.diff(gain) <= 1e-6).all()
        assert gain[0] == pytest.approx(1)
        assert gain[-1] == pytest.approx(0.1)
        middle_s, early_s, late_s = np.interp([-0.55, -0.8875, -0.2125], -gain, times_s)
        assert abs(middle_s - step_s) < 0.018
        assert 0.03 < late_s - early_s < 0.05
        assert np.abs(np.diff(gain, 2)).max() < 0.002


@pytest.mark.parametrize("block", [1000, 30_000])
def test_blocks_are_the_whole(past_pillars: MakeShot, block: int) -> None:
    shot = past_pillars(sample_rate=16_000)
    sound = noise(shot)
    blocks = np.concatenate(list(stream_hifi(shot, [sound], block, SILENT)), axis=1)
    assert blocks.tobytes() == render_hifi(shot, [sound], SILENT).tobytes()


def test_after_an_edit_all_that_is_heard_differently_is_rendered_again(
    past_pillars: MakeShot,
) -> None:
    shot = past_pillars(sample_rate=16_000)
    sound = noise(shot)
    rerender.forget()
    first = render_hifi_again(shot, [sound], SILENT)
    edits = [
        replace(shot, occluders=shot.occluders[:1]),
        replace(shot, occluders=()),
        replace(shot, occluders=read(screen(1, 10))),
    ]
    moved = shot.sources[0].positions.copy()
    moved[30:34, 2] += 0.2
    edits.append(replace(shot, sources=(replace(shot.sources[0], positions=moved),)))
    for edited in edits:
        found = render_hifi_again(edited, [sound], SILENT)
        assert found.tobytes() == render_hifi(edited, [sound], SILENT).tobytes()
        assert found.tobytes() != first.tobytes()
    rerender.forget()


def test_from_shot_json_and_what_other_modes_say(make_shot: MakeShot) -> None:
    data = make_shot(mode="hifi").to_json() | {"occluders": [screen(1)]}
    shot = shot_from_json(data, make_shot().folder)
    soundfile.write(shot.folder / "bell.wav", noise(shot) * 0.1, 8000)
    hidden = render_shot(shot).audio
    assert np.abs(hidden).max() < np.abs(render_shot(replace(shot, occluders=())).audio).max()
    said: list[dict[str, Any]] = []
    for mode in ("paper", "fast"):
        render_shot(
            replace(shot, render=replace(shot.render, mode=mode)),
            Monitor(said.append, lambda: False),
        )
    warnings = [event["message"] for event in said if event.get("level") == "warning"]
    assert [w for w in warnings if "knows no obstacles" in w] == warnings[:2] != []
