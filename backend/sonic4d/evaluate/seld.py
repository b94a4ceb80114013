"""The metrics of DCASE's sound event localisation and detection (SELD) challenge.

Politis et al., "Overview and evaluation of sound event localization and detection in DCASE 2019", TASLP 2021; with
distance as in DCASE2024 task 3. Averages, thresholds and edge cases are those of the challenge's own evaluation, so that
figures can be compared with published ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from .seld_labels import Event, Labels

Array = npt.NDArray[np.float64]

CLASSES = 13
MAX_ANGLE_DEG = 20.0
MAX_RELATIVE_DISTANCE = 1.0
AVERAGES = ("macro", "micro")
_EPSILON = float(np.finfo(float).eps)
# The challenge normalises direction vectors with this under the root: equal directions are 0.0008 degrees apart.
_SOFT_NORM = 1e-10


@dataclass(frozen=True)
class Scores:
    """f20: location-aware F-score in 0..1; doae_deg: mean angle between matched directions; distances' mean errors,
    absolute in metres and relative to the truth; recall: localisation recall in 0..1; seld: (1 - f20, doae_deg / 180,
    relative_distance_error) averaged. NaN where nothing matched. `per_class`: the same by class index, of classes that
    occur."""

    f20: float
    doae_deg: float
    distance_error_m: float
    relative_distance_error: float
    recall: float
    seld: float
    per_class: dict[int, dict[str, float]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Numbers, None where there is none."""
        return {
            **_json_numbers({k: v for k, v in vars(self).items() if k != "per_class"}),
            "per_class": {str(k): _json_numbers(v) for k, v in self.per_class.items()},
        }


def score(
    pairs: Iterable[tuple[Labels, Labels]],
    classes: int = CLASSES,
    average: str = "macro",
    stereo: bool = False,
    max_angle_deg: float = MAX_ANGLE_DEG,
    max_relative_distance: float = MAX_RELATIVE_DISTANCE,
) -> Scores:
    """Score estimates against the truth, both by frame; each pair is one recording: (truth, estimate).

    Per frame and class, estimates are matched to the truth by the least sum of angles. A match counts as correct up to
    and including `max_angle_deg` and `max_relative_distance`; errors are means over all matches. `average`: "macro", over
    classes (one without any event counts as F = 0), or "micro", over events. `stereo`: azimuths alone, folded from the
    back to the front (DCASE2025). Events of classes from `classes` on are left out. Like the challenge's own evaluation
    it takes a recording to end before the truth's last frame.
    """
    counts = _Counts(classes)
    for truth, estimate in pairs:
        for frame in range(max(truth, default=0)):
            expected, found = _by_class(truth.get(frame)), _by_class(estimate.get(frame))
            for class_index in {*expected, *found}:
                if class_index < classes:
                    counts.add(
                        class_index,
                        expected.get(class_index, []),
                        found.get(class_index, []),
                        stereo,
                        max_angle_deg,
                        max_relative_distance,
                    )
    return counts.scores(average)


def fold_azimuth(azimuth_deg: Array) -> Array:
    """Azimuths mirrored from behind the two ears to the front: degrees in [-90, 90]."""
    wrapped = (azimuth_deg + 180) % 360 - 180
    mirrored = np.where(wrapped > 90, 180 - wrapped, wrapped)
    return np.where(wrapped < -90, -180 - wrapped, mirrored)


