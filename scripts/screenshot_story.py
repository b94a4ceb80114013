"""Run by screenshots.py in Blender: from an empty file over a scene and its sound to the shot, with a picture of each step."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Generator
from pathlib import Path
from typing import Any

import bpy

ADDON = "bl_ext.user_default.sonic4d"
CATEGORY = "Sonic4D"
SEQUENCER_PX = 200  # by which the sequencer is made higher than the timeline was
TABS_PX = 26  # at the right of a sidebar
DRAWN_S = 0.7  # until Blender has drawn what was changed
LONGEST_S = 240.0  # that a task, or compiling the viewport's shaders in software, may take
IDLE_S, IDLE_LOOKS, IDLE_SHARE = (
    1.0,
    4,
    0.15,
)  # idle: that often in a row busy for less than that share of the time

bundle, output = map(Path, sys.argv[sys.argv.index("--") + 1 :])
work = Path(tempfile.mkdtemp())

Story = Generator[float, None, None]


def tasks() -> Any:
    return importlib.import_module(f"{ADDON}.blender_addon.tasks")


def area_of(kind: str) -> bpy.types.Area:
    return next(a for a in bpy.context.window_manager.windows[0].screen.areas if a.type == kind)


def region_of(area: bpy.types.Area, kind: str) -> bpy.types.Region:
    return next(region for region in area.regions if region.type == kind)


def call(operator: Any, area: bpy.types.Area, *arguments: str, **options: Any) -> None:
    """Call an operator as if it was pressed in an area."""
    window = bpy.context.window_manager.windows[0]
    region = region_of(area, "WINDOW")
    with bpy.context.temp_override(window=window, area=area, region=region):
        operator(*arguments, **options)


def picture(name: str, region: bpy.types.Region | None = None) -> None:
    """What is on the screen, or in a region of it."""
    crop = []
    if region:
        top = bpy.context.window_manager.windows[0].height - region.y - region.height
        width = region.width - (TABS_PX if region.type == "UI" else 0)
        crop = ["-crop", f"{width}x{region.height}+{region.x}+{top}", "+repage"]
    target = str(output / f"{name}.png")
    subprocess.run(["import", "-silent", "-window", "root", *crop, target], check=True)


def until_done() -> Story:
    """Wait for the task that is under way."""
    waited = 0.0
    while tasks().activity() is not None:
        yield 0.2
        waited += 0.2
        assert waited < LONGEST_S, "the task takes too long"


def until_idle() -> Story:
    """Wait until the viewport has its shaders and every sample of the picture: while that goes on it draws all the time."""
    waited = idle = 0
    while idle < IDLE_LOOKS:
        before_s = time.process_time()
        yield IDLE_S
        idle = idle + 1 if time.process_time() - before_s < IDLE_SHARE * IDLE_S else 0
        waited += IDLE_S
        assert waited < LONGEST_S, "the viewport is never done"


def panels(space: str) -> dict[str, list[type[bpy.types.Panel]]]:
    """The add-on's panels of an editor: the topmost one's name, and all that belong to it."""
    found = [
        cls
        for cls in bpy.types.Panel.__subclasses__()
        if cls.__name__.startswith("SONIC4D_PT_") and cls.bl_space_type == space
    ]
    families: dict[str, list[type[bpy.types.Panel]]] = {}
    roots: dict[str, str] = {}
    for cls in found:
        parent = getattr(cls, "bl_parent_id", "")
        roots[cls.__name__] = root = roots.get(parent, cls.__name__)
        families.setdefault(root, []).append(cls)
    return families


def show_sidebar(area: bpy.types.Area) -> Generator[float, None, bool]:
    """Whether there is anything of ours to be seen."""
    area.spaces.active.show_region_ui = True
    area.tag_redraw()
    yield DRAWN_S
    try:
        region_of(area, "UI").active_panel_category = CATEGORY
    except TypeError:  # Blender knows no such category, as no panel wants to be drawn
        return False
    area.tag_redraw()
    yield DRAWN_S
    return True


def every_panel(workspace: str, editor: str, prefix: str, only: str = "") -> Story:
    """A picture of each panel alone, with all that is in it unfolded: in the 3D view of a workspace where none was drawn yet."""
    window = bpy.context.window_manager.windows[0]
    before, window.workspace = window.workspace, bpy.data.workspaces[workspace]
    bpy.context.preferences.system.use_region_overlap = False
    yield DRAWN_S
    area = area_of("VIEW_3D")
    area.type = editor
    if editor == "VIEW_3D":
        area.spaces.active.shading.type = "SOLID"
    families = panels(editor)
    for family in families.values():
        for cls in reversed(family):
            bpy.utils.unregister_class(cls)
    closed: dict[type, set[str]] = {}  # whether a panel is folded counts where it is drawn first
    for root, family in families.items():
        name = root.removeprefix("SONIC4D_PT_")
        for cls in family:
            closed[cls] = getattr(cls, "bl_options", set())
            cls.bl_options = closed[cls] - {"DEFAULT_CLOSED"}
            bpy.utils.register_class(cls)
        if only in ("", name) and (yield from show_sidebar(area)):
            picture(f"panel_{prefix}{name}", region_of(area, "UI"))
        for cls in reversed(family):
            bpy.utils.unregister_class(cls)
    for family in families.values():
        for cls in family:
            cls.bl_options = closed[cls]
            bpy.utils.register_class(cls)
    bpy.context.preferences.system.use_region_overlap = True
    window.workspace = before
    yield DRAWN_S


def story() -> Story:
    preferences = bpy.context.preferences
    preferences.view.show_splash = False
    preferences.view.show_tooltips = False
    preferences.view.render_display_type = "NONE"
    bpy.ops.wm.read_homefile(use_factory_startup=False, use_empty=False)
    for item in list(bpy.data.objects):
        bpy.data.objects.remove(item)
    bpy.ops.wm.save_as_mainfile(filepath=str(work / "shot.blend"))
    yield 2.0

    # A video is chosen, and what sounds is clicked.
    scene, view = bpy.context.scene, area_of("VIEW_3D")
    call(bpy.ops.sonic4d.use_video, view, filepath=str(bundle / "source.mp4"))
    yield from show_sidebar(view)
    picture("1_generate")
    yield from click_the_source(view)
    call(bpy.ops.sonic4d.check_backend, view, "INVOKE_DEFAULT")
    yield from until_done()
    scene.sonic4d.generate.audio = "mmaudio-large-44k-v2"
    yield from every_panel("Modeling", "VIEW_3D", "empty_", only="scene")
    scene.sonic4d.generate.audio = "track"

    # The scene, its camera and its sound.
    call(bpy.ops.sonic4d.import_bundle, view, filepath=str(bundle))
    call(bpy.ops.sonic4d.make_shot_camera, view)
    scene = bpy.context.scene
    scene.sonic4d.move = "orbit"
    call(bpy.ops.sonic4d.apply_move, view)
    scene.frame_set((scene.frame_start + scene.frame_end) // 2)
    view.spaces.active.region_3d.view_perspective = "CAMERA"
    call(bpy.ops.view3d.view_center_camera, view)
    yield from until_idle()
    picture("2_scene")
    choose_room("studio")
    call(bpy.ops.sonic4d.render_audio, view, "INVOKE_DEFAULT")
    yield 1.0
    yield from until_done()
    assert scene.sequence_editor.strips, "no take"
    yield DRAWN_S
    source = next(item for item in scene.objects if item.sonic4d.is_source)
    bpy.context.view_layer.objects.active = source
    source.select_set(True)
    scene.sonic4d.active_source = list(scene.objects).index(source)
    yield from every_panel("Sculpting", "VIEW_3D", "")

    # The take in the sequencer, and the finished shot.
    timeline = area_of("DOPESHEET_EDITOR")
    timeline.type = "SEQUENCE_EDITOR"
    x, y = timeline.x + timeline.width // 2, timeline.y + timeline.height
    call(bpy.ops.screen.area_move, timeline, x=x, y=y, delta=SEQUENCER_PX)
    yield DRAWN_S
    call(bpy.ops.sequencer.view_all, timeline)
    yield from until_idle()
    picture("4_sequencer")
    yield from every_panel("Shading", "SEQUENCE_EDITOR", "sequencer_")
    scene.frame_end = scene.frame_start + 11  # enough to be seen
    export = scene.sonic4d.export
    export.engine, export.samples, export.size = "CYCLES", 1, "CUSTOM"
    export.custom_size, export.codec = (64, 36), "PCM"
    call(bpy.ops.sonic4d.export_shot, view, "INVOKE_DEFAULT")
    yield 1.5
    picture("5_export")
    yield from until_done()
    assert (work / "shot.mov").is_file(), "no shot"

    # The preferences.
    view.type = "PREFERENCES"
    preferences.active_section = "ADDONS"
    bpy.context.window_manager.addon_search = "Sonic4D"
    bpy.ops.preferences.addon_expand(module=ADDON)
    yield DRAWN_S
    picture("panel_preferences", region_of(view, "WINDOW"))


def choose_room(name: str) -> None:
    """Of the rooms that come with the add-on."""
    menu = bpy.types.SONIC4D_MT_room_presets
    found = (Path(folder) / f"{name}.py" for folder in bpy.utils.preset_paths(menu.preset_subdir))
    preset = next(path for path in found if path.is_file())
    bpy.ops.script.execute_preset(filepath=str(preset), menu_idname=menu.__name__)


def click_the_source(view: bpy.types.Area) -> Story:
    """In a movie clip editor, with a real click into the middle of the picture."""
    view.type = "CLIP_EDITOR"
    scene = bpy.context.scene
    scene.sonic4d.generate.point = ""
    clip = bpy.data.movieclips.load(scene.sonic4d.generate.video)
    view.spaces.active.clip = clip
    yield DRAWN_S
    call(bpy.ops.clip.view_all, view, fit_view=True)
    yield DRAWN_S
    call(bpy.ops.sonic4d.pick_source, view, "INVOKE_DEFAULT", purpose="GENERATE")
    yield DRAWN_S
    region = region_of(view, "WINDOW")
    x, y = region.x + region.width // 2, region.y + region.height // 2
    top = bpy.context.window_manager.windows[0].height - y
    subprocess.run(["xdotool", "mousemove", str(x - 9), str(top - 9)], check=True)
    yield DRAWN_S
    subprocess.run(["xdotool", "mousemove", str(x), str(top)], check=True)
    yield DRAWN_S
    picture("click_the_source")
    subprocess.run(["xdotool", "click", "1"], check=True)
    yield DRAWN_S
    point = scene.sonic4d.generate.point
    assert point, "the click was not taken"
    clicked = [float(number) for number in point.partition("@")[0].split(",")]
    middle = [side / 2 for side in clip.size]
    assert all(abs(a - b) < 3 for a, b in zip(clicked, middle, strict=True)), point
    view.type = "VIEW_3D"
    yield DRAWN_S


def leave(status: int) -> None:
    """At once: Blender would ask whether to save."""
    tasks().shut_down()
    shutil.rmtree(work, ignore_errors=True)
    sys.stdout.flush()
    os._exit(status)


telling = story()


def advance() -> float | None:
    try:
        return next(telling)
    except StopIteration:
        leave(0)
    except BaseException:
        traceback.print_exc()
        picture("broken")
        leave(1)
    return None


bpy.app.timers.register(advance, first_interval=1.0, persistent=True)
