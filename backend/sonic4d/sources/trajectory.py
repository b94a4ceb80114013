"""From boxes in the picture to the source's path in the world (Stage II of the paper, equations 3 to 5 and DBSCAN)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.cluster import DBSCAN

from ..geometry.cameras import Intrinsics, back_project
from ..protocol import Sonic4DError

Array = npt.NDArray[np.float64]

# No monocular depth resolves less than this share of the distance, so nothing smaller is an outlier.
DEPTH_RESOLUTION = 0.02
# Residuals of a normally distributed jitter stay within this many standard deviations.
NOISE_SIGMAS = 4.0
MAD_TO_SIGMA = 1.4826
# Fewer observations than this say too little about what is usual to call one of them an outlier.
MIN_OBSERVATIONS = 5


@dataclass(frozen=True)
class Track:
    """The source's path in metres, world axes, one row per frame.

    positions (n, 3): final; raw_positions (n, 3): as measured (equation 5), NaN rows where there was no observation;
    filled (n,): the position was interpolated or held, not measured.
    """

    positions: Array
    raw_positions: Array
    filled: npt.NDArray[np.bool_]


def trajectory(
    boxes: Array,
    depth_m: npt.NDArray[np.floating],
    intrinsics: Intrinsics,
    cameras: Array,
    patch: int = 5,
    eps: float | None = None,
    min_samples: int | None = None,
) -> Track:
    """The 3D trajectory of a tracked box (the paper's Stage II).

    boxes (n, 4): x0, y0, x1, y1 as fractions of the picture, NaN rows where absent. depth_m (n, H, W): distance along the
    viewing axis; values that are not finite and positive are left out. cameras (n, 4, 4): camera-to-world. patch: r of
    equation 5 in pixels of the depth maps, odd. eps (metres) and min_samples of DBSCAN: None scales them to the
    trajectory, see `outliers`. Frames without a good observation are filled linearly between the nearest good
    ones and held at the ends. Raises `Sonic4DError` where there is no good observation at all.
    """
    _check_options(patch, eps, min_samples)
    n, height, width = depth_m.shape
    if boxes.shape != (n, 4) or cameras.shape != (n, 4, 4):
        raise ValueError(f"{n} depth maps need {n} boxes and cameras")
    k = intrinsics.scaled(width, height)
    raw = np.full((n, 3), np.nan)
    for i in range(n):
        pixel = box_pixel(boxes[i], width, height)
        if pixel is not None:
            raw[i] = patch_position(*pixel, depth_m[i], k, cameras[i], patch)
    good = np.isfinite(raw).all(axis=1)
    if not good.any():
        raise Sonic4DError(
            "source_not_seen",
            "The sound source is not seen at any place where the depth is known.",
            "Mark it with --point X,Y@FRAME or --box X0,Y0,X1,Y1@FRAME on a frame that shows it clearly.",
        )
    distance = np.linalg.norm(raw - cameras[:, :3, 3], axis=1)
    resolution = DEPTH_RESOLUTION * float(np.median(distance[good]))
    observed = np.flatnonzero(good)
    good[observed[outliers(raw[observed], observed, resolution, eps, min_samples)]] = False
    return Track(_fill(raw, good), raw, ~good)


def box_pixel(box: Array, width: int, height: int) -> tuple[int, int] | None:
    """Equation 3: the pixel (u, v) at the centre of a normalised box; None where absent or outside the picture."""
    u = np.floor((box[0] + box[2]) / 2 * width)
    v = np.floor((box[1] + box[3]) / 2 * height)
    return (int(u), int(v)) if 0 <= u < width and 0 <= v < height else None


def patch_position(
    u: int,
    v: int,
    depth_m: npt.NDArray[np.floating],
    k: Intrinsics,
    camera_to_world: Array,
    patch: int,
) -> Array:
    """Equations 4 and 5: mean of the back-projected pixels of the patch around (u, v), (3,) in world axes.

    Pixels outside the picture or without a finite positive depth don't count (so nothing lies behind the camera); NaN
    if none is left.
    """
    half = patch // 2
    top, left = max(v - half, 0), max(u - half, 0)
    depth = depth_m[top : v + half + 1, left : u + half + 1].astype(np.float64)
    row, column = np.nonzero(np.isfinite(depth) & (depth > 0))
    if not len(row):
        return np.full(3, np.nan)
    z = depth[row, column]
    return back_project(left + column + 0.5, top + row + 0.5, z, k, camera_to_world).mean(axis=0)


def outliers(
    positions: Array,
    frames: npt.NDArray[np.integer],
    resolution_m: float,
    eps: float | None = None,
    min_samples: int | None = None,
) -> npt.NDArray[np.bool_]:
    """Which observations DBSCAN calls noise. positions (m, 3) and their frame numbers (m,), in order of time.

    The parameters are scaled to the trajectory. min_samples grows from 3 to 6 with the number of observations (one
    in 20): a wrong spell shorter than that is noise. eps covers the reach of min_samples points of the track at its
    highest usual speed, the jitter of the observations, and `resolution_m`. Usual means after a running median that is
    wide enough to swallow such a spell. The order of time is a fourth axis, scaled so that only observations fewer than
    2 * min_samples steps apart are neighbours: the same wrong place met again and again stays noise, a place visited twice is not held
    against the track. Fewer than 5 observations are all kept, and so are all where no neighbourhood is dense.
    """
    m = len(positions)
    if m < MIN_OBSERVATIONS:
        return np.zeros(m, dtype=bool)
    samples = min_samples or int(np.clip(m // 20, 3, 6))
    if eps is None:
        usual = _running_median(positions, samples - 1)
        gap = np.diff(frames)
        steps = np.linalg.norm(np.diff(usual, axis=0), axis=1) * np.median(gap) / gap
        residual = np.linalg.norm(positions - usual, axis=1)
        jitter = MAD_TO_SIGMA * float(np.median(residual))
        eps = (samples / 2 + 1) * float(steps.max()) + NOISE_SIGMAS * jitter + resolution_m
    order = np.arange(m)[:, None] * (eps / (2 * samples))
    noise = DBSCAN(eps=eps, min_samples=samples).fit_predict(np.hstack([positions, order])) < 0
    return noise & ~noise.all()


def _running_median(values: Array, radius: int) -> Array:
    """Median over 2 * radius + 1 rows per column; the first and last windows are shifted inside, so that they stay full."""
    m = len(values)
    size = min(2 * radius + 1, m)
    windows = np.lib.stride_tricks.sliding_window_view(values, size, axis=0)
    medians = np.median(windows, axis=-1)
    return medians[np.clip(np.arange(m) - radius, 0, m - size)]


def _fill(raw: Array, good: npt.NDArray[np.bool_]) -> Array:
    known = np.flatnonzero(good)
    columns = [np.interp(np.arange(len(raw)), known, raw[known, axis]) for axis in range(3)]
    return np.stack(columns, axis=1)


def _check_options(patch: int, eps: float | None, min_samples: int | None) -> None:
    if patch < 1 or patch % 2 == 0:
        raise Sonic4DError(
            "bad_option",
            f"The patch size must be an odd number of pixels, not {patch}.",
            "Use 1, 3, 5, …",
        )
    if eps is not None and not (np.isfinite(eps) and eps > 0):
        raise Sonic4DError(
            "bad_option", f"The neighbourhood eps must be above 0 metres, not {eps}.", "Try 0.5."
        )
    if min_samples is not None and min_samples < 1:
        raise Sonic4DError(
            "bad_option", f"min_samples must be 1 or more, not {min_samples}.", "Try 4."
        )
