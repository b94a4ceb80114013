"""Random calls of everything, as no user would make them: operators with random properties, undo and redo, file loads, settings,
deleted objects, a killed worker.

    python tests/addon/random_calls.py --seed 1 --seconds 600
    blender -b --factory-startup --python tests/addon/random_calls.py -- --seed 1 --seconds 600

in a Python that has bpy or in Blender, with $SONIC4D_BACKEND_PYTHON. What a user would be told is fine; an exception in the add-on, or a
process or handler that is left, is not: exit status 1, and the calls that led there. The same seed makes the same calls.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import bpy

sys.path.insert(0, str(Path(__file__).parent))
import extension
import make_bundle
import sound
from sonic4d_extension.backend.sonic4d.protocol import Sonic4DError
from sonic4d_extension.blender_addon import live, tasks
from sonic4d_extension.blender_addon.operators.render_audio import render_audio

# They open another program, or a window that waits for the user.
LEFT_OUT = {"open_log", "pick_source", "install_backend", "repair_backend"}
# They take seconds each, and are called that much more seldom.
SELDOM = {"check_backend": 0.1, "generate": 0.3}
KEPT_CALLS = 40
VERBOSE = "SONIC4D_RANDOM_VERBOSE" in os.environ


class World:
    """A folder with files of every kind, and the calls that can be made."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.random = random.Random(seed)
        self.folder = folder
        self.calls: deque[str] = deque(maxlen=KEPT_CALLS)
        self.count: Counter[str] = Counter()
        self.running: tasks.Steps[Any] | None = None  # as beside a user interface
        video = folder / "clip.mp4"
        make_bundle.write_video(video, 4)
        self.bundle = make_bundle.write_bundle(folder / "a b.sonic4d", video)
        sound.noise(self.bundle / "audio/bird.wav", 0.1)
        noise = sound.noise(folder / "noise.wav", 0.2)
        broken = folder / "broken.sonic4d"
        shutil.copytree(self.bundle, broken)
        (broken / "bundle.json").write_text('{"sonic4d_bundle": 1}')
        self.blends = [folder / name for name in ("a.blend", "b.blend")]
        texts = (video, self.bundle, broken, noise, folder / "none", folder / "out")
        self.texts = ["", "Camera", "x+1.5 & phi+5", "//x", "bird", *map(str, texts)]
        bpy.ops.wm.read_homefile(use_factory_startup=True)
        small(bpy.context.scene)
        for blend in self.blends:
            bpy.ops.wm.save_as_mainfile(filepath=str(blend), check_existing=False)

    def step(self) -> None:
        kinds: list[tuple[int, Callable[[], str]]] = [
            (8, self.own_operator),
            (5, self.usual_call),
            (4, self.own_setting),
            (4, self.time_passes),
            (3, self.blender_call),
            (2, self.begin_render),
            (2, self.undo),
            (1, self.load),
            (1, self.kill_worker),
        ]
        weights = [weight for weight, _ in kinds]
        [(_, call)] = self.random.choices(kinds, weights)
        name = call()
        self.count[name.partition("(")[0].partition(".")[0]] += 1

    def called(self, text: str, call: Callable[[], Any]) -> str:
        """Make a call; what the user would be told about it is fine."""
        self.calls.append(text)
        if VERBOSE:
            print(f"{time.monotonic():.1f} {text}", file=sys.stderr)
        try:
            call()
        except RuntimeError as error:
            if "Traceback" in str(error):
                raise
        return text

    def own_operator(self) -> str:
        """One of the add-on's operators with random properties."""
        names = [name for name in sorted(dir(bpy.ops.sonic4d)) if name not in LEFT_OUT]
        name = self.random.choice(names)
        if self.random.random() > SELDOM.get(name, 1):
            return "later"
        operator = getattr(bpy.ops.sonic4d, name)
        given = {
            prop.identifier: self.value(prop)
            for prop in operator.get_rna_type().properties
            if prop.identifier != "rna_type" and self.random.random() < 0.5
        }
        if name == "export_shot":  # at the size of a stamp, or it takes all the time
            given |= {"size": "SCENE", "engine": "CYCLES", "samples": 1}
        if name.endswith("_preset"):  # those that come with an installed extension Blender keeps
            given |= {"remove_name": False, "remove_active": False}
        if name == "generate" and self.random.random() < 0.9:
            given["filepath"] = str(self.folder / "none.mp4")
        return self.called(f"sonic4d.{name}({given})", lambda: operator(**given))

    def usual_call(self) -> str:
        """What makes the others meaningful: a bundle, a camera, a take."""
        sonic4d = bpy.ops.sonic4d
        calls = {
            "import_bundle": lambda: sonic4d.import_bundle(filepath=str(self.bundle)),
            "make_shot_camera": sonic4d.make_shot_camera,
            "apply_move": sonic4d.apply_move,
            "render_audio": sonic4d.render_audio,
            "room": self.room,
            "select": self.select,
        }
        name = self.random.choice(list(calls))
        return self.called(f"usual {name}", calls[name])

    def room(self) -> None:
        """One of those that come with the add-on."""
        menu = "SONIC4D_MT_room_presets"
        folders = bpy.utils.preset_paths(getattr(bpy.types, menu).preset_subdir)
        presets = sorted(path for folder in folders for path in Path(folder).glob("*.py"))
        path = str(self.random.choice(presets))
        bpy.ops.script.execute_preset(filepath=path, menu_idname=menu)

    def begin_render(self) -> str:
        """As the button does beside a user interface: what is called next happens while it is rendered."""

        def begin() -> None:
            if tasks.activity() is None:
                activity = tasks.Activity("sonic4d.render_audio")
                self.running = render_audio(bpy.context.scene, activity)
                tasks._state.steps, tasks._state.activity = self.running, activity
                self.move_on()

        return self.called("begin a render", begin)

    def time_passes(self) -> str:
        """What Blender's timers would do meanwhile, of which there are none without a window."""

        def pass_time() -> None:
            end = time.monotonic() + self.random.choice([0.0, 0.1, 0.5])
            while True:
                live.tick()
                self.move_on()
                if time.monotonic() >= end:
                    return
                time.sleep(0.005)

        return self.called("time passes", pass_time)

    def move_on(self) -> None:
        """By a step of the render that was begun; a file that was loaded has ended it."""
        if self.running is None or tasks._state.steps is not self.running:
            self.running = None
            return
        try:
            next(self.running)
        except (StopIteration, Sonic4DError):
            tasks._state.steps = tasks._state.activity = self.running = None

    def select(self) -> None:
        layer = bpy.context.view_layer
        if layer.objects:
            layer.objects.active = self.random.choice(list(layer.objects))

    def own_setting(self) -> str:
        """A random property of the scene's or the active object's settings."""
        owners = [bpy.context.scene.sonic4d]
        if bpy.context.object:
            owners.append(bpy.context.object.sonic4d)
        owner = self.random.choice(owners)
        prop = self.random.choice(
            [p for p in owner.bl_rna.properties if p.identifier != "rna_type"]
        )
        if prop.type == "POINTER" and not hasattr(prop.fixed_type, "bl_rna"):
            return "no setting"
        if prop.type == "POINTER" and issubclass(
            type(getattr(owner, prop.identifier)), bpy.types.PropertyGroup
        ):
            owner = getattr(owner, prop.identifier)
            prop = self.random.choice(
                [p for p in owner.bl_rna.properties if p.identifier != "rna_type"]
            )
        value = self.value(prop)
        text = f"{owner.bl_rna.identifier}.{prop.identifier} = {value!r}"

        def assign() -> None:
            with suppress(TypeError, AttributeError):  # not of this kind, or can't be set
                setattr(owner, prop.identifier, value)

        return self.called(text, assign)

    def value(self, prop: bpy.types.Property) -> Any:
        """Something that a property may hold."""
        pick = self.random
        match prop.type:
            case "BOOLEAN":
                return pick.random() < 0.5
            case "INT" | "FLOAT":
                number = pick.choice([0, 1, 2, 7, -3, 0.5, pick.uniform(-10, 100)])
                number = min(max(number, prop.hard_min), min(prop.hard_max, 500))
                number = int(number) if prop.type == "INT" else float(number)
                return (number,) * prop.array_length if prop.is_array else number
            case "ENUM":
                names = [item.identifier for item in prop.enum_items] or [""]
                chosen = set(pick.sample(names, pick.randint(0, len(names))))
                return chosen if prop.is_enum_flag else pick.choice(names)
            case "STRING":
                return pick.choice(self.texts)
            case "POINTER":
                objects = [item for item in bpy.data.objects if isinstance(item, bpy.types.Object)]
                return pick.choice([None, *objects])
        return None

    def blender_call(self) -> str:
        pick, scene = self.random, bpy.context.scene

        def remove() -> None:
            if bpy.data.objects:
                bpy.data.objects.remove(pick.choice(list(bpy.data.objects)))

        def remove_scene() -> None:
            if len(bpy.data.scenes) > 1:
                bpy.data.scenes.remove(pick.choice(list(bpy.data.scenes)))

        def remove_strip() -> None:
            if scene.sequence_editor and scene.sequence_editor.strips:
                scene.sequence_editor.strips.remove(scene.sequence_editor.strips[0])

        calls: dict[str, Callable[[], Any]] = {
            "add cube": bpy.ops.mesh.primitive_cube_add,
            "add speaker": bpy.ops.object.speaker_add,
            "add camera": bpy.ops.object.camera_add,
            "delete": remove,
            "duplicate": bpy.ops.object.duplicate,
            "select all": lambda: bpy.ops.object.select_all(action="TOGGLE"),
            "frame": lambda: scene.frame_set(pick.randint(-3, 9)),
            "new scene": lambda: small(bpy.data.scenes.new("Scene")),
            "delete scene": remove_scene,
            "delete strip": remove_strip,
            "frame rate": lambda: setattr(scene.render, "fps", pick.choice([24, 25, 30])),
            "units": lambda: setattr(scene.unit_settings, "scale_length", pick.choice([0.01, 1])),
            "purge": lambda: bpy.data.orphans_purge(do_recursive=True),
        }
        name = pick.choice(list(calls))
        return self.called(name, calls[name])

    def undo(self) -> str:
        def several() -> None:
            # As after every operator that a user calls; called by a script it makes no undo step. Undo keeps data that didn't
            # change between two steps as it is, so with changes since the last step it leaves dangling pointers: Blender crashes
            # then, also without any add-on.
            bpy.ops.ed.undo_push(message="Step")
            for _ in range(self.random.randint(1, 4)):
                self.random.choice([bpy.ops.ed.undo, bpy.ops.ed.redo])()

        if self.random.random() < 0.6:
            return self.called("undo push", lambda: bpy.ops.ed.undo_push(message="Step"))
        return self.called("undo and redo", several)

    def load(self) -> str:
        blend = str(self.random.choice(self.blends))

        def restart() -> None:
            extension.EXTENSION.unregister()
            extension.EXTENSION.register()

        def new() -> None:
            bpy.ops.wm.read_homefile(use_factory_startup=True)
            small(bpy.context.scene)

        calls: dict[str, Callable[[], Any]] = {
            "open": lambda: bpy.ops.wm.open_mainfile(filepath=blend),
            "save": lambda: bpy.ops.wm.save_as_mainfile(filepath=blend, check_existing=False),
            "save a copy": lambda: bpy.ops.wm.save_as_mainfile(
                filepath=blend, check_existing=False, copy=True
            ),
            "new file": new,
            "disable and enable": restart,
        }
        name = self.random.choice(list(calls))
        return self.called(name, calls[name])

    def kill_worker(self) -> str:
        """As the system does when memory runs out."""

        def kill() -> None:
            for pid in children():
                if "sonic4d" in command(pid):
                    os.kill(pid, signal.SIGKILL)

        return self.called("kill the worker", kill)


