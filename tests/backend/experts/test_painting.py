"""How a shot is cut into what a model can paint and put together again; how much memory it takes. No torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import wall_scene
from safetensors.numpy import save_file
from sonic4d.experts.catalogue.novel_view import TRAJECTORYCRAFTER_NETWORKS, WAN_VACE_NETWORKS
from sonic4d.experts.machine import Machine
from sonic4d.experts.novel_view.framing import Framing, filling
from sonic4d.experts.novel_view.memory import PRESETS, Network, counted, needs, preset_for
from sonic4d.experts.novel_view.windows import painted, windows
from sonic4d.experts.registry import of_job
from sonic4d.geometry.cameras import LOOKING_NORTH, project
from sonic4d.geometry.pointcloud import lift
from sonic4d.monitor import SILENT
from sonic4d.protocol import Sonic4DError
from sonic4d.scene.novel_view import View

K = wall_scene.lens(96, 64)


def scene(count: int) -> View:
    """A camera that travels along the bare wall."""
    picture, depth = wall_scene.wall(K, LOOKING_NORTH)
    points = lift(picture, depth, K, LOOKING_NORTH)

    def video(indices: object) -> npt.NDArray[np.uint8]:
        raise AssertionError("not asked for here")

    poses = wall_scene.moved_right(0.5, count)
    return View(K, poses, np.zeros(count, int), lambda _frame: points, None, None, video)


@pytest.mark.parametrize("count", [1, 5, 49, 50, 89, 90, 200])
def test_windows_cover_the_shot_and_overlap(count: int) -> None:
    parts = windows(count, 49, 9)
    assert parts[0].start == 0
    assert parts[-1].stop == count
    assert all(len(part) == min(count, 49) for part in parts)
    for before, after in zip(parts, parts[1:], strict=False):
        assert 9 <= before.stop - after.start < 49
    assert len(parts) == max(1, -(-(count - 9) // 40))


@pytest.mark.parametrize("size", [(96, 64), (64, 96), (64, 64), (31, 17), (200, 50)])
def test_nothing_is_stretched(size: tuple[int, int]) -> None:
    """A point lands in the same place of the shot's picture, however that lies in the model's."""
    lens = wall_scene.lens(*size)
    framing = Framing.inside(lens, (128, 96))
    place = np.array([0.4, 5.0, -0.3])
    u, v, _ = project(place, lens, LOOKING_NORTH)
    x, y, _ = project(place, framing.lens, LOOKING_NORTH)
    assert (x - framing.left) / framing.width == pytest.approx(u / lens.width)
    assert (y - framing.top) / framing.height == pytest.approx(v / lens.height)
    assert framing.lens.fx / framing.lens.fy == pytest.approx(1, abs=0.02)
    assert framing.width == 128 or framing.height == 96
    picture = np.zeros((96, 128, 3), np.uint8)
    assert framing.shot_picture(picture).shape == (lens.height, lens.width, 3)


def test_source_pictures_are_cut_not_stretched() -> None:
    frames = np.zeros((1, 100, 300, 3), np.uint8)
    frames[0, :, 150:] = 255
    filled = filling(frames, (64, 64))[0]
    assert filled.shape == (64, 64, 3)
    assert (filled[:, :30] == 0).all()
    assert (filled[:, 34:] == 255).all()


def test_windows_join_without_a_seam() -> None:
    """A painter with a taste of its own for every window: what it adds fades over the overlap."""
    seen: list[tuple[range, float]] = []

    def paint(render: np.ndarray, holes: np.ndarray, frames: range) -> np.ndarray:
        assert len(render) == len(holes)
        assert len(render) % 4 == 1
        seen.append((frames, float(holes[:3].mean())))
        return np.full_like(render, 0.2 * len(seen))

    framing = Framing.inside(K, (96, 64))
    shots = list(painted(scene(16), framing, 9, 3, paint, SILENT))
    levels = np.array([picture.mean() / 255 for picture in shots])
    assert [frames for frames, _ in seen] == [range(0, 9), range(6, 15), range(7, 16)]
    assert len(shots) == 16
    assert np.abs(np.diff(levels)).max() < 0.1  # a cut would be 0.2
    assert levels[0] == pytest.approx(0.2, abs=0.01)
    assert levels[-1] == pytest.approx(0.6, abs=0.01)
    assert seen[0][1] > 0
    assert seen[1][1] == 0  # what was painted is no hole any more


def test_a_painter_that_changes_nothing_gives_the_render() -> None:
    view = scene(6)
    framing = Framing.inside(K, (96, 64))
    shots = [*painted(view, framing, 49, 9, lambda render, holes, frames: render, SILENT)]
    assert len(shots) == 6
    for frame, picture in enumerate(shots):
        assert np.abs(picture.astype(int) - view.render(frame).image).max() <= 1


# Memory


def gpu(gb: float, computer_gb: float = 64.0) -> Machine:
    return Machine("cuda", "a GPU", gb, computer_gb)


NETWORKS = [*TRAJECTORYCRAFTER_NETWORKS.values()]


def test_the_table_falls_from_preset_to_preset() -> None:
    for networks in (TRAJECTORYCRAFTER_NETWORKS, WAN_VACE_NETWORKS):
        table = needs([*networks.values()])
        assert list(table) == list(PRESETS)
        sizes = [need.gpu_gb for need in table.values()]
        assert sizes == sorted(sizes, reverse=True)
    table = needs(NETWORKS)
    # Two bytes a parameter, the largest activations beside them.
    assert table["full"].gpu_gb == pytest.approx(2 * 11.077 + 11.9 + 0.8, abs=0.1)
    assert table["sequential"].computer_gb == pytest.approx(2 * 11.077, abs=0.1)


@pytest.mark.parametrize(
    ("gpu_gb", "preset"), [(80, "full"), (32, "tiled"), (24, "offload"), (8, "sequential")]
)
def test_auto_takes_the_fastest_that_fits(gpu_gb: float, preset: str) -> None:
    assert preset_for("TrajectoryCrafter", "auto", NETWORKS, 1.0, gpu(gpu_gb)) == preset


def test_a_smaller_picture_needs_less() -> None:
    assert preset_for("TrajectoryCrafter", "auto", NETWORKS, 0.2, gpu(26)) == "full"


@pytest.mark.parametrize(
    ("asked", "machine", "said"),
    [
        ("auto", gpu(3), "GB of the GPU's .* there are 3.0 and 64.0 GB"),
        ("auto", gpu(80, 16), "of the computer's memory; there are 80.0 and 16.0 GB"),
        ("full", gpu(24), 'Choose the memory setting "offload"'),
        ("auto", Machine("cpu", "8 cores", 16, 16), "computer's memory; there are 16.0 GB"),
    ],
)
def test_what_cannot_fit_is_told_in_a_sentence(asked: str, machine: Machine, said: str) -> None:
    with pytest.raises(Sonic4DError, match=said) as caught:
        preset_for("TrajectoryCrafter", asked, NETWORKS, 1.0, machine)
    assert caught.value.code == "out_of_memory"
    assert caught.value.hint


def test_unknown_presets_are_named() -> None:
    with pytest.raises(Sonic4DError, match='"huge" is not one of auto, full') as caught:
        preset_for("TrajectoryCrafter", "huge", NETWORKS, 1.0, gpu(80))
    assert caught.value.code == "bad_option"


def test_networks_are_counted_by_their_files(tmp_path: Path) -> None:
    save_file({"a": np.zeros((3, 5), "f4"), "b": np.zeros(7, "f4")}, tmp_path / "1.safetensors")
    save_file({"c": np.zeros((2, 2), "f2")}, tmp_path / "2.safetensors")
    network = counted(Network(1, 1, 0.5, 0.25), tmp_path)
    assert (network.parameters, network.largest) == (26, 15)
    assert network.weights_gb(2) == pytest.approx(52e-9)


def test_the_registry_tells_the_table() -> None:
    for model in of_job("novel_view"):
        assert [preset.title.split()[1] for preset in model.presets] == [f"{p}:" for p in PRESETS]
        assert model.memory_gb == round(model.presets[-1].gpu_gb, 1)
