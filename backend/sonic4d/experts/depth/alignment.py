"""Maps of single pictures made steady: scale and shift of each frame, then smoothing over time that keeps edges."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ...monitor import Monitor
from ...scene.depth import Frames
from ...scene.flow import Image, Map, optical_flow, pixel_grid, warp_along
from .fitting import scale_and_shift

FLOW_LONG_SIDE = 320
KEYFRAME_GAP = 8
LEAST_SHARE = 0.4  # of a frame that has to be found again on its keyframe
GRID_PX = 6  # of the flow picture: one sample each
BLUR_PX = 7
SAME_LEVELS = 20  # grey levels by which a place may change and be the same
EDGE_SHARE = (
    0.85  # quantile of steepness above which a sample says more about the edge than about the depth
)
KEEP = 0.85  # of the smoothed past, in each direction of time
TOLERANCE = 3.0  # robust standard deviations of the noise that are smoothed away
LEAST_NOISE = 1e-3  # of the clip's range


def steadied(values: Map, frames: Frames, monitor: Monitor) -> Map:
    """Disparity (n, H, W) of single pictures -> the same, steady, in the unit of the middle frame. Changes `values`.

    frames: (n, H, W, 3) RGB. Places are followed along the optical flow of neighbouring frames.
    """
    if len(values) > 1:
        flows = _Flows(frames, monitor)
        _align(values, flows, monitor)
        _smooth(values, flows, monitor)
    return values


class _Flows:
    """Optical flow between neighbouring frames, and where it can be trusted."""

    def __init__(self, frames: Frames, monitor: Monitor) -> None:
        height, width = frames.shape[1:3]
        scale = min(FLOW_LONG_SIDE / max(height, width), 1.0)
        self.size = max(round(height * scale), 16), max(round(width * scale), 16)
        self._dis = optical_flow()
        self.grey: list[Image] = []
        for frame in frames:
            small = cv2.resize(frame, self.size[::-1], interpolation=cv2.INTER_AREA)
            self.grey.append(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
            monitor.check()

    def __call__(self, start: int, end: int) -> tuple[Map, npt.NDArray[np.bool_]]:
        """Flow (h, w, 2) from one frame to another, and the places that look the same at both of its ends."""
        flow = self._dis.calc(self.grey[start], self.grey[end], None)
        there = warp_along(self.grey[end], flow).astype(np.int16)
        same = np.abs(there - self.grey[start]) < SAME_LEVELS
        end_at = pixel_grid(*self.size) + flow
        inside = (end_at >= 0).all(-1) & (end_at <= np.array(self.size[::-1]) - 1).all(-1)
        return flow, same & inside


def _align(values: Map, flows: _Flows, monitor: Monitor) -> None:
    """Bring all frames to scale and shift of the middle one, by way of keyframes.

    Keyframes and not neighbours: errors add up over fewer fits, and what comes nearer has by then changed so much that the
    fit leaves it out. Where too little is found again of the keyframe, the neighbour takes its place.
    """
    count, middle = len(values), len(values) // 2
    done = 0
    for step in (1, -1):
        keyframe = middle
        for t in range(middle + step, count if step > 0 else -1, step):
            for reference in dict.fromkeys((keyframe, t - step)):
                x, y, share = _samples(values, t, reference, flows)
                if share > LEAST_SHARE:
                    break
            scale, shift, _ = scale_and_shift(x, y)
            values[t] = values[t] * np.float32(scale) + np.float32(shift)
            if reference != keyframe or abs(t - keyframe) == KEYFRAME_GAP:
                keyframe = t
            done += 1
            monitor.progress("depth: alignment", done, 3 * count)


def _samples(
    values: Map, t: int, reference: int, flows: _Flows
) -> tuple[npt.NDArray, npt.NDArray, float]:
    """Values of the same places on frame `t` and on `reference`, and the share of the frame that they were found in."""
    flow, same = flows(t, reference)
    here, there = (_coarse(values[i], flows.size) for i in (t, reference))
    steep = cv2.morphologyEx(here, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    grid = np.s_[GRID_PX // 2 :: GRID_PX, GRID_PX // 2 :: GRID_PX]
    # Nearest, not interpolated: both ends of a flow have to be blurred alike, or the spread shrinks.
    end = np.rint(pixel_grid(*flows.size) + flow).astype(int)[grid]
    column, row = np.clip(end, 0, np.array(flows.size[::-1]) - 1).transpose(2, 0, 1)
    found = same[grid]
    kept = found & (steep <= np.quantile(steep, EDGE_SHARE))[grid]
    return here[grid][kept], there[row, column][kept], float(found.mean())


def _coarse(values: Map, size: tuple[int, int]) -> Map:
    small = cv2.resize(values, size[::-1], interpolation=cv2.INTER_AREA)
    return cv2.blur(small, (BLUR_PX, BLUR_PX))


def _smooth(values: Map, flows: _Flows, monitor: Monitor) -> None:
    """Recursive average over time in both directions, along the flow; not across a change larger than the noise."""
    count = len(values)
    noise = _noise(values, flows, monitor)
    # One after the other, so that what moves isn't late in the sum of both.
    for order, step in ((range(1, count), -1), (range(count - 2, -1, -1), 1)):
        for t in order:
            _blend(values[t], values[t + step], *flows(t, t + step), noise)
            done = count + (t if step < 0 else 2 * count - t)
            monitor.progress("depth: alignment", min(done, 3 * count), 3 * count)


def _blend(values: Map, past: Map, flow: Map, same: npt.NDArray[np.bool_], noise: float) -> None:
    """Mix the frame beside into a frame where the two agree."""
    past = _warped(past, flow)
    agree = np.exp(-(((past - values) / (TOLERANCE * noise)) ** 2))
    trusted = cv2.resize(same.astype(np.float32), past.shape[::-1])
    values += KEEP * agree * trusted * (past - values)


def _warped(values: Map, flow: Map) -> Map:
    """A map (H, W) along a flow that was found in a smaller picture."""
    height, width = values.shape
    scale = np.float32([width / flow.shape[1], height / flow.shape[0]])
    return warp_along(values, cv2.resize(flow, (width, height)) * scale)


def _noise(values: Map, flows: _Flows, monitor: Monitor) -> float:
    """Standard deviation of the change from frame to frame where nothing changes, from a few frames."""
    count = len(values)
    changes = []
    for t in np.unique(np.linspace(1, count - 1, min(count - 1, 8)).astype(int)):
        flow, same = flows(t, t - 1)
        change = np.abs(_warped(values[t - 1], flow) - values[t])
        changes.append(np.median(change[cv2.resize(same.astype(np.uint8), change.shape[::-1]) > 0]))
        monitor.check()
    low, high = np.percentile(values[count // 2], [2, 98])
    return float(max(1.4826 * np.median(changes), LEAST_NOISE * (high - low), 1e-12))
