"""How long rendering takes, and how much memory: beside other programs, in one process."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from sonic4d.acoustics.fast import render_fast
from sonic4d.acoustics.hifi import render_hifi
from sonic4d.acoustics.paper import render_paper
from sonic4d.monitor import SILENT
from sonic4d.protocol import encode
from sonic4d.shot import MAX_REFLECTION_ORDER, Shot

from . import peers
from .task import DURATION_S, RATE_HZ, RUNS, Table, measured, noise, reference_shot


def paper() -> list[Table]:
    """The paper's rendering: all images of the reference room, impulse responses and convolution."""
    columns = ("M", "program", "measured", "wall s", "CPU s", "x real time", "wall, x ours")
    rows: list[tuple[str | float, ...]] = []
    render_paper(reference_shot(5, mode="paper"), [noise(reference_shot(5))], SILENT)  # compiles
    for segments in (50, 300):
        shot = reference_shot(segments, mode="paper", tail=True)
        handed_over = replace(shot, render=replace(shot.render, tdiff_s=0.125))
        sound = noise(shot)
        # 12.5 s a segment and more for some: few segments, scaled up to all of them.
        works: dict[str, tuple[str, Callable[[], object], int, int]] = {
            "sonic4d": (
                "Sonic4D, responses and convolution",
                lambda shot=shot, sound=sound: render_paper(shot, [sound], SILENT),
                segments,
                RUNS,
            ),
            "tdiff": (
                "Sonic4D, Tdiff 125 ms",
                lambda shot=handed_over, sound=sound: render_paper(shot, [sound], SILENT),
                segments,
                RUNS,
            ),
            "pyroomacoustics": (
                "pyroomacoustics, responses only",
                lambda shot=shot: peers.pyroomacoustics_rirs(shot, 10),
                10,
                RUNS,
            ),
        }
        if segments == 50:
            works["rir-generator"] = (
                "rir-generator, responses only",
                lambda shot=shot: peers.rir_generator_rirs(shot, 1),
                1,
                1,
            )
            if peers.has_torchrir():
                works["torchrir"] = (
                    "torchrir, responses only",
                    lambda shot=shot: peers.torchrir_rirs(shot, 1),
                    1,
                    1,
                )
        times = {}
        for runs in (RUNS, 1):
            chosen = {name: work[1] for name, work in works.items() if work[3] == runs}
            times.update(measured(chosen, runs) if chosen else {})
        ours = times["sonic4d"][0]
        for name, (title, _, count, runs) in works.items():
            wall, processor = times[name] * (segments / count)
            how = f"{count} of {segments} segments, {runs} run{'s' * (runs > 1)}"
            rows.append((segments, title, how, wall, processor, DURATION_S / wall, wall / ours))
    note = (
        "10 s of noise, 5 x 4 x 3 m, RT60 0.5 s, M segments, two microphones, 48 kHz; every image that arrives in time "
        "(352 230 per response). Where only some segments were measured, the times are scaled up to all."
    )
    if not peers.has_torchrir():
        note += " torchrir was not installed."
    return [Table("Paper mode, all image sources", columns, rows, note)]


def modes() -> list[Table]:
    """The three modes, hifi's reflection orders, and hifi's formats, on the same 10 s of sound."""
    shots = {"paper, M = 240": reference_shot(240, mode="paper", tail=True)}
    shots["fast, M = 240"] = reference_shot(240, mode="fast", tail=True)
    for order in range(1, MAX_REFLECTION_ORDER + 1):
        shots[f"hifi, order {order}"] = reference_shot(240, reflection_order=order, tail=True)
    for name in ("stereo", "ambix1", "ambix3", "5.1", "7.1.4"):
        shots[f"hifi, {name}"] = reference_shot(240, format=name, tail=True)
    renderers = {"paper": render_paper, "fast": render_fast, "hifi": render_hifi}
    works = {}
    for name, shot in shots.items():
        sound, render = noise(shot), renderers[shot.render.mode]
        works[name] = lambda shot=shot, sound=sound, render=render: render(shot, [sound], SILENT)
        works[name]()  # compiles, prepares the head
    times = measured(works)
    rows: list[tuple[str | float, ...]] = [
        (name, wall, processor, DURATION_S / wall) for name, (wall, processor) in times.items()
    ]
    note = (
        "The reference task again; hifi is binaural (KEMAR) of order 3 where nothing else is said."
    )
    return [Table("Modes", ("mode", "wall s", "CPU s", "x real time"), rows, note)]


