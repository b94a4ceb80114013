"""From a scene bundle to the finished shot, in Blender without its UI.

    blender -b --python scripts/render_shot.py -- --bundle NAME.sonic4d --move "orbit:30" --output FOLDER
    python scripts/render_shot.py --bundle NAME.sonic4d --move "orbit:30" --output FOLDER      with the bpy wheel

Makes shot.blend, binaural.wav and shot.mp4 in FOLDER; --help tells all options. The backend is that of --backend-python
or $SONIC4D_BACKEND_PYTHON, else the one installed in Blender. Uses the add-on of the repository that it lies in.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import bpy

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "sonic4d_repository"


def load_extension() -> ModuleType:
    """The repository as a package, whatever its folder is called."""
    spec = importlib.util.spec_from_file_location(
        PACKAGE, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = module
    spec.loader.exec_module(module)
    return module


def main() -> int:
    inside_blender = "--" in sys.argv
    arguments = sys.argv[sys.argv.index("--") + 1 :] if inside_blender else sys.argv[1:]
    # The same result whatever the user has set, and no second Sonic4D beside this one.
    bpy.ops.wm.read_factory_settings(use_empty=True)
    extension = load_extension()
    extension.register()
    try:
        cli = importlib.import_module(f"{PACKAGE}.blender_addon.cli")
        return cli.main(["shot", *arguments])
    finally:
        extension.unregister()


if __name__ == "__main__":
    sys.exit(main())
