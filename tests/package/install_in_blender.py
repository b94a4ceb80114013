"""Run by a Python that has bpy: install the archive into the profile, use it, and take it off again."""

from __future__ import annotations

import sys

import bpy

NAME = "bl_ext.user_default.sonic4d"


def has_operators() -> bool:
    """Whether the add-on's operators can be called."""
    found = [name for name in dir(bpy.ops.sonic4d) if hasattr(bpy.types, f"SONIC4D_OT_{name}")]
    return {"import_bundle", "remove_bundle", "make_shot_camera", "apply_move"} <= set(found)


def repository() -> int:
    """The index of the repository that files are installed into."""
    repositories = bpy.context.preferences.extensions.repos
    return next(i for i, repo in enumerate(repositories) if repo.module == "user_default")


assert bpy.ops.extensions.package_install_files(
    filepath=sys.argv[1], repo="user_default", enable_on_install=True
) == {"FINISHED"}
assert NAME in bpy.context.preferences.addons
assert has_operators()
assert bpy.context.scene.sonic4d.bundle is None
assert not bpy.ops.sonic4d.apply_move.poll()

assert bpy.ops.preferences.addon_disable(module=NAME) == {"FINISHED"}
assert not has_operators()
assert not hasattr(bpy.types.Scene, "sonic4d")
assert not [handler for handler in bpy.app.handlers.save_pre if handler.__module__.startswith(NAME)]

assert bpy.ops.preferences.addon_enable(module=NAME) == {"FINISHED"}
assert has_operators()
assert bpy.ops.preferences.addon_disable(module=NAME) == {"FINISHED"}
assert bpy.ops.extensions.package_uninstall(repo_index=repository(), pkg_id="sonic4d") == {
    "FINISHED"
}
print("uninstalled")
