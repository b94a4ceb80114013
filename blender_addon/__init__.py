"""What runs inside Blender: imports scene bundles, moves cameras, asks the backend for sound."""

from __future__ import annotations

from . import properties

# In the order of registration; each has register() and unregister().
MODULES = (properties,)


def register() -> None:
    for module in MODULES:
        module.register()


def unregister() -> None:
    for module in reversed(MODULES):
        module.unregister()
