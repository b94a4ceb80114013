"""SELDnet, the baseline network of DCASE2024's task 3, for first-order Ambisonics: what sounds where, by ear alone.

Network: Shimada et al., "Multi-ACCDOA", ICASSP 2022, in the baseline's form with distance (Krause et al., 2024); its weights
(MIT licence) load by name. Needs torch.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..protocol import Sonic4DError
from .seld import CLASSES
from .seld_labels import Event, Labels

Array = npt.NDArray[np.float64]

MELS = 64
FEATURES = 7  # log-mel of W, Y, Z, X and the intensity vector
TRACKS, VALUES = 3, 4  # per class and frame: x, y, z (as long as it is sure) and distance
FRAMES_A_LABEL = 5
MAX_WEIGHTS_BYTES = 1 << 28
ACTIVE = 0.5
SAME_DEG = 15.0
_FILTERS, _HIDDEN, _HEADS = 64, 128, 8
_POOL_MELS = (4, 4, 2)
_POOL_FRAMES = (FRAMES_A_LABEL, 1, 1)


class _Convolution(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, _FILTERS, 3, padding=1)
        self.bn = nn.BatchNorm2d(_FILTERS)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.bn(self.conv(x)))


class SeldNet(nn.Module):
    """(batch, FEATURES, frames of 20 ms, MELS) -> (batch, frames of 100 ms, TRACKS, VALUES, CLASSES)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_block_list = nn.ModuleList()
        for number, pool in enumerate(zip(_POOL_FRAMES, _POOL_MELS, strict=True)):
            convolution = _Convolution(_FILTERS if number else FEATURES)
            self.conv_block_list.extend([convolution, nn.MaxPool2d(pool), nn.Identity()])
        width = _FILTERS * MELS // int(np.prod(_POOL_MELS))
        self.gru = nn.GRU(width, _HIDDEN, num_layers=2, batch_first=True, bidirectional=True)
        self.mhsa_block_list = nn.ModuleList(
            nn.MultiheadAttention(_HIDDEN, _HEADS, batch_first=True) for _ in range(2)
        )
        self.layer_norm_list = nn.ModuleList(nn.LayerNorm(_HIDDEN) for _ in range(2))
        outputs = TRACKS * VALUES * CLASSES
        self.fnn_list = nn.ModuleList([nn.Linear(_HIDDEN, _HIDDEN), nn.Linear(_HIDDEN, outputs)])

    def forward(self, x: Tensor) -> Tensor:
        for block in self.conv_block_list:
            x = block(x)
        x = torch.tanh(self.gru(x.transpose(1, 2).flatten(2))[0])
        x = x[..., _HIDDEN:] * x[..., :_HIDDEN]
        for attention, norm in zip(self.mhsa_block_list, self.layer_norm_list, strict=True):
            x = norm(x + attention(x, x, x, need_weights=False)[0])
        for layer in self.fnn_list:
            x = layer(x)
        return x.unflatten(2, (TRACKS, VALUES, CLASSES))


def load_seldnet(weights: Path) -> SeldNet:
    """The network with the weights of a file of the baseline. Raises `Sonic4DError` where they are not."""
    net = SeldNet()
    try:
        if weights.stat().st_size > MAX_WEIGHTS_BYTES:
            raise ValueError("it is too large")
        state: Any = torch.load(weights, map_location="cpu", weights_only=True)
        net.load_state_dict(state)
    except FileNotFoundError:
        raise Sonic4DError(
            "missing_file", f"There is no file {weights}.", "Check the path."
        ) from None
    except Exception as error:  # whatever a foreign file makes torch raise
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise Sonic4DError(
            "bad_weights",
            f"{weights} holds no weights of DCASE2024's SELDnet for first-order Ambisonics: {reason}",
            "Take 3_1_dev_split0_multiaccdoa_foa_model.h5 of the DCASE2024 baseline.",
        ) from None
    return net.eval()


@torch.inference_mode()
def locate(net: SeldNet, features: npt.NDArray[np.float32], frames_a_piece: int = 250) -> Labels:
    """What the network hears in features (FEATURES, frames, MELS), in pieces as long as those it was trained on."""
    found: Labels = {}
    for start in range(0, features.shape[1], frames_a_piece):
        piece = torch.from_numpy(np.ascontiguousarray(features[:, start : start + frames_a_piece]))
        if piece.shape[1] < FRAMES_A_LABEL:
            break
        values = net(piece[None])[0].numpy().astype(np.float64)
        for number, frame in enumerate(values, start // FRAMES_A_LABEL):
            events = [*_events(frame)]
            if events:
                found[number] = events
    return found


def _events(frame: Array) -> Iterable[Event]:
    """Events of one label frame (TRACKS, VALUES, CLASSES): tracks of a class that say the same are one."""
    vectors, distances = frame[:, :3], np.maximum(frame[:, 3], 0)
    lengths = np.linalg.norm(vectors, axis=1)
    for class_index in np.flatnonzero((lengths > ACTIVE).any(axis=0)):
        active = [t for t in range(TRACKS) if lengths[t, class_index] > ACTIVE]
        pairs = [
            pair
            for pair in itertools.combinations(active, 2)
            if _angle_deg(*vectors[list(pair), :, class_index]) < SAME_DEG
        ]
        groups: list[list[int]] = [[t] for t in active]
        if len(pairs) == 1:
            groups = [[t] for t in active if t not in pairs[0]] + [[*pairs[0]]]
        elif pairs:
            groups = [active]
        for track, group in enumerate(groups):
            x, y, z = vectors[group, :, class_index].mean(axis=0)
            azimuth, elevation = np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))
            distance = float(distances[group, class_index].mean())
            angles = (float(np.degrees(azimuth)), float(np.degrees(elevation)))
            yield Event(int(class_index), track, *angles, distance)


def _angle_deg(a: Array, b: Array) -> float:
    cosine = a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-30)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