def small(scene: bpy.types.Scene) -> None:
    """Renders in no time."""
    scene.render.resolution_x = scene.render.resolution_y = 16
    scene.frame_start, scene.frame_end = 1, 4


def children() -> list[int]:
    """Processes that this one has started."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # a thread that has ended just now
            found += [int(pid) for pid in (task / "children").read_text().split()]
    return found


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def leftovers() -> list[str]:
    """What an add-on that was disabled must not leave."""
    handlers = [
        f"handler {name}: {handler.__module__}"
        for name in dir(bpy.app.handlers)
        if isinstance(found := getattr(bpy.app.handlers, name), list)
        for handler in found
        if handler.__module__.startswith(extension.PACKAGE)
    ]
    processes = [f"process {command(pid)}" for pid in children() if "sonic4d" in command(pid)]
    classes = [f"class {name}" for name in dir(bpy.types) if name.startswith("SONIC4D_")]
    return [*handlers, *processes, *classes]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20)
    args = parser.parse_args(sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else None)
    raised: list[str] = []
    hook = sys.unraisablehook
    sys.unraisablehook = lambda event: (raised.append(repr(event.exc_value)), hook(event))[1]
    folder = Path(tempfile.mkdtemp(prefix="sonic4d_random_"))
    os.chdir(folder)  # for what is exported under a name without a folder
    for kind in ("DATAFILES", "SCRIPTS"):
        os.environ[f"BLENDER_USER_{kind}"] = str(folder / kind.lower())
    extension.EXTENSION.register()
    failed = False
    world = None
    try:
        world = World(args.seed, folder)
        end = time.monotonic() + args.seconds
        while time.monotonic() < end and not raised:
            world.step()
    except Exception:
        traceback.print_exc()
        failed = True
    finally:
        extension.EXTENSION.unregister()
        bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
        os.chdir(folder.parent)
        shutil.rmtree(folder, ignore_errors=True)
    left = leftovers()
    if world:
        print(f"{world.count.total()} calls: {dict(world.count.most_common())}")
    if failed or left or raised:
        print("Left:", left, "Raised:", raised, "The last calls:", sep="\n")
        print(*(world.calls if world else ()), sep="\n")
        return 1
    print("nothing is left")
    return 0


if __name__ == "__main__":
    sys.exit(main())
