"""The paper's binaural rendering: a static room impulse response per segment and microphone, equations 6 to 12.

The trajectories are cut into M segments in which nothing moves; each block of sound is convolved with its segment's
two impulse responses and the results are added where they overlap. Blocks are rectangular, as in the paper: fast
motion clicks at segment boundaries. Equation 13, the normalisation, is in `levels`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..monitor import Monitor
from ..protocol import Sonic4DError
from ..shot import Shot
from .diffuse_tail import WINDOW_S, append_tails
from .enclosure import Enclosure, enclose, longest_path_s
from .gpurir import gpurir_responses
from .image_source import (
    GPURIR,
    POSITIVE,
    SPEED_OF_SOUND,
    Plan,
    longest_time_s,
    make_plan,
    shoebox_rirs,
)
from .segments import Blocks, Respond, convolve_blocks, segment_bounds, segment_values

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]

_CONVENTIONS = {"gpurir": GPURIR, "positive": POSITIVE}
MAX_IMAGES = 30_000_000  # per impulse response: a seventh of a second of work


def microphone_positions(poses: Array, spacing_m: float, segments: int) -> Array:
    """Left and right microphone (2, M, 3) on the camera's right axis, `spacing_m` apart. Equation 6."""
    centre = segment_values(poses[:, :3, 3], segments)
    right = segment_values(poses[:, :3, 0], segments)
    right /= np.maximum(np.linalg.norm(right, axis=1, keepdims=True), 1e-9)
    return np.stack([centre - spacing_m / 2 * right, centre + spacing_m / 2 * right])


@dataclass(frozen=True)
class Segments:
    """A shot cut into M segments, in its room's coordinates: `bounds` (M + 1,) sample indices; where the sources, each
    (M, 3), and the microphones (2, M, 3) are at each segment's start; `plan`, what its impulse responses have in
    common, of `rir_samples` each, where those beyond the plan's are a diffuse tail; `seed` for that; `length`, the
    samples to render."""

    bounds: Indices
    sources: list[Array]
    microphones: Array
    enclosure: Enclosure
    plan: Plan
    rir_samples: int
    seed: int
    length: int


def render_paper(shot: Shot, signals: Sequence[Float32], monitor: Monitor) -> Float32:
    """Render all sources of the shot at two omnidirectional microphones: (2, samples), not normalised.

    `signals`: one (shot.sample_count,) per source, with its gain applied. With `shot.render.tail` the impulse
    response's length less one sample is appended. Each impulse response is as long as the reverberation time or the
    longest direct path, whichever is longer. From `shot.render.tdiff_s` on it is a diffuse tail (`diffuse_tail`);
    `shot.render.convention` is the sign of a shoebox's reflections. `shot.render.engine` is "native", "gpurir", or
    "auto": gpuRIR where it can compute this shot, else native. Raises `Sonic4DError` for what can't be rendered.
    """
    cut = cut_shot(shot, monitor)
    blocks = [
        Blocks(signal, cut.bounds, positions, cut.microphones)
        for signal, positions in zip(signals, cut.sources, strict=True)
    ]
    respond = _chosen_engine(shot.render.engine, cut, monitor)
    return convolve_blocks(blocks, respond, cut.rir_samples, cut.length, monitor)


def cut_shot(shot: Shot, monitor: Monitor) -> Segments:
    """Cut a shot into its `render.segments`. Raises `Sonic4DError` for what can't be rendered."""
    segments = shot.render.segments
    count = shot.frame_count if segments == "per_frame" else int(segments)
    sources = [segment_values(source.positions, count) for source in shot.sources]
    microphones = microphone_positions(shot.listener_poses, shot.render.mic_spacing_m, count)
    enclosure = enclose(shot.room, np.concatenate([*sources, *microphones]), monitor)
    local_sources = [enclosure.room.to_local(positions) for positions in sources]
    local_microphones = enclosure.room.to_local(microphones)
    plan, rir_samples = _plan(shot, enclosure, local_sources, local_microphones, monitor)
    return Segments(
        segment_bounds(shot.sample_count, count),
        local_sources,
        local_microphones,
        enclosure,
        plan,
        rir_samples,
        shot.render.seed,
        shot.sample_count + (rir_samples - 1 if shot.render.tail else 0),
    )


def native_responses(cut: Segments) -> Respond:
    """Equations 7 and 8 by this project's own image-source method."""
    size_m = np.array(cut.enclosure.room.size)

    def respond(sources: Array, microphones: Array, check: Callable[[], None]) -> Float32:
        pairs = np.concatenate([sources, sources]), microphones.reshape(-1, 3)
        rirs = shoebox_rirs(cut.plan, size_m, cut.enclosure.reflections, *pairs, check)
        if cut.rir_samples > cut.plan.sample_count:
            rirs = append_tails(
                rirs, *pairs, cut.enclosure.rt60_s, cut.rir_samples, cut.plan.rate_hz, cut.seed
            )
        return rirs.reshape(2, len(sources), -1)

    return respond


def _chosen_engine(engine: str, cut: Segments, monitor: Monitor) -> Respond:
    if engine == "native":
        return native_responses(cut)
    try:
        respond = gpurir_responses(cut.plan, cut.enclosure, cut.rir_samples)
    except Sonic4DError as error:
        if engine == "gpurir":
            raise
        monitor.log(f"The native engine computes the impulse responses: {error.message}")
        return native_responses(cut)
    monitor.log("gpuRIR computes the impulse responses.")
    return respond


def _plan(
    shot: Shot, enclosure: Enclosure, sources: list[Array], microphones: Array, monitor: Monitor
) -> Plan:
    rate_hz = shot.render.sample_rate
    size_m = np.array(enclosure.room.size)
    direct_s = max(
        longest_path_s(enclosure, positions, microphone, SPEED_OF_SOUND)
        for positions in sources
        for microphone in microphones
    )
    reverberation_s = enclosure.rt60_s
    images_s = math.inf
    if reverberation_s and shot.render.tdiff_s is not None:
        images_s = max(shot.render.tdiff_s, direct_s + WINDOW_S)
        if images_s > shot.render.tdiff_s:
            monitor.log(
                f"The diffuse tail begins after {images_s * 1000:.0f} ms instead of "
                f"{shot.render.tdiff_s * 1000:.0f} ms: the direct sound takes that long.",
                "warning",
            )
    if reverberation_s:
        limit_s = longest_time_s(size_m, MAX_IMAGES)
        if direct_s > limit_s:
            raise Sonic4DError(
                "room_too_narrow",
                "The room is far longer than it is wide or high, which takes too many reflections to render.",
                "Make the room's sides more alike, or set the room to free field.",
            )
        if min(reverberation_s, images_s) > limit_s:
            level_db = -60 * limit_s / reverberation_s
            monitor.log(
                f"A reverberation of {reverberation_s:.1f} s in this room has too many reflections; it is cut after "
                f"{limit_s:.1f} s, at {level_db:.0f} dB.",
                "warning",
            )
            reverberation_s = limit_s
    shoebox = enclosure.room.kind == "shoebox"
    convention = _CONVENTIONS[shot.render.convention] if shoebox else POSITIVE
    length_s = max(reverberation_s, direct_s + convention.kernel_s / 2)
    # What arrives after the end of the file needn't be computed.
    longest = math.inf if shot.render.tail else shot.sample_count
    rir_samples = max(1, math.ceil(min(length_s * rate_hz, longest)))
    image_samples = math.ceil(min(images_s, length_s) * rate_hz)
    image_samples += image_samples % 2  # as gpuRIR
    return make_plan(min(rir_samples, image_samples), rate_hz, convention), rir_samples
