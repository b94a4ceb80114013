"""Depth of the still background from one picture: ground that recedes, things that stand on it, sky.

Maps hold inverse depth (1 / metres along the viewing axis) at working size.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ...geometry.cameras import Intrinsics
from ..flow import Image, Map

SKY_M = 60.0
MAX_RATIO = 12.0  # farthest to nearest, sky apart
GROUND_STRIP = 0.16  # the lowest part of the picture is taken for ground
COLOUR_STEP = 24
COLOURS = 256 // COLOUR_STEP + 1
TEXTURES = 4
BANDS = 16
HAZE = 0.4
FLAT_NEAR_M, FLAT_FAR_M = 3.0, 6.0


@dataclass(frozen=True)
class View:
    """A camera without roll over a level ground.

    intrinsics: of the working picture; horizon_row: pixels from the top edge, may lie outside.
    """

    intrinsics: Intrinsics
    horizon_row: float
    eye_height_m: float

    @property
    def pitch_deg(self) -> float:
        """Upwards positive: with the horizon above the picture's centre the camera looks down."""
        return float(np.degrees(-self._down))

    def ahead(self, row: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """How many metres a ray through this row goes ahead over ground per metre of depth."""
        tangent = (np.asarray(row) - self.intrinsics.cy) / self.intrinsics.fy
        return np.maximum(np.cos(self._down) - tangent * np.sin(self._down), 0.1)

    def ground(self, row: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Inverse depth of the ground at this row; 0 from the horizon upwards."""
        below = np.maximum(np.asarray(row) - self.horizon_row, 0)
        return np.cos(self._down) * below / (self.intrinsics.fy * self.eye_height_m)

    @property
    def _down(self) -> float:
        return float(np.arctan2(self.intrinsics.cy - self.horizon_row, self.intrinsics.fy))


def ground_probability(
    plate: Image, horizon_row: float, sky: npt.NDArray[np.bool_]
) -> tuple[Map, float]:
    """P(ground) per pixel of an RGB plate, and how clearly the ground looks unlike the rest.

    Compares colours and texture with the picture's lowest strip (ground) and with what is above the horizon
    (not ground), per superpixel. Clarity is the mean log likelihood ratio over the strip; 0: no different.
    """
    height, width = plate.shape[:2]
    lab = cv2.cvtColor(plate, cv2.COLOR_RGB2LAB)
    light = lab[..., 0].astype(np.float32)
    slope = np.abs(cv2.Sobel(light, -1, 1, 0)) + np.abs(cv2.Sobel(light, -1, 0, 1))
    texture = np.clip(np.log1p(cv2.GaussianBlur(slope, (0, 0), 3)) * 0.8, 0, TEXTURES - 1)
    colour = (lab // COLOUR_STEP).astype(np.int64)
    code = (colour[..., 0] * COLOURS + colour[..., 1]) * COLOURS + colour[..., 2]
    code = code * TEXTURES + texture.astype(np.int64)
    row = np.arange(height)[:, None] + np.zeros((1, width))
    strip = row > (1 - GROUND_STRIP) * height
    above = (row < max(horizon_row, 0.2 * height)) & ~sky
    ratio = _log_ratio(code, strip, above)
    # Learnt from every other band of columns and tried on those between: chance likeness doesn't count.
    band = np.arange(width) * BANDS // width % 2 + np.zeros((height, 1))
    tried = [
        _log_ratio(code, strip & (band == own), above & (band == own))[strip & (band != own)]
        for own in (0, 1)
    ]
    clarity = float(np.concatenate(tried).mean())
    superpixels = cv2.ximgproc.createSuperpixelSLIC(
        lab, cv2.ximgproc.MSLIC, max(12, max(height, width) // 36), 12.0
    )
    superpixels.iterate(6)
    members = superpixels.getLabels()
    ratio = (np.bincount(members.ravel(), ratio.ravel()) / np.bincount(members.ravel()))[members]
    position = 4 * ((row - horizon_row) / (height - horizon_row) - 0.2)
    probability = 1 / (1 + np.exp(-(1.5 * ratio + position)))
    probability[row < horizon_row + 0.02 * height] = 0
    smooth = cv2.ximgproc.guidedFilter(plate, probability.astype(np.float32), 10, 200.0)
    return np.clip(smooth, 0, 1), clarity


def _log_ratio(
    code: npt.NDArray[np.int64], ground: npt.NDArray[np.bool_], rest: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Log likelihood ratio of every pixel's code, learnt from the codes of two areas."""
    bins = COLOURS**3 * TEXTURES
    like = [np.bincount(code[where], minlength=bins) + 0.5 for where in (ground, rest)]
    ratio = np.log(like[0] / like[0].sum()) - np.log(like[1] / like[1].sum())
    return np.clip(ratio, -2.5, 2.5)[code]


def simplified(plate: Image) -> Image:
    """Without texture (L0 smoothing, Xu et al. 2011, at half size): grass would leave streaks."""
    height, width = plate.shape[:2]
    half = cv2.resize(plate, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return cv2.resize(cv2.ximgproc.l0Smooth(half, None, 0.04, 2.0), (width, height))


def background_layout(
    plate: Image, guide: Image, view: View, ground: Map, sky: npt.NDArray[np.bool_]
) -> Map:
    """Inverse depth (h, w) by soft stixels: going up a column, distance grows as on the ground plane,
    times P(ground). Ground recedes, walls stand, a doubtful hill becomes a slope without a tear.

    guide: the `simplified` plate; ground: `ground_probability`.
    """
    height, width = plate.shape[:2]
    side = max(height, width)
    row = np.arange(height)[:, None] + 0.5
    ahead = view.ahead(row)
    on_plane = view.ground(row) / ahead  # inverse distance over ground
    likely = cv2.GaussianBlur(ground, (0, 0), sigmaX=side / 40, sigmaY=side / 160)
    steps = np.diff(on_plane, axis=0) * (likely[1:] + likely[:-1]) / 2
    inverse = np.tile(on_plane[-1:], (height, width))
    inverse[:-1] -= np.cumsum(steps[::-1], axis=0)[::-1]
    inverse = np.maximum(inverse, on_plane[-1] / MAX_RATIO) * ahead
    inverse *= 1 - HAZE * _haze(plate, view, sky)
    # What differs from the plane is smoothed, as the filter would flatten the plane itself at the rim.
    plane = view.ground(row)
    off_plane = (inverse - plane).astype(np.float32)
    smooth = plane + cv2.ximgproc.fastGlobalSmootherFilter(guide, off_plane, 900.0, 12.0)
    return np.where(sky, 1 / SKY_M, np.maximum(smooth, 1 / SKY_M)).astype(np.float32)


def flat_relief(height: int, width: int) -> Map:
    """Inverse depth of a leaning board: near at the foot, twice as far at the top."""
    ramp = np.linspace(1 / FLAT_FAR_M, 1 / FLAT_NEAR_M, height, dtype=np.float32)
    return np.tile(ramp[:, None], (1, width))


def _haze(plate: Image, view: View, sky: npt.NDArray[np.bool_]) -> Map:
    """0..1: by daylight, what is bluish and near the horizon or above is farther away."""
    height = len(plate)
    lab = cv2.cvtColor(cv2.GaussianBlur(plate, (0, 0), 4), cv2.COLOR_RGB2LAB).astype(np.float32)
    if sky.mean() <= 0.02 or lab[..., 0][sky].mean() <= 110:
        return np.zeros(plate.shape[:2], np.float32)
    row = np.arange(height, dtype=np.float32)[:, None]
    bluish = np.clip((124 - lab[..., 2]) / 22, 0, 1)
    high = np.clip((view.horizon_row + 0.25 * height - row) / (0.2 * height), 0, 1)
    haze = cv2.ximgproc.guidedFilter(plate, (bluish * high).astype(np.float32), 12, 200.0)
    return np.clip(haze, 0, 1)
