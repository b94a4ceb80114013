"""SELDnet against numbers that the DCASE2024 baseline computed with the same weights (docs/seld.md says how)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from sonic4d.cli import main
from sonic4d.evaluate.seld_labels import read_labels
from sonic4d.evaluate.seldnet import CLASSES, SeldNet, load_seldnet, locate

FIRST = (
    0.006554320454597473,
    -0.2419215887784958,
    0.3696056604385376,
    -0.05141568183898926,
    0.4607841670513153,
)
LAST = (-0.11825598776340485, -0.027221597731113434, 0.03731510788202286)
SUM = 112.14997100830078


@torch.no_grad()
def filled() -> SeldNet:
    """Weights from a seed of NumPy, in the order of their names."""
    net, rng = SeldNet().eval(), np.random.default_rng(0)
    for name, weights in sorted(net.state_dict().items()):
        if weights.dtype.is_floating_point:
            values = rng.normal(0, 0.1, tuple(weights.shape))
            positive = name.endswith("running_var")
            weights.copy_(torch.from_numpy(abs(values) + 0.5 if positive else values))
    return net


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "net.h5"
    torch.save(filled().state_dict(), path)
    return path


def test_outputs_are_the_baselines() -> None:
    heard = np.random.default_rng(1).normal(0, 1, (1, 7, 20, 64)).astype(np.float32)
    with torch.no_grad():
        found = filled()(torch.from_numpy(heard))[0].flatten(1)
    assert found.shape == (4, 3 * 4 * CLASSES)
    assert found[1, :5].tolist() == pytest.approx(FIRST, abs=1e-6)
    assert found[3, -3:].tolist() == pytest.approx(LAST, abs=1e-6)
    assert float(found.abs().sum()) == pytest.approx(SUM, rel=1e-5)


def test_tracks_that_say_the_same_are_one() -> None:
    class Says(torch.nn.Module):
        """Class 3 three times, twice in nearly the same direction; class 5 once, not surely."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            values = torch.zeros(1, x.shape[2] // 5, 3, 4, CLASSES)
            for track, azimuth in enumerate((0.0, 10.0, 90.0)):
                angle = np.radians(azimuth)
                values[..., track, :, 3] = torch.tensor(
                    [np.cos(angle), np.sin(angle), 0, 2 + track]
                )
            values[..., 0, 0, 5] = 0.4
            return values

    found = locate(Says(), np.zeros((7, 10, 64), np.float32))
    assert set(found) == {0, 1}
    for events in found.values():
        assert [event.class_index for event in events] == [3, 3]
        places = {(round(e.azimuth_deg, 6), round(e.distance_m, 6)) for e in events}
        assert places == {(90.0, 4.0), (5.0, 2.5)}


def test_command_writes_labels(weights: Path, tmp_path: Path) -> None:
    sound = tmp_path / "a.wav"
    rng = np.random.default_rng(0)
    soundfile.write(sound, rng.normal(0, 0.1, (48000, 4)), 48000)
    output = tmp_path / "labels.csv"
    command = ["evaluate", "listen", str(sound), "--weights", str(weights), "-o", str(output)]
    assert main(command) == 0
    assert all(0 <= frame < 10 for frame in read_labels(output))


@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04 torn"])
def test_files_without_weights_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    path = tmp_path / "net.h5"
    path.write_bytes(content)
    command = ["evaluate", "listen", "a.wav", "--weights", str(path), "-o", str(tmp_path / "a.csv")]
    assert main(command) == 1
    assert "holds no weights" in capsys.readouterr().err


def test_weights_of_another_network_and_pickles_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.h5"
    torch.save({"a": torch.zeros(2)}, path)
    with pytest.raises(Exception, match="holds no weights"):
        load_seldnet(path)
    torch.save({"a": Path("anything but tensors")}, path)
    with pytest.raises(Exception, match="holds no weights"):
        load_seldnet(path)
