"""The Blender extension Sonic4D."""

from .blender_addon import register, unregister

__all__ = ["register", "unregister"]
