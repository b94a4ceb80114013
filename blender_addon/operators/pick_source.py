"""Click what sounds: in a movie clip editor, or in the video behind the camera."""

from __future__ import annotations

import bpy
from bpy.props import EnumProperty

from ..scene.paths import absolute
from ..scene.picture_place import clip_of, place_in_area
from ..scene.units import frame_rate

PURPOSES = (
    ("GENERATE", "Generate", "Say where the sounding object is, for generating the scene"),
    ("RETRACK", "Track again", "Track the active source again from this place and frame on"),
)
HELP = "Click what sounds, on a frame that shows it clearly  |  Esc: cancel"


class SONIC4D_OT_pick_source(bpy.types.Operator):
    bl_idname = "sonic4d.pick_source"
    bl_label = "Click what sounds"
    bl_description = "Show the video and click the object that sounds"
    bl_options = {"UNDO", "INTERNAL"}

    purpose: EnumProperty(
        name="Purpose", description="What the place is for", items=PURPOSES, options={"SKIP_SAVE"}
    )
    opened: bpy.types.Window | None = None

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        if bpy.app.background:
            cls.poll_message_set("There is no window to click into")
        return not bpy.app.background

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        clip = self._clip(context)
        if clip is None:
            self.report({"ERROR"}, "There is no video to click into. Choose one first.")
            return {"CANCELLED"}
        if not any(clip_of(a, context.scene) == clip for a in context.window.screen.areas):
            return _pick_in_new_window(context, clip, self.purpose)
        context.workspace.status_text_set(HELP)
        context.window.cursor_modal_set("EYEDROPPER")
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        if event.type in {"ESC", "RIGHTMOUSE"} and event.value == "PRESS":
            return self._end(context, {"CANCELLED"})
        if event.type != "LEFTMOUSE" or event.value != "PRESS":
            return {"PASS_THROUGH"}
        found = _under_mouse(context, event.mouse_x, event.mouse_y)
        if found is None:
            return {"PASS_THROUGH"}
        clip, (x, y) = found
        frame = context.scene.frame_current - clip.frame_start
        if not 0 <= frame < clip.frame_duration:
            self.report({"WARNING"}, "The video is not shown at this frame")
            return {"RUNNING_MODAL"}
        if self.purpose == "GENERATE":
            _set_point(context.scene, clip, (x, y), frame)
        self._end(context, {"FINISHED"})
        if self.purpose == "RETRACK":
            bpy.ops.sonic4d.retrack("INVOKE_DEFAULT", use_point=True, point=(x, y))
        return {"FINISHED"}

    def cancel(self, context: bpy.types.Context) -> None:
        """The window was closed."""
        context.workspace.status_text_set(None)

    def _clip(self, context: bpy.types.Context) -> bpy.types.MovieClip | None:
        """The video to click into: for generating the chosen one, else the one behind the bundle's camera."""
        scene = context.scene
        if self.purpose == "GENERATE":
            path = scene.sonic4d.generate.video
            return _loaded(path) if path else None
        bundle = scene.sonic4d.bundle
        camera = bundle.sonic4d.source_camera if bundle else None
        images = camera.data.background_images if camera and camera.type == "CAMERA" else ()
        return next((image.clip for image in images if image.clip), None)

    def _end(self, context: bpy.types.Context, result: set[str]) -> set[str]:
        context.workspace.status_text_set(None)
        context.window.cursor_modal_restore()
        if context.screen.name.startswith("temp"):  # the window that was opened for this
            bpy.ops.wm.window_close()
        return result


def _loaded(path: str) -> bpy.types.MovieClip | None:
    """The movie clip of a file. None where Blender can't read it."""
    file = absolute(path)
    for clip in bpy.data.movieclips:
        if absolute(clip.filepath, clip.library) == file:
            return clip
    if not file.is_file():
        return None
    try:
        clip = bpy.data.movieclips.load(path)
    except RuntimeError:
        return None
    if not clip.frame_duration:
        bpy.data.movieclips.remove(clip)
        return None
    clip.frame_start = bpy.context.scene.frame_start
    return clip


def _pick_in_new_window(
    context: bpy.types.Context, clip: bpy.types.MovieClip, purpose: str
) -> set[str]:
    before = set(context.window_manager.windows)
    bpy.ops.wm.window_new()
    [window] = set(context.window_manager.windows) - before
    area = window.screen.areas[0]
    area.type = "CLIP_EDITOR"
    area.spaces.active.clip = clip
    region = next(region for region in area.regions if region.type == "WINDOW")
    with context.temp_override(window=window, screen=window.screen, area=area, region=region):
        bpy.ops.clip.view_all(fit_view=True)
        return bpy.ops.sonic4d.pick_source("INVOKE_DEFAULT", purpose=purpose) and {"FINISHED"}


def _under_mouse(
    context: bpy.types.Context, x: int, y: int
) -> tuple[bpy.types.MovieClip, tuple[float, float]] | None:
    """The video under the mouse (pixels of the window), and where in it."""
    for area in context.window.screen.areas:
        clip = clip_of(area, context.scene)
        for region in area.regions:
            inside = region.x <= x < region.x + region.width
            if region.type != "WINDOW" or not inside or clip is None:
                continue
            if region.y <= y < region.y + region.height:
                place = place_in_area(area, region, context.scene, (x - region.x, y - region.y))
                return (clip, place) if place else None
    return None


def _set_point(
    scene: bpy.types.Scene, clip: bpy.types.MovieClip, place: tuple[float, float], frame: int
) -> None:
    """In pixels of the video, on a frame counted from where the scene begins."""
    settings = scene.sonic4d.generate
    rate = clip.fps or float(frame_rate(scene))
    pixels = [share * side for share, side in zip(place, clip.size, strict=True)]
    first = round(settings.start_s * rate)
    settings.point = f"{pixels[0]:.1f},{pixels[1]:.1f}@{max(0, frame - first)}"


register, unregister = bpy.utils.register_classes_factory((SONIC4D_OT_pick_source,))
