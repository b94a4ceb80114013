"""How fast is it? Measured beside the best known alternative, in one process, as medians of interleaved runs.

    python3 scripts/benchmark.py [section ...]

Sections: acoustics. All of them without an argument.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import environments

RUNS = 3


def measured(works: dict[str, Callable[[], object]]) -> dict[str, tuple[float, float]]:
    """Median wall and processor seconds of each; run in turn, so that a busy machine is unfair to nobody."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(RUNS):
        for name, work in works.items():
            wall, processor = time.perf_counter(), time.process_time()
            work()
            times[name].append((time.perf_counter() - wall, time.process_time() - processor))
    return {
        name: (statistics.median(t[0] for t in runs), statistics.median(t[1] for t in runs))
        for name, runs in times.items()
    }


def acoustics() -> None:
    """The paper's rendering: all images of a 5 x 4 x 3 m room with 0.5 s, both ends moving, 10 s at 48 kHz."""
    import numpy as np
    import pyroomacoustics
    from sonic4d.acoustics.paper import microphone_positions, render_paper
    from sonic4d.monitor import SILENT
    from sonic4d.room import Room
    from sonic4d.shot import RenderSettings, Shot, ShotSource

    size, rt60_s, duration_s, sampled = (5.0, 4.0, 3.0), 0.5, 10, 10
    room = Room("shoebox", (2.5, 2.0, 1.5), size, 0.0, rt60_s)

    def shot_of(segments: int) -> Shot:
        u = np.arange(segments) / segments
        circle = 2 * np.pi * u
        source = [
            2.5 + 1.6 * np.cos(circle),
            2 + 1.3 * np.sin(circle),
            1.4 + 0.5 * np.sin(2 * circle),
        ]
        heading = np.pi / 3 + 1.2 * u
        right = np.stack([np.sin(heading), -np.cos(heading), 0 * u], axis=1)
        up = np.broadcast_to([0.0, 0, 1], right.shape)
        poses = np.tile(np.eye(4), (segments, 1, 1))
        poses[:, :3, :3] = np.stack([right, up, np.cross(right, up)], axis=2)
        poses[:, :3, 3] = np.stack([1.2 + 2 * u, 1 + 1.2 * u**2, 1.5 + 0 * u], axis=1)
        return Shot(
            name="benchmark",
            frame_rate=Fraction(segments, duration_s),
            frame_start=1,
            frame_end=segments,
            listener_poses=poses,
            sources=(ShotSource("noise", "", np.stack(source, axis=1)),),
            room=room,
            render=RenderSettings(tail=True),
            folder=Path(),
        )

    def pyroomacoustics_rirs(shot: Shot) -> None:
        """Impulse responses only, of every n-th segment: as many as `sampled`."""
        rate_hz = shot.render.sample_rate
        absorption, order = pyroomacoustics.inverse_sabine(rt60_s, size)
        microphones = microphone_positions(
            shot.listener_poses, shot.render.mic_spacing_m, shot.frame_count
        )
        for i in range(0, shot.frame_count, shot.frame_count // sampled):
            material = pyroomacoustics.Material(absorption)
            box = pyroomacoustics.ShoeBox(size, rate_hz, materials=material, max_order=order)
            box.add_source(shot.sources[0].positions[i])
            box.add_microphone_array(microphones[:, i].T)
            box.compute_rir()

    signal = np.random.default_rng(0).standard_normal(480_000).astype(np.float32)
    render_paper(shot_of(5), [signal], SILENT)  # compiles
    print(f"{'':>8} {'pyroomacoustics, RIRs only':>28} {'Sonic4D, RIRs + convolution':>29}")
    print(f"{'M':>8} {'wall s':>17} {'CPU s':>10} {'wall s':>18} {'CPU s':>10}", end="")
    print(f" {'real time':>10} {'faster: wall':>13} {'CPU':>6}")
    for segments in (50, 300):
        shot = shot_of(segments)
        works = {
            "theirs": lambda shot=shot: pyroomacoustics_rirs(shot),
            "ours": lambda shot=shot: render_paper(shot, [signal], SILENT),
        }
        times = measured(works)
        theirs = [t * segments / sampled for t in times["theirs"]]
        ours = times["ours"]
        print(
            f"{segments:>8} {theirs[0]:>17.2f} {theirs[1]:>10.2f} {ours[0]:>18.3f} {ours[1]:>10.2f}",
            end="",
        )
        print(
            f" {duration_s / ours[0]:>9.0f}x {theirs[0] / ours[0]:>12.0f}x {theirs[1] / ours[1]:>5.0f}x"
        )
    print(f"pyroomacoustics: {sampled} of the segments measured, scaled up.")


SECTIONS = {"acoustics": acoustics}


def main(arguments: list[str]) -> int:
    unknown = [name for name in arguments if name not in SECTIONS]
    if unknown:
        print(
            f"No section {', '.join(unknown)}. There are: {', '.join(SECTIONS)}.", file=sys.stderr
        )
        return 2
    if not all(importlib.util.find_spec(name) for name in ("sonic4d", "pyroomacoustics")):
        python = environments.backend(print, "demo", "test")
        return subprocess.run([str(python), __file__, *arguments]).returncode
    for name in arguments or SECTIONS:
        section = SECTIONS[name]
        print(f"{name}: {section.__doc__}\n{os.cpu_count()} processors, medians of {RUNS} runs.\n")
        section()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
