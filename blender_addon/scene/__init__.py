"""Bundle -> Blender objects, and Blender objects -> shot.json."""

from . import paths

register = paths.register
unregister = paths.unregister
