"""Plots of the evaluation's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import numpy as np
import numpy.typing as npt
from matplotlib import pyplot as plt

from .geometry import Found
from .ground_truth.truth import Truth

Array = npt.NDArray[np.float64]

_TRUE = {"color": "black", "linewidth": 2.5, "alpha": 0.5}


def plot_scene(path: Path, truth: Truth, tracks: Mapping[str, Sequence[Found]]) -> None:
    """From above, and the azimuth seen from the camera over time: the truth and what was found."""
    figure, (above, azimuths) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    times_s = np.arange(truth.frame_count) / float(truth.frame_rate)
    for source in truth.sources:
        above.plot(*source.positions[:, :2].T, label=f"{source.name}: truth", **_TRUE)
        azimuths.plot(times_s, _azimuths_deg(truth, source.positions), **_TRUE)
    above.plot(*truth.cameras[:, :2, 3].T, color="black", marker="^", markevery=[0], label="camera")
    for number, (name, found) in enumerate(tracks.items()):
        for one in found:
            style = {"color": f"C{number}", "linewidth": 1.2}
            above.plot(*one.positions[:, :2].T, label=name if one is found[0] else None, **style)
            azimuths.plot(times_s, _azimuths_deg(truth, one.positions), **style)
    above.set(title=f"{truth.name}: from above", xlabel="x (m)", ylabel="y (m)")
    above.set_aspect("equal", adjustable="datalim")
    azimuths.set(title="azimuth seen from the camera", xlabel="s", ylabel="degrees, to the left")
    figure.legend(loc="outside lower center", ncols=4, fontsize="small")
    figure.savefig(path, dpi=80)
    plt.close(figure)


def plot_errors(
    path: Path,
    found: Mapping[tuple[str, str], Sequence[Found]],
    heard: Mapping[tuple[str, str], Array],
) -> None:
    """How errors of direction are distributed, of the geometry and of the rendered sound."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for (depth, finder), all_ in found.items():
        angles = np.concatenate([one.angles_deg for one in all_])
        _cumulate(axes[0], angles, f"{finder}, {depth} depth")
    for (name, where), errors in heard.items():
        if where != "open air":
            _cumulate(axes[1], abs(errors), name)
    axes[0].set(title="sources in scene bundles", xlabel="angle from the truth (degrees)")
    axes[1].set(title="rendered sound, in rooms", xlabel="lateral angle from the truth (degrees)")
    for axis in axes:
        axis.set(xscale="log", xlim=(0.05, 180), ylim=(0, 1), ylabel="share of frames below")
        axis.grid(alpha=0.3)
        axis.legend(fontsize="small")
    figure.savefig(path, dpi=80)
    plt.close(figure)


def _cumulate(axis: plt.Axes, values: Array, label: str) -> None:
    known = np.sort(values[np.isfinite(values)])
    axis.plot(
        np.maximum(known, 1e-3), np.arange(1, len(known) + 1) / max(len(values), 1), label=label
    )


def _azimuths_deg(truth: Truth, positions: Array) -> Array:
    offsets = positions - truth.cameras[:, :3, 3]
    right = np.einsum("ni,ni->n", offsets, truth.cameras[:, :3, 0])
    ahead = -np.einsum("ni,ni->n", offsets, truth.cameras[:, :3, 2])
    return np.degrees(np.arctan2(-right, ahead))