def memory() -> list[Table]:
    """The most memory a render takes, in a process of its own, from sound files to a sound file."""
    rows: list[tuple[str | float, ...]] = []
    for seconds, sources in ((10, 1), (60, 4), (600, 1), (3600, 1)):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            _write_shot(reference_shot(24 * seconds, seconds=seconds, sources=sources), folder)
            arguments = [sys.executable, "-I", "-m", "sonic4d", "render", "shot.json"]
            started = time.perf_counter()
            with subprocess.Popen(
                [*arguments, "-o", "out.wav"], cwd=folder, stderr=subprocess.DEVNULL
            ) as process:
                peaks = _peak_bytes(process)
            spent = time.perf_counter() - started
        title = f"{seconds} s, {sources} source{'s' * (sources > 1)}"
        rows.append((title, *(peak / 1e6 for peak in peaks), spent))
    columns = ("shot", "own MB", "with mapped files MB", "wall s")
    note = (
        "Long sound lies in temporary files, whose pages the system takes back when it needs them."
    )
    return [Table("Memory, hifi order 3 binaural", columns, rows, note)]


def _peak_bytes(process: subprocess.Popen[bytes]) -> tuple[int, int]:
    """Peak resident memory until the process ends: its own, and with the files it maps. Linux; else zeros."""
    peaks = {"RssAnon": 0, "VmHWM": 0}
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status")
        for line in status.read_text().splitlines() if status.exists() else ():
            key, _, value = line.partition(":")
            if key in peaks:
                peaks[key] = max(peaks[key], 1024 * int(value.split()[0]))
        time.sleep(0.02)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return peaks["RssAnon"], peaks["VmHWM"]


def warm() -> list[Table]:
    """An edit of a 10 s shot, rendered by a warm worker: from the request to the finished file on disk."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shot = reference_shot(240)
        _write_shot(shot, folder)
        poses = {"nothing": shot.listener_poses}
        for what, frames in (
            ("all camera keys", slice(None)),
            ("half a second of camera keys", slice(100, 112)),
        ):
            moved = shot.listener_poses.copy()
            moved[frames, 2, 3] += 0.2
            poses[what] = moved
        times: dict[str, list[float]] = {what: [] for what in ("first job", *poses)}
        with subprocess.Popen(
            [sys.executable, "-I", "-u", "-m", "sonic4d", "worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
        ) as worker:
            assert worker.stdin is not None
            assert worker.stdout is not None

            def render(output: str) -> float:
                job = {
                    "kind": "render",
                    "shot": str(folder / "shot.json"),
                    "output": str(folder / output),
                }
                started = time.perf_counter()
                worker.stdin.write(encode({"command": "run", "job": job}, 1))
                worker.stdin.flush()
                while True:
                    event = json.loads(worker.stdout.readline())
                    if event["event"] == "error":
                        raise RuntimeError(event["message"])
                    if event["event"] == "done":
                        return time.perf_counter() - started

            times["first job"].append(render("first.wav"))
            for run in range(RUNS):
                for what, changed in poses.items():
                    _write_shot(shot, folder)
                    render("before.wav")
                    _write_shot(replace(shot, listener_poses=changed), folder)
                    times[what].append(render(f"{run}.wav"))
            worker.stdin.close()
    rows: list[tuple[str | float, ...]] = [
        (what, float(np.median(seconds)), min(seconds)) for what, seconds in times.items()
    ]
    columns = ("what was changed", "median wall s", "fastest wall s")
    return [Table("Warm worker: a 10 s shot rendered again, hifi order 3 binaural", columns, rows)]


def _write_shot(shot: Shot, folder: Path) -> None:
    for seed, source in enumerate(shot.sources):
        path = folder / source.audio
        if not path.exists():
            with soundfile.SoundFile(path, "w", RATE_HZ, 1, "FLOAT") as file:
                rng = np.random.default_rng(seed)
                for start in range(0, shot.sample_count, 1 << 20):
                    count = min(1 << 20, shot.sample_count - start)
                    file.write(0.1 * rng.standard_normal(count).astype(np.float32))
    (folder / "shot.json").write_text(json.dumps(shot.to_json()))
