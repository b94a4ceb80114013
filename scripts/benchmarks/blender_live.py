"""How soon an edit is heard. Runs in a Blender with a window:

    blender --factory-startup --python scripts/benchmarks/blender_live.py -- 2 result.json

A shot of 10 s with so many Speakers in a room, live update on: twenty edits, from each to the strip's new sound, and the
longest that one step kept Blender busy. Needs $SONIC4D_BACKEND_PYTHON.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import sys
import tempfile
import time
import traceback
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import bpy
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "sonic4d_extension"
FRAMES, FPS = 240, 24
PAUSE_S = 0.4  # as between two edits of a hand
LONGEST_S = 240.0  # the very first render may have to compile the backend


def load_extension() -> None:
    spec = importlib.util.spec_from_file_location(
        PACKAGE, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = module
    spec.loader.exec_module(module)
    module.register()


def write_noise(path: Path, seed: int) -> Path:
    samples = np.random.default_rng(seed).normal(0, 0.1, 10 * 48000)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 48000, 0, "NONE", ""))
        file.writeframes(np.round(samples * 32767).clip(-32767, 32767).astype("<i2").tobytes())
    return path


def make_shot(folder: Path, speakers: int) -> bpy.types.Scene:
    scene = bpy.context.scene
    # Without a graphics card Blender's own drawing would take most of the time: one empty editor.
    area = next(a for a in bpy.context.window.screen.areas if a.type == "VIEW_3D")
    area.type = "TEXT_EDITOR"
    with bpy.context.temp_override(area=area, region=area.regions[-1]):
        bpy.ops.screen.screen_full_area(use_hide_panels=True)
    scene.frame_start, scene.frame_end, scene.render.fps = 1, FRAMES, FPS
    camera = scene.camera
    camera.rotation_euler = (np.pi / 2, 0, 0)
    for frame in range(1, FRAMES + 1, 24):
        camera.location = (np.sin(frame / 40), -1 + frame / FRAMES, 1.6)
        camera.keyframe_insert("location", frame=frame)
    for number in range(speakers):
        data = bpy.data.speakers.new("Speaker")
        data.sound = bpy.data.sounds.load(str(write_noise(folder / f"{number}.wav", number)))
        item = bpy.data.objects.new("Speaker", data)
        item.location = (2 - 4 * number, 3, 1.5)
        scene.collection.objects.link(item)
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "shot.blend"))
    return scene


def edits(scene: bpy.types.Scene) -> dict[str, Callable[[int], None]]:
    def camera_key(number: int) -> None:
        scene.camera.location.x += 0.1
        scene.camera.keyframe_insert("location", frame=25 + 24 * (number % 8))

    def source(number: int) -> None:
        bpy.data.objects["Speaker"].location.y += 0.2

    def room(number: int) -> None:
        scene.sonic4d.rt60_s = 0.3 + 0.01 * number

    def setting(number: int) -> None:
        scene.sonic4d.head_offset_m[1] = 0.01 * (number + 1)

    return {"camera key": camera_key, "source": source, "room": room, "setting": setting}


def cpu_s(processes: list[int]) -> float:
    """What the processes have used of the processors until now (Linux)."""
    ticks = 0
    for pid in processes:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def worker_pid() -> int:
    tasks = importlib.import_module(f"{PACKAGE}.blender_addon.tasks")
    return tasks._state.client._worker.pid


def measure(folder: Path, speakers: int, output: Path) -> Iterator[None]:
    """Yields whenever Blender is to go on."""
    live = importlib.import_module(f"{PACKAGE}.blender_addon.live")
    scene = make_shot(folder, speakers)
    ticks: list[tuple[float, float]] = []
    tick = live.tick

    def timed() -> float | None:
        begin, used = time.perf_counter(), time.thread_time()
        try:
            return tick()
        finally:
            ticks.append((time.perf_counter() - begin, time.thread_time() - used))

    live.tick = timed
    heard = lambda: scene.sonic4d.takes[0].filepath if scene.sonic4d.takes else ""  # noqa: E731

    def wait(done: Callable[[], bool]) -> Iterator[None]:
        begin = time.perf_counter()
        while not done():
            assert time.perf_counter() - begin < LONGEST_S, live.problem(scene)
            yield

    scene.sonic4d.live_update = True
    yield from wait(lambda: bool(heard()) and live.status(scene) == live.CURRENT)
    processes = [os.getpid(), worker_pid()]
    found: dict[str, list[float]] = {name: [] for name in edits(scene)}
    cpu: dict[str, list[float]] = {name: [] for name in edits(scene)}
    longest_s, longest_cpu_s = 0.0, 0.0
    for number in range(24):  # the first of each kind warms up
        name, edit = list(edits(scene).items())[number % 4]
        begin = time.perf_counter()
        while time.perf_counter() - begin < PAUSE_S:
            yield
        ticks.clear()
        before, begin, used = heard(), time.perf_counter(), cpu_s(processes)
        edit(number)
        yield from wait(lambda before=before: heard() != before)
        seconds, used = time.perf_counter() - begin, cpu_s(processes) - used
        print(f"{name}: {seconds:.3f} s, processors {used:.3f} s", flush=True)
        if number >= 4:
            found[name].append(seconds)
            cpu[name].append(used)
            longest_s = max(longest_s, *(wall for wall, _ in ticks))
            longest_cpu_s = max(longest_cpu_s, *(used for _, used in ticks))
        yield from wait(lambda: live.status(scene) == live.CURRENT)
    every = sorted(seconds for times in found.values() for seconds in times)
    result = {
        "blender": bpy.app.version_string,
        "speakers": speakers,
        "median_s": statistics.median(every),
        "worst_s": every[-1],
        "longest_tick_ms": 1000 * longest_s,
        "longest_tick_cpu_ms": 1000 * longest_cpu_s,
        "median_s_by_edit": {name: statistics.median(times) for name, times in found.items()},
        "median_cpu_s_by_edit": {name: statistics.median(times) for name, times in cpu.items()},
        "load": os.getloadavg()[0],
    }
    output.write_text(json.dumps(result, indent=1))
    print(json.dumps(result, indent=1), flush=True)


def main() -> None:
    bpy.context.preferences.view.show_splash = False
    load_extension()
    folder = tempfile.TemporaryDirectory()
    steps = measure(Path(folder.name), int(sys.argv[-2]), Path(sys.argv[-1]).absolute())

    def advance() -> float | None:
        try:
            next(steps)
            return 0.002
        except BaseException as end:
            if not isinstance(end, StopIteration):
                traceback.print_exc()
            sys.modules[PACKAGE].unregister()
            folder.cleanup()
            bpy.ops.wm.quit_blender()
            return None

    bpy.app.timers.register(advance, first_interval=1.0)


main()