class _Counts:
    """What adds up over frames, by class."""

    def __init__(self, classes: int) -> None:
        zeros = np.zeros((8, classes))
        self.true, self.far, self.extra, self.missed = zeros[:4]
        self.matched, self.angle_deg, self.distance_m, self.relative = zeros[4:]

    def add(
        self,
        class_index: int,
        expected: list[Event],
        found: list[Event],
        stereo: bool,
        max_angle_deg: float,
        max_relative_distance: float,
    ) -> None:
        self.missed[class_index] += max(0, len(expected) - len(found))
        self.extra[class_index] += max(0, len(found) - len(expected))
        if not expected or not found:
            return
        angles_deg = (_azimuth_angles if stereo else _angles)(expected, found)
        rows, columns = linear_sum_assignment(angles_deg)
        angle_deg = angles_deg[rows, columns]
        true_m = np.array([event.distance_m for event in expected])[rows]
        distance_m = abs(true_m - np.array([event.distance_m for event in found])[columns])
        relative = distance_m / (true_m + _EPSILON)
        far = (angle_deg > max_angle_deg) | (relative > max_relative_distance)
        self.true[class_index] += (~far).sum()
        self.far[class_index] += far.sum()
        self.matched[class_index] += len(rows)
        self.angle_deg[class_index] += angle_deg.sum()
        self.distance_m[class_index] += distance_m.sum()
        self.relative[class_index] += relative.sum()

    def scores(self, average: str) -> Scores:
        by_class = self._figures(slice(None))
        occurs = self.true + self.far + self.extra + self.missed > 0
        per_class = {
            int(i): {name: float(values[i]) for name, values in by_class.items()}
            for i in np.flatnonzero(occurs)
        }
        if average == "micro":
            figures = {name: float(v[0]) for name, v in self._figures(None).items()}
        else:
            figures = {name: _mean(v) for name, v in by_class.items()}
        return Scores(**figures, per_class=per_class)

    def _figures(self, which: slice | None) -> dict[str, Array]:
        """Scores of each class; with None, of all their events together."""

        def total(counts: Array) -> Array:
            return counts[which] if which is not None else counts.sum(keepdims=True)

        true, matched = total(self.true), total(self.matched)
        wrong = total(self.far) + 0.5 * (total(self.extra) + total(self.missed))
        count = np.where(matched > 0, matched + _EPSILON, np.nan)
        f20 = true / (_EPSILON + true + wrong)
        doae_deg, relative = total(self.angle_deg) / count, total(self.relative) / count
        parts = np.stack([1 - f20, doae_deg / 180, relative])
        present = np.isfinite(parts)
        seld = np.where(present, parts, 0).sum(0) / present.sum(0)
        return {
            "f20": f20,
            "doae_deg": doae_deg,
            "distance_error_m": total(self.distance_m) / count,
            "relative_distance_error": relative,
            "recall": matched / (_EPSILON + matched + total(self.missed)),
            "seld": seld,
        }


def _by_class(events: list[Event] | None) -> dict[int, list[Event]]:
    found: dict[int, list[Event]] = {}
    for event in events or ():
        found.setdefault(event.class_index, []).append(event)
    return found


def _angles(expected: list[Event], found: list[Event]) -> Array:
    """Great-circle angles in degrees (expected, found)."""
    cosines = _directions(expected) @ _directions(found).T
    return np.degrees(np.arccos(np.clip(cosines, -1, 1)))


def _directions(events: list[Event]) -> Array:
    angles = [(event.azimuth_deg, event.elevation_deg) for event in events]
    azimuth, elevation = np.radians(np.array(angles)).T
    level = np.cos(elevation)
    xyz = np.stack([np.cos(azimuth) * level, np.sin(azimuth) * level, np.sin(elevation)], axis=1)
    return xyz / np.sqrt((xyz**2).sum(axis=1, keepdims=True) + _SOFT_NORM)


def _azimuth_angles(expected: list[Event], found: list[Event]) -> Array:
    a, b = (
        fold_azimuth(np.array([event.azimuth_deg for event in events]))
        for events in (expected, found)
    )
    return abs(a[:, None] - b[None, :])


def _mean(values: Array) -> float:
    """Mean over what is a number; NaN where nothing is."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else math.nan


def _json_numbers(values: dict[str, float]) -> dict[str, float | None]:
    return {key: value if math.isfinite(value) else None for key, value in values.items()}
