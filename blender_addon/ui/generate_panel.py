"""The panels for generating a scene from a video."""

from __future__ import annotations

import bpy

from .. import times
from ..client.models import Expert
from ..experts import experts_of, known
from ..generate_settings import BUILT_IN, TRACK
from ..operators.generate import goes_on
from ..scene.paths import absolute
from ..translations import tr
from .panels import Sidebar
from .task import draw_task
from .text import draw_text

LABELS = {"depth": "Depth", "grounding": "Finding", "audio": "Sound"}


class SONIC4D_PT_generate(Sidebar, bpy.types.Panel):
    bl_label = "From a video"
    bl_idname = "SONIC4D_PT_generate"
    bl_parent_id = "SONIC4D_PT_scene"

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.sonic4d.generate
        column = layout.column()
        column.use_property_split, column.use_property_decorate = True, False
        column.prop(settings, "video")
        if settings.video:
            column.prop(settings, "sound_source")
            row = column.row(align=True)
            row.prop(settings, "point")
            pick = row.operator("sonic4d.pick_source", text="", icon="EYEDROPPER")
            pick.purpose = "GENERATE"
        rate = times.seconds_a_frame(settings.depth)
        if settings.video and rate:
            minutes = rate * settings.max_frames / 60
            text = tr(
                "{count} frames take about {time:.1f} min", count=settings.max_frames, time=minutes
            )
            column.label(text=text, icon="TIME")
        if settings.video and goes_on(absolute(settings.video)):
            draw_task(layout, "sonic4d.generate", "FILE_MOVIE", text="Continue")
        else:
            draw_task(layout, "sonic4d.generate", "FILE_MOVIE")


class SONIC4D_PT_generate_options(Sidebar, bpy.types.Panel):
    bl_label = "How"
    bl_parent_id = "SONIC4D_PT_generate"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout, settings = self.layout, context.scene.sonic4d.generate
        layout.use_property_split, layout.use_property_decorate = True, False
        for name in ("start_s", "duration_s", "max_frames", "height"):
            layout.prop(settings, name)
        for job, label in LABELS.items():
            option = getattr(settings, job)
            row = layout.row(align=True)
            row.prop(settings, job, text=label)
            row.menu(f"SONIC4D_MT_{job}", text="", icon="DOWNARROW_HLT")
            expert = next((e for e in experts_of(job) if e.option == option), None)
            folder = f"{job}_folder"
            if expert or settings.is_property_set(folder):
                layout.prop(settings, folder)
            if expert:
                draw_expert(layout, expert, getattr(settings, folder))
        of_models = ("audio_prompt", "audio_negative_prompt", "audio_view", "seed")
        if settings.audio != TRACK or any(settings.is_property_set(name) for name in of_models):
            for name in of_models:
                layout.prop(settings, name)
        row = layout.row()
        row.operator("sonic4d.open_log", icon="TEXT").log = "WORKER"


def draw_expert(layout: bpy.types.UILayout, expert: Expert, folder: str = "") -> None:
    """What to know of a model before it is used; `folder` is the user's own that holds it."""
    box = layout.box().column(align=True)
    draw_text(box, f"{expert.title}: {expert.size}, {expert.licence}", "NONE")
    if not expert.commercial:
        draw_text(box, tr("Not for commercial use"), "ERROR")
    if expert.needs_gpu:
        draw_text(box, tr("Without a GPU it takes hours"), "TIME")
    if not expert.cached and not folder:
        draw_text(box, tr("Not downloaded yet: see the add-on's preferences"), "INFO")
    if expert.why_not:
        draw_text(box, tr("Can't be used here: {why}", why=expert.why_not), "ERROR")


def _menu(job: str) -> type[bpy.types.Menu]:
    """The menu of what can do a part of generating."""

    def draw(self: bpy.types.Menu, _context: bpy.types.Context) -> None:
        for option, label, about in BUILT_IN[job]:
            _draw_choice(self.layout, job, option, label, about)
        for expert in experts_of(job):
            label = f"{expert.title}  ({expert.size}, {expert.licence})"
            icon = "CHECKMARK" if expert.cached else "IMPORT"
            _draw_choice(self.layout, job, expert.option, label, expert.about, icon)
        if not known():
            self.layout.operator("sonic4d.check_backend", text="Look for models", icon="VIEWZOOM")

    contents = {"bl_label": LABELS[job], "bl_description": "What can do this", "draw": draw}
    return type(f"SONIC4D_MT_{job}", (bpy.types.Menu,), contents)


def _draw_choice(
    layout: bpy.types.UILayout, job: str, option: str, label: str, about: str, icon: str = "NONE"
) -> None:
    choice = layout.operator("sonic4d.choose_expert", text=label, icon=icon)
    choice.job, choice.option, choice.about = job, option, about


register, unregister = bpy.utils.register_classes_factory(
    (SONIC4D_PT_generate, SONIC4D_PT_generate_options, *map(_menu, LABELS))
)
