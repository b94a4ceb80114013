"""A task in a panel: its button, its progress while it runs, and what it wants the user to know."""

from __future__ import annotations

import bpy

from .. import tasks
from .text import draw_text


def draw_task(layout: bpy.types.UILayout, operator: str, icon: str, **other: str) -> None:
    """The operator's button, with the `other` text than its label where one is given; while it runs, its progress instead.
    Below, what it wants the user to know."""
    row = layout.row(align=True)
    row.scale_y = 1.5
    activity = tasks.activity()
    if activity and activity.operator == operator:
        draw_progress(row, activity)
    else:
        row.operator(operator, icon=icon, **other)
    for warning in tasks.warnings(operator):
        draw_text(layout, warning, "ERROR")


def draw_progress(row: bpy.types.UILayout, activity: tasks.Activity) -> None:
    text = "Stopping" if activity.cancelled else activity.message
    row.progress(factor=activity.progress, text=text[:1].upper() + text[1:])
    if activity.stoppable:
        row.operator("sonic4d.cancel", text="", icon="X")
