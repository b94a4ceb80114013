"""What runs inside Blender: imports scene bundles, moves cameras, asks the backend for sound."""

from __future__ import annotations

from . import properties, scene
from .operators import camera_moves, import_bundle
from .ui import panels

# In the order of registration; each has register() and unregister().
MODULES = (properties, scene, import_bundle, camera_moves, panels)


def register() -> None:
    for module in MODULES:
        module.register()


def unregister() -> None:
    for module in reversed(MODULES):
        module.unregister()
