"""What runs inside Blender: imports scene bundles, moves cameras, asks the backend for sound."""

from __future__ import annotations

from . import cli, live, preferences, properties, scene, tasks, translations
from .operators import (
    camera_moves,
    correct_track,
    enhance_shot,
    export_shot,
    fit_room,
    generate,
    import_bundle,
    install_backend,
    manage_sources,
    manage_takes,
    measure_scale,
    models,
    pick_source,
    render_audio,
    room_presets,
    video,
)
from .ui import (
    audio_panels,
    enhance_panel,
    export_panel,
    generate_panel,
    overlay,
    panels,
    room_panels,
    source_panels,
    take_panels,
    track_panel,
)

# In the order of registration; each has register() and unregister().
MODULES = (
    translations,
    properties,
    scene,
    tasks,
    live,
    import_bundle,
    camera_moves,
    generate,
    video,
    pick_source,
    correct_track,
    fit_room,
    room_presets,
    manage_sources,
    manage_takes,
    measure_scale,
    render_audio,
    enhance_shot,
    export_shot,
    install_backend,
    models,
    panels,
    generate_panel,
    source_panels,
    track_panel,
    room_panels,
    audio_panels,
    take_panels,
    overlay,
    enhance_panel,
    export_panel,
    preferences,
    cli,
)


def register() -> None:
    for module in MODULES:
        module.register()


def unregister() -> None:
    for module in reversed(MODULES):
        module.unregister()
