"""How fast is it? Measured beside the best known alternative, in one process, as medians of interleaved runs.

    python3 scripts/benchmark.py [section ...]

Sections: paper, hifi, splat. All of them without an argument.
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

if not all(importlib.util.find_spec(name) for name in ("sonic4d", "pyroomacoustics")):
    python = environments.backend(print, "demo", "test")
    sys.exit(subprocess.run([str(python), __file__, *sys.argv[1:]]).returncode)

import numpy as np
import numpy.typing as npt
from sonic4d.monitor import SILENT
from sonic4d.room import Room
from sonic4d.shot import RenderSettings, Shot, ShotSource

RUNS = 5
DURATION_S, SIZE_M, RT60_S = 10, (5.0, 4.0, 3.0), 0.5


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


def reference_shot(frames: int, mode: str) -> Shot:
    """The reference task: a 5 x 4 x 3 m room with 0.5 s, source and listener moving and turning, 10 s at 48 kHz."""
    u = np.arange(frames) / frames
    circle = 2 * np.pi * u
    source = [2.5 + 1.6 * np.cos(circle), 2 + 1.3 * np.sin(circle), 1.4 + 0.5 * np.sin(2 * circle)]
    heading = np.pi / 3 + 1.2 * u
    right = np.stack([np.sin(heading), -np.cos(heading), 0 * u], axis=1)
    up = np.broadcast_to([0.0, 0, 1], right.shape)
    poses = np.tile(np.eye(4), (frames, 1, 1))
    poses[:, :3, :3] = np.stack([right, up, np.cross(right, up)], axis=2)
    poses[:, :3, 3] = np.stack([1.2 + 2 * u, 1 + 1.2 * u**2, 1.5 + 0 * u], axis=1)
    return Shot(
        name="benchmark",
        frame_rate=Fraction(frames, DURATION_S),
        frame_start=1,
        frame_end=frames,
        listener_poses=poses,
        sources=(ShotSource("noise", "", np.stack(source, axis=1)),),
        room=Room("shoebox", (2.5, 2.0, 1.5), SIZE_M, 0.0, RT60_S),
        render=RenderSettings(mode=mode, tail=True),
        folder=Path(),
    )


def noise() -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal(DURATION_S * 48000).astype(np.float32)


def paper() -> None:
    """The paper's rendering: all images of the reference room, impulse responses and convolution."""
    import pyroomacoustics
    from sonic4d.acoustics.paper import microphone_positions, render_paper

    sampled = 10

    def pyroomacoustics_rirs(shot: Shot) -> None:
        """Impulse responses only, of every n-th segment: as many as `sampled`."""
        rate_hz = shot.render.sample_rate
        absorption, order = pyroomacoustics.inverse_sabine(RT60_S, SIZE_M)
        microphones = microphone_positions(
            shot.listener_poses, shot.render.mic_spacing_m, shot.frame_count
        )
        for i in range(0, shot.frame_count, shot.frame_count // sampled):
            material = pyroomacoustics.Material(absorption)
            box = pyroomacoustics.ShoeBox(SIZE_M, rate_hz, materials=material, max_order=order)
            box.add_source(shot.sources[0].positions[i])
            box.add_microphone_array(microphones[:, i].T)
            box.compute_rir()

    signal = noise()
    render_paper(reference_shot(5, "paper"), [signal], SILENT)  # compiles
    print(f"{'':>8} {'pyroomacoustics, RIRs only':>28} {'Sonic4D, RIRs + convolution':>29}")
    print(f"{'M':>8} {'wall s':>17} {'CPU s':>10} {'wall s':>18} {'CPU s':>10}", end="")
    print(f" {'real time':>10} {'faster: wall':>13} {'CPU':>6}")
    for segments in (50, 300):
        shot = reference_shot(segments, "paper")
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
            f" {DURATION_S / ours[0]:>9.0f}x {theirs[0] / ours[0]:>12.0f}x {theirs[1] / ours[1]:>5.0f}x"
        )
    print(f"pyroomacoustics: {sampled} of the segments measured, scaled up.")


def hifi() -> None:
    """The hifi rendering of the reference room: 63 moving images through a measured head, and the tail."""
    from sonic4d.acoustics.hifi import render_hifi

    shot, signal = reference_shot(24 * DURATION_S, "hifi"), noise()
    render_hifi(shot, [signal], SILENT)  # compiles, prepares the head
    wall, processor = measured({"ours": lambda: render_hifi(shot, [signal], SILENT)})["ours"]
    print(f"wall {wall:.3f} s, CPU {processor:.2f} s: {DURATION_S / wall:.0f}x real time")


def splat() -> None:
    """Equation 2: 590k points as z-buffered splats at 1024 x 576."""
    from sonic4d.geometry import splat as splats
    from sonic4d.geometry.cameras import LOOKING_NORTH, Intrinsics, back_project, pitched
    from sonic4d.scene.depth import Points

    k = Intrinsics.from_horizontal_fov(1024, 576, 60)
    v, u = np.mgrid[: k.height, : k.width]
    depth_m = 4 + np.sin(u / 50) + np.cos(v / 40)
    xyz = back_project(u + 0.5, v + 0.5, depth_m, k, LOOKING_NORTH).reshape(-1, 3)
    count = len(xyz)
    points = Points(
        xyz.astype(np.float32),
        np.random.default_rng(0).integers(0, 256, (count, 3), dtype=np.uint8),
        np.ones(count, np.float32),
        (depth_m.ravel() / k.fx / 2).astype(np.float32),
        np.zeros(count, np.bool_),
    )
    frames = 20

    def turn() -> None:
        for i in range(frames):
            splats.splat([points], k, pitched(i / 10))

    turn()  # compiles
    wall, processor = measured({"ours": turn})["ours"]
    print(
        f"{count} points: {frames / wall:.0f} frames/s, CPU {1000 * processor / frames:.0f} ms/frame"
    )


SECTIONS = {"paper": paper, "hifi": hifi, "splat": splat}


def main(arguments: list[str]) -> int:
    unknown = [name for name in arguments if name not in SECTIONS]
    if unknown:
        print(
            f"No section {', '.join(unknown)}. There are: {', '.join(SECTIONS)}.", file=sys.stderr
        )
        return 2
    for name in arguments or SECTIONS:
        section = SECTIONS[name]
        print(f"{name}: {section.__doc__}\n{os.cpu_count()} processors, medians of {RUNS} runs.\n")
        section()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
